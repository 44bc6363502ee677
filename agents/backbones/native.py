"""Steps of generation with a small model as one call of compiled C, where a compiler is at hand.

Between two products of a small model torch spends more time on starting operations than on computing; ``native.c``
does all layers at once. It is compiled when it is first needed, in a second, and kept in the user's cache. Without a
compiler, or with ``TEXTENVS_NATIVE=0`` in the environment, torch gives the same numbers, to rounding.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_SOURCE = Path(__file__).with_name("native.c")
_FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-shared", "-fPIC")
_MACHINE = (("-march=native",), ("-mcpu=native",), ())  # the first that the compiler takes
_PANEL, _LANES = 32, 16  # as in native.c, at most
_POINTER = ctypes.c_void_p


class _Layer(ctypes.Structure):
    _weights = ("mix", "mix_bias", "query_norm", "key_norm", "out", "out_bias", "widen", "widen_bias")
    _fields_ = tuple((name, _POINTER) for name in (*_weights, "narrow", "narrow_bias", "keys", "values"))


class _Model(ctypes.Structure):
    _sizes = ("layers", "hidden", "inner", "heads", "key_heads", "size", "window", "words", "positions")
    _fields_ = (
        *((name, ctypes.c_int64) for name in _sizes),
        *((name, ctypes.c_float) for name in ("scale", "epsilon")),
        *((name, _POINTER) for name in ("embedding", "cos", "sin", "norm")),
    )


def compiled(flags: Iterable[str], folder: Path) -> Path:
    """The library, compiled with ``flags`` into a folder unless it is there.

    Raises:
        OSError: there is no compiler, or the folder cannot be written.
        subprocess.CalledProcessError: the compiler does not take the flags.
    """
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        raise FileNotFoundError("no C compiler")
    if not folder.is_absolute():
        raise FileNotFoundError(f"no folder for compiled code: {folder}")
    told = [_SOURCE.read_text("utf-8"), compiler, *_FLAGS, *flags, _processor()]
    path = folder / f"native-{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            made = Path(beside) / path.name
            command = [compiler, *_FLAGS, *flags, str(_SOURCE), "-o", str(made), "-lm"]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            made.replace(path)
    return path


def opened(path: Path) -> ctypes.CDLL:
    """The library in a file."""
    library = ctypes.CDLL(str(path))
    library.room.restype = ctypes.c_int64
    library.room.argtypes = [_POINTER, ctypes.c_int64]
    library.pack.argtypes = [ctypes.c_int64, ctypes.c_int64, *[_POINTER] * 3]
    library.pack.restype = None
    library.advance.argtypes = [_POINTER, _POINTER, ctypes.c_int64, *[_POINTER] * 5]
    return library


@lru_cache(maxsize=1)
def loaded() -> ctypes.CDLL | None:
    """The library for this processor, or ``None`` where there can be none."""
    if os.environ.get("TEXTENVS_NATIVE") == "0":
        return None
    own = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "textenvs")
    with tempfile.TemporaryDirectory() as passing:  # where there is no home, or it cannot be written
        for folder, flags in product((own, Path(passing)), _MACHINE):
            try:
                return opened(compiled(flags, folder))
            except (OSError, subprocess.SubprocessError):
                continue
    return None


def _processor() -> str:
    """What tells processors apart: code for one may not run on another that has the same home."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")[0].split("\n")
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.node()}"
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part")))


class NativeStep:
    """A model's layers in ``native.c``.

    Args:
        decoder: the model's layers, which ``NativeStep.reads``.
        affine: gives weight ``(out, in)`` and bias ``(out,)`` or ``None`` of a linear module.
    """

    def __init__(self, decoder: Any, affine: Any) -> None:
        found = loaded()
        assert found is not None
        self._library = found
        self._kept: list[Tensor] = []  # what the pointers point to
        base, config = decoder.base, decoder.model.config
        cos, sin, _ = decoder.angles(base.embed_tokens.weight.device)
        self._layers = (_Layer * len(base.layers))(*(self._layer(each, affine) for each in base.layers))
        self._model = _Model(
            layers=len(base.layers),
            hidden=config.hidden_size,
            inner=config.intermediate_size,
            heads=decoder.heads,
            key_heads=decoder.key_heads,
            size=decoder.size,
            words=len(base.embed_tokens.weight),
            positions=len(cos),
            scale=decoder.scale,
            epsilon=base.norm.variance_epsilon,
            embedding=self._keep(base.embed_tokens.weight),
            cos=self._keep(cos),
            sin=self._keep(sin),
            norm=self._keep(base.norm.weight),
        )

    @staticmethod
    def reads(decoder: Any) -> bool:
        """Whether the model is of a shape that the code knows, and there is a compiler."""
        config = decoder.model.config
        outputs = (decoder.heads * decoder.size, decoder.key_heads * decoder.size)
        panels = not any(out % _PANEL for out in (*outputs, config.hidden_size, config.intermediate_size))
        known = panels and decoder.size % _LANES == 0 and config.hidden_act in ("silu", "swish")
        return known and loaded() is not None

    def __call__(self, tokens: np.ndarray, rows: np.ndarray, places: np.ndarray, kept: Any) -> Tensor:
        """Hidden states ``(tokens, hidden)`` of new tokens, each of which attends to its row up to its own place.

        Args:
            tokens, rows, places: ``(tokens,)`` int64; a row's tokens lie in the order of their places.
            kept: keys and values of each layer, ``(rows, key heads, window, size)`` float32; the tokens' are written.

        Raises:
            IndexError: a token or a place that the model does not have.
        """
        model = _Model.from_buffer_copy(self._model)  # another thread may be at another cache
        layers = type(self._layers).from_buffer_copy(self._layers)
        model.window = kept[0][0].shape[2]
        for layer, keys, values in zip(layers, *kept, strict=True):
            layer.keys, layer.values = keys.data_ptr(), values.data_ptr()
        hidden = torch.empty(len(tokens), model.hidden, dtype=torch.float32)
        work = torch.empty(self._library.room(ctypes.byref(model), len(tokens)), dtype=torch.float32)
        given = [np.ascontiguousarray(each, np.int64) for each in (tokens, rows, places)]
        pointers = [each.ctypes.data for each in given]
        if self._library.advance(
            ctypes.byref(model), layers, len(tokens), *pointers, work.data_ptr(), hidden.data_ptr()
        ):
            last = min(model.window, model.positions) - 1
            raise IndexError(f"ids must be 0 to {model.words - 1} and places 0 to {last}: {tokens}, {places}")
        return hidden

    def _keep(self, values: Tensor | None) -> int | None:
        if values is None:
            return None
        self._kept.append(values.detach().float().contiguous())
        return self._kept[-1].data_ptr()

    def _product(self, modules: list[Any], affine: Any, norm: Tensor | None = None) -> tuple[int | None, int | None]:
        """Weights in panels ``(out / 32, in, 32)`` and bias of several affine modules of one input, side by side; what
        they read has been normalised, but not multiplied by the norm's weights."""
        maps = [affine(module) for module in modules]
        panels = torch.empty(sum(weight.numel() for weight, _ in maps), dtype=torch.float32)
        scale = None if norm is None else norm.detach().float().contiguous()
        start = panels.data_ptr()
        for weight, _ in maps:
            weight = weight.detach().float().contiguous()
            self._library.pack(*weight.shape, weight.data_ptr(), None if scale is None else scale.data_ptr(), start)
            start += weight.numel() * weight.element_size()
        bias = None
        if any(each is not None for _, each in maps):
            bias = torch.cat([weight.new_zeros(len(weight)) if each is None else each for weight, each in maps])
        return self._keep(panels), self._keep(bias)

    def _layer(self, layer: Any, affine: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        mixed = [attention.q_proj, attention.k_proj, attention.v_proj]
        norms = [getattr(attention, name, None) for name in ("q_norm", "k_norm")]
        return _Layer(
            *self._product(mixed, affine, layer.input_layernorm.weight),
            *(None if each is None else self._keep(each.weight) for each in norms),
            *self._product([attention.o_proj], affine),
            *self._product([mlp.gate_proj, mlp.up_proj], affine, layer.post_attention_layernorm.weight),
            *self._product([mlp.down_proj], affine),
        )
