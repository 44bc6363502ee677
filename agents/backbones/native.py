"""Steps of generation as one call of compiled C, where a compiler is at hand.

Between two products of a small model torch spends more time on starting operations than on computing; ``native.c``
does all layers at once. Of a large model a step reads all weights once: from bfloat16 ones, on processors with products
of that type, as fast as memory gives them. The code is compiled when it is first needed, in a second, and kept in the
user's cache. Without a compiler, or with ``TEXTENVS_NATIVE=0`` in the environment, torch gives the same numbers, to
rounding.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_SOURCE = Path(__file__).with_name("native.c")
_FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-shared", "-fPIC")
_MACHINE = tuple(  # the first that the compiler takes
    (*own, *threads) for threads in (("-fopenmp",), ()) for own in (("-march=native",), ("-mcpu=native",), ())
)
_PANEL, _LANES = 32, 16  # as in native.c, at most
FEW = 96  # rows from which on torch's products are as fast
_ALONE = 1 << 22  # multiplications from which on threads are faster than one of them
_DRAWING = 16  # multiplications that take as long as drawing among one action more
_POINTER, _WHOLE = ctypes.c_void_p, ctypes.c_int64
_ByTorch = Callable[[Tensor, Tensor | None], Callable[[Tensor], Tensor]]


class _Layer(ctypes.Structure):
    _products = ("mix", "out", "widen", "narrow")
    _norms = ("before", "between", "query_norm", "key_norm")
    _fields_ = tuple(
        (name, _POINTER) for name in (*_products, *(f"{each}_bias" for each in _products), *_norms, "keys", "values")
    )


class _Model(ctypes.Structure):
    _sizes = ("layers", "hidden", "inner", "heads", "key_heads", "size", "window", "words", "positions")
    _fields_ = (
        *((name, _WHOLE) for name in (*_sizes, "half", "keeps_half", "threads")),
        *((name, ctypes.c_float) for name in ("scale", "epsilon")),
        *((name, _POINTER) for name in ("embedding", "cos", "sin", "norm")),
    )


def compiled(flags: Iterable[str], folder: Path) -> Path:
    """The library, compiled with ``flags`` into a folder unless it is there.

    Raises:
        OSError: there is no compiler, or the folder cannot be written.
        subprocess.CalledProcessError: the compiler does not take the flags.
    """
    compiler, path = _compiler(), _path(flags, folder)
    if compiler is None:
        raise FileNotFoundError("no C compiler")
    if not folder.is_absolute():
        raise FileNotFoundError(f"no folder for compiled code: {folder}")
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            made = Path(beside) / path.name
            command = [compiler, *_FLAGS, *flags, str(_SOURCE), "-o", str(made), "-lm"]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            made.replace(path)
    return path


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CC") or "cc")


def _path(flags: Iterable[str], folder: Path) -> Path:
    """Where the library of these flags is kept."""
    told = [_SOURCE.read_text("utf-8"), _compiler(), *_FLAGS, *flags, _processor()]
    return folder / f"native-{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}.so"


def opened(path: Path) -> ctypes.CDLL:
    """The library in a file."""
    library = ctypes.CDLL(str(path))
    library.room.restype = _WHOLE
    library.room.argtypes = [_POINTER, _WHOLE]
    for packs in (library.pack, library.pack_half):
        packs.argtypes = [_WHOLE, _WHOLE, _POINTER, _POINTER]
        packs.restype = None
    library.product.argtypes = [*[_WHOLE] * 5, *[_POINTER] * 3, ctypes.c_int, *[_POINTER] * 2]
    library.product.restype = None
    library.draws_room.restype = _WHOLE
    library.draws_room.argtypes = [_WHOLE]
    library.draws.argtypes = [*[_WHOLE] * 3, *[_POINTER] * 6]
    library.draws.restype = None
    library.advance.argtypes = [_POINTER, _POINTER, _WHOLE, *[_POINTER] * 4, _WHOLE, *[_POINTER] * 3]
    return library


@lru_cache(maxsize=1)
def loaded() -> ctypes.CDLL | None:
    """The library for this processor, or ``None`` where there can be none."""
    if os.environ.get("TEXTENVS_NATIVE") == "0":
        return None
    own = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "textenvs")
    with tempfile.TemporaryDirectory() as passing:  # where there is no home, or it cannot be written
        for folder in (own, Path(passing)):
            # What is there comes first: the compiler is not asked again for what it did not take.
            for flags in sorted(_MACHINE, key=lambda flags: not os.path.exists(_path(flags, folder))):
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


def takes(out: int, size: int, dtype: torch.dtype) -> bool:
    """Whether there are compiled products of weights ``(out, size)`` of a type."""
    library = loaded() if dtype in (torch.float32, torch.bfloat16) else None
    known = library is not None and out % _PANEL == 0 and size % _PANEL == 0
    return known and (dtype == torch.float32 or bool(library.halves()))  # type: ignore[union-attr]


class Product:
    """Several affine maps of one input, side by side, for few rows; for more torch is asked.

    Args:
        weights: ``(out, in)`` of each, which ``takes``.
        bias: ``(out,)`` of all maps, or ``None``.
        dtype: what the weights are kept in.
        by_torch: what torch does with many rows, from weight and bias of all maps; called when it is first needed.
    """

    def __init__(self, weights: list[Tensor], bias: Tensor | None, dtype: torch.dtype, by_torch: _ByTorch) -> None:
        found = loaded()
        assert found is not None
        self._library = found
        self._by_torch = by_torch
        self._many: Callable[[Tensor], Tensor] | None = None
        self.half = dtype == torch.bfloat16
        self.out, self.size = sum(map(len, weights)), weights[0].shape[1]
        self.panels = torch.empty(self.out * self.size, dtype=dtype)
        pack, start = found.pack_half if self.half else found.pack, self.panels.data_ptr()
        for weight in weights:
            weight = weight.detach().float().contiguous()
            pack(*weight.shape, weight.data_ptr(), start)
            start += weight.numel() * self.panels.element_size()
        self.bias = None if bias is None else bias.detach().float().contiguous()

    def weight(self) -> Tensor:
        """``(out, in)`` of all maps, from the panels."""
        if not self.half:
            return self.panels.view(-1, self.size, _PANEL).transpose(1, 2).reshape(self.out, self.size)
        parts = self.panels.view(-1, self.size // 32, 2, 16, 16, 2)  # panels, inputs, halves, pairs, columns, of a pair
        return parts.permute(0, 2, 4, 1, 3, 5).reshape(self.out, self.size)

    def __call__(self, given: Tensor) -> Tensor:
        """``(rows, out)`` from ``(rows, in)`` float32: float32, of many rows in the type of the weights."""
        if len(given) > FEW:
            if self._many is None:
                self._many = self._by_torch(self.weight(), self.bias)
            return self._many(given)
        given = given.float().contiguous()
        result = torch.empty(len(given), self.out)
        room = torch.empty(given.numel() if self.half else 0, dtype=torch.bfloat16)
        self._library.product(
            *(len(given), self.size, self.out, self.half, _threads(len(given) * self.panels.numel())),
            *(given.data_ptr(), self.panels.data_ptr(), _start(self.bias), False, room.data_ptr(), result.data_ptr()),
        )
        return result


def drawn(logits: Tensor, points: Tensor | None, forbidden: Tensor | None) -> tuple[Tensor, Tensor] | None:
    """As ``agents.policies.chosen.pick``, at given points of the distribution function; ``None``: torch has to do it.

    Args:
        logits: ``(rows, actions)``.
        points: ``(rows,)`` float32 from 0 to 1, or ``None`` for the most probable actions.
        forbidden: ``(actions,)`` bool, or ``None``.
    """
    library = loaded() if logits.device.type == "cpu" and logits.dtype == torch.float32 else None
    if library is None or not logits.numel() or logits.requires_grad:
        return None
    logits, (rows, count) = logits.contiguous(), logits.shape
    threads = _threads(_DRAWING * logits.numel())
    room = torch.empty(threads * library.draws_room(count), dtype=torch.float32)
    actions, log_probs = (torch.empty(rows, dtype=dtype) for dtype in (torch.int64, torch.float32))
    starts = map(_start, (logits, forbidden, points, room, actions, log_probs))
    library.draws(rows, count, threads, *starts)
    return actions, log_probs


class NativeStep:
    """A model's layers in ``native.c``.

    Args:
        decoder: the model's layers, which ``NativeStep.reads`` in the type of these:
        layers: of each layer the products and norms, as ``Copies`` has them.
    """

    def __init__(self, decoder: Any, layers: Sequence[Any]) -> None:
        found = loaded()
        assert found is not None
        self._library = found
        self._kept: list[Any] = [layers]  # what the pointers point to
        base, config = decoder.base, decoder.model.config
        cos, sin, _ = decoder.angles(base.embed_tokens.weight.device)
        self._layers = (_Layer * len(layers))(*map(_pointers, layers))
        self._model = _Model(
            layers=len(layers),
            hidden=config.hidden_size,
            inner=config.intermediate_size,
            heads=decoder.heads,
            key_heads=decoder.key_heads,
            size=decoder.size,
            words=len(base.embed_tokens.weight),
            positions=len(cos),
            half=layers[0].widen.half,
            scale=decoder.scale,
            epsilon=base.norm.variance_epsilon,
            embedding=self._keep(base.embed_tokens.weight),
            cos=self._keep(cos),
            sin=self._keep(sin),
            norm=self._keep(base.norm.weight),
        )
        self._widest = decoder.widest

    @staticmethod
    def reads(decoder: Any, dtype: torch.dtype) -> bool:
        """Whether the model is of a shape that the code knows, and there are compiled products of its weights in
        ``dtype``."""
        config, device = decoder.model.config, decoder.base.embed_tokens.weight.device
        widths = config.hidden_size, config.intermediate_size, decoder.heads * decoder.size
        known = device.type == "cpu" and decoder.size % _LANES == 0 and config.hidden_act in ("silu", "swish")
        return known and all(takes(decoder.key_heads * decoder.size, width, dtype) for width in widths)

    def advance(
        self, tokens: np.ndarray, rows: np.ndarray, places: np.ndarray, wanted: np.ndarray, kept: Any
    ) -> Tensor:
        """Hidden states ``(wanted, hidden)`` of new tokens, each of which attends to its row up to its own place.

        Args:
            tokens, rows, places: ``(tokens,)`` int64; a row's tokens lie in the order of their places.
            wanted: ``(wanted,)`` int64, ascending: the tokens whose states are asked for.
            kept: keys and values of each layer, ``(rows, key heads, window, size)`` float32 or bfloat16, into which the
                tokens' are written.

        Raises:
            IndexError: a token or a place that the model does not have.
        """
        layers = type(self._layers).from_buffer_copy(self._layers)  # another thread may be at another cache
        for layer, keys, values in zip(layers, *kept, strict=True):
            layer.keys, layer.values = keys.data_ptr(), values.data_ptr()
        window, half = kept[0][0].shape[2], kept[0][0].dtype == torch.bfloat16
        return self._run(layers, window, half, tokens, places, rows, None, wanted)

    def read(
        self, tokens: np.ndarray, starts: np.ndarray, before: np.ndarray, places: np.ndarray, wanted: np.ndarray
    ) -> Tensor:
        """Hidden states ``(wanted, hidden)`` of tokens, each of which attends to all that leads to it.

        Args:
            tokens, places: ``(tokens,)`` int64.
            starts: ``(tokens,)`` int64, the token with which the run begins that each lies in.
            before: ``(tokens,)`` int64, the token that the run goes on from, or -1.
            wanted: ``(wanted,)`` int64, ascending: the tokens whose states are asked for.

        Raises:
            IndexError: a token or a place that the model does not have.
        """
        return self._run(self._layers, int(places.max()) + 1, False, tokens, places, starts, before, wanted)

    def _run(self, layers: Any, window: int, keeps_half: bool, *given: np.ndarray | None) -> Tensor:
        """``advance`` of native.c, of tokens, places, rows, what is before them and what is wanted."""
        arrays = [None if each is None else np.ascontiguousarray(each, np.int64) for each in given]
        starts = [None if each is None else each.ctypes.data for each in arrays]
        tokens, places, *_, wanted = arrays
        assert tokens is not None and places is not None and wanted is not None
        model = _Model.from_buffer_copy(self._model)
        model.window, model.keeps_half, model.threads = window, keeps_half, _threads(len(tokens) * self._widest)
        hidden = torch.empty(len(wanted), model.hidden, dtype=torch.float32)
        work = torch.empty(self._library.room(ctypes.byref(model), len(tokens)), dtype=torch.float32)
        pointers = (*starts[:-1], len(wanted), starts[-1], work.data_ptr(), hidden.data_ptr())
        if self._library.advance(ctypes.byref(model), layers, len(tokens), *pointers):
            last = min(model.window, model.positions) - 1
            raise IndexError(f"ids must be 0 to {model.words - 1} and places 0 to {last}: {tokens}, {places}")
        return hidden

    def _keep(self, values: Tensor) -> int:
        self._kept.append(values.detach().float().contiguous())
        return int(self._kept[-1].data_ptr())


def _pointers(layer: Any) -> _Layer:
    products = layer.attention, layer.out, layer.widen, layer.narrow
    norms = layer.before, layer.between, layer.query, layer.key
    return _Layer(
        *(each.panels.data_ptr() for each in products),
        *(_start(each.bias) for each in products),
        *(None if each is None else each.weight.data_ptr() for each in norms),
    )


def _threads(multiplications: int) -> int:
    """As many as torch uses, where it pays."""
    return torch.get_num_threads() if multiplications >= _ALONE else 1


def _start(values: Tensor | None) -> int | None:
    return None if values is None else values.data_ptr()
