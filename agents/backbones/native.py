"""Steps of generation and passes over sequences, with gradients too, by compiled C where a compiler is at hand.

Between two products of a small model torch spends more time on starting operations than on computing; ``native.c``
does all layers at once. Of a large model a step reads all weights once: from bfloat16 ones, on processors with products
of that type, as fast as memory gives them. The code is compiled when it is first needed, in seconds, and kept in the
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
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_SOURCE = Path(__file__).with_name("native.c")
_FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-shared", "-fPIC")
_MACHINE = tuple(  # the first that the compiler takes
    (*own, *threads) for threads in (("-fopenmp",), ()) for own in (("-march=native",), ("-mcpu=native",), ())
)
_OUT_OF_RANGE = 1
_PART = 512  # tokens that are read together where there are more
_FLOAT = 4  # bytes
_HELD = 1 << 26  # floats: larger rooms are given back to the system
_PANEL, _LANES, _MAPS = 32, 16, 7  # as in native.c, the lanes at most
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


class _Learned(ctypes.Structure):
    _fields_ = (
        *((name, _POINTER * _MAPS) for name in ("weights", "gradients", "biases")),
        *((name, _POINTER) for name in ("before", "between")),
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
    for rooms in (library.room, library.kept_room):
        rooms.restype = _WHOLE
        rooms.argtypes = [_POINTER, _WHOLE]
    for packs in (library.pack, library.pack_half):
        packs.argtypes = [_WHOLE, _WHOLE, _POINTER, _POINTER]
        packs.restype = None
    library.product.argtypes = [*[_WHOLE] * 5, *[_POINTER] * 3, ctypes.c_int, *[_POINTER] * 2]
    library.product.restype = None
    library.draws_room.restype = _WHOLE
    library.draws_room.argtypes = [_WHOLE]
    library.draws.argtypes = [*[_WHOLE] * 3, *[_POINTER] * 6]
    library.draws.restype = None
    library.advance.argtypes = [_POINTER, _POINTER, _WHOLE, *[_POINTER] * 4, _WHOLE, *[_POINTER] * 4]
    library.back.argtypes = [*[_POINTER] * 3, _WHOLE, *[_POINTER] * 4, _WHOLE, *[_POINTER] * 6]
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
        self._many: Callable[[Tensor], Tensor] | None
        self.half = dtype == torch.bfloat16
        self.out, self.size = sum(map(len, weights)), weights[0].shape[1]
        self.panels = torch.empty(self.out * self.size, dtype=dtype)
        self.bias = None if bias is None else torch.empty(self.out, dtype=torch.float32)
        self.pack(weights, bias)

    def pack(self, weights: list[Tensor], bias: Tensor | None) -> None:
        """Take weights and bias, or others of the same shapes."""
        self._many = None
        pack, start = self._library.pack_half if self.half else self._library.pack, self.panels.data_ptr()
        for weight in weights:
            weight = weight.detach().float().contiguous()
            pack(*weight.shape, weight.data_ptr(), start)
            start += weight.numel() * self.panels.element_size()
        if self.bias is not None:
            self.bias.copy_(bias.detach())  # type: ignore[union-attr]

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
        result = torch.empty(len(given), self.out, dtype=torch.float32)
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
        return _Given(self, window, tokens, places, rows, None, wanted, half).advance(layers)

    def read(
        self,
        tokens: np.ndarray,
        starts: np.ndarray,
        before: np.ndarray,
        places: np.ndarray,
        wanted: np.ndarray,
        weights: Sequence[Tensor | None] | None = None,
    ) -> Tensor:
        """Hidden states ``(wanted, hidden)`` of tokens, each of which attends to all that leads to it.

        Args:
            tokens, places: ``(tokens,)`` int64.
            starts: ``(tokens,)`` int64, the token with which the run begins that each lies in.
            before: ``(tokens,)`` int64, the token that the run goes on from, or -1.
            wanted: ``(wanted,)`` int64, ascending: the tokens whose states are asked for.
            weights: ``Decoder.weights``, for states with gradient, or ``None``.

        Raises:
            IndexError: a token or a place that the model does not have.
        """
        reading = _Reading(self, tokens, starts, before, places, wanted)
        return reading.forward() if weights is None else _Read.apply(reading, *weights)

    def _keep(self, values: Tensor) -> int:
        self._kept.append(values.detach().float().contiguous())
        return int(self._kept[-1].data_ptr())


class _Room:
    """Memory for the numbers of a pass, which the next one uses again: new pages take as long as half the products."""

    _free: ClassVar[deque[Tensor]] = deque(maxlen=8)
    floats = torch.empty(0)

    def __init__(self, floats: int) -> None:
        others = []
        try:
            while not floats <= (found := self._free.popleft()).numel() <= 4 * floats:
                others.append(found)
        except IndexError:
            found = torch.empty(floats, dtype=torch.float32)
        self._free.extend(others)
        self.floats, self.start = found, found.data_ptr()

    def __del__(self) -> None:
        if self.floats.numel() <= _HELD:
            self._free.appendleft(self.floats)


class _Given:
    """Tokens as ``native.c`` takes them: see ``NativeStep.advance`` and ``NativeStep.read``."""

    def __init__(
        self,
        step: NativeStep,
        window: int,
        tokens: np.ndarray,
        places: np.ndarray,
        rows: np.ndarray,
        before: np.ndarray | None,
        wanted: np.ndarray,
        keeps_half: bool = False,
    ) -> None:
        self.step = step
        self.model = _Model.from_buffer_copy(step._model)
        self.model.window, self.model.keeps_half = window, keeps_half
        self.model.threads = _threads(len(tokens) * step._widest)
        self._arrays = [
            None if each is None else np.ascontiguousarray(each, np.int64)
            for each in (tokens, places, rows, before, wanted)
        ]
        *starts, wants = (None if each is None else each.ctypes.data for each in self._arrays)
        self._pointers = len(tokens), *starts, len(wanted), wants
        self._shape = len(wanted), self.model.hidden

    def room(self, kept: bool = False) -> int:
        """Floats of room to work in, or for what ``back`` needs."""
        rooms = self.step._library.kept_room if kept else self.step._library.room
        return int(rooms(ctypes.byref(self.model), self._pointers[0]))

    def advance(self, layers: Any, kept: int | None = None) -> Tensor:
        """Hidden states ``(wanted, hidden)``; what ``back`` needs is left where ``kept`` starts."""
        model, hidden, work = self.model, torch.empty(self._shape, dtype=torch.float32), _Room(self.room())
        pointers = *self._pointers, work.start, kept, hidden.data_ptr()
        wrong = self.step._library.advance(ctypes.byref(model), layers, *pointers)
        if wrong == _OUT_OF_RANGE:
            tokens, places, last = *self._arrays[:2], min(model.window, model.positions) - 1
            raise IndexError(f"ids must be 0 to {model.words - 1} and places 0 to {last}: {tokens}, {places}")
        if wrong:
            raise MemoryError(f"no memory to read {self._pointers[0]} tokens")
        return hidden

    def back(self, learned: Any, kept: int, gradient: Tensor, embedded: int, norm: int) -> None:
        """Add what the gradient of ``advance`` makes of those of the weights."""
        work = _Room(self.room())
        pointers = *self._pointers, work.start, kept, gradient.contiguous().data_ptr(), embedded, norm
        if self.step._library.back(ctypes.byref(self.model), self.step._layers, learned, *pointers):
            raise MemoryError(f"no memory for the gradients of {self._pointers[0]} tokens")


class _Reading:
    """Sequences through the layers and back, in parts that stay in the processor's cache: see ``NativeStep.read``."""

    def __init__(
        self,
        step: NativeStep,
        tokens: np.ndarray,
        starts: np.ndarray,
        before: np.ndarray,
        places: np.ndarray,
        wanted: np.ndarray,
    ) -> None:
        self.step, self.count, window = step, len(wanted), int(places.max()) + 1
        self.parts: list[tuple[Any, _Given]] = []
        if len(tokens) <= _PART:
            self.parts.append((slice(None), _Given(step, window, tokens, places, starts, before, wanted)))
            return
        roots = starts.copy()  # tokens with the same have some in common
        while (inner := before[roots] >= 0).any():
            roots[inner] = starts[before[roots[inner]]]
        ends = np.cumsum(np.bincount(roots, minlength=len(tokens)))
        part = (ends[roots] - 1) // _PART
        place = np.empty_like(starts)
        for number in np.unique(part[wanted]):
            own, rows = np.flatnonzero(part == number), np.flatnonzero(part[wanted] == number)
            place[own] = np.arange(len(own))
            earlier = np.where(before[own] < 0, -1, place[before[own]])
            arrays = tokens[own], places[own], place[starts[own]], earlier, place[wanted[rows]]
            self.parts.append((torch.as_tensor(rows), _Given(step, window, *arrays)))

    def kept(self) -> _Room:
        """Room for what ``backward`` needs."""
        return _Room(sum(part.room(kept=True) for _, part in self.parts))

    def forward(self, kept: _Room | None = None) -> Tensor:
        """Hidden states ``(wanted, hidden)``."""
        hidden = torch.empty(self.count, self.step._model.hidden, dtype=torch.float32)
        start = None if kept is None else kept.start
        for rows, part in self.parts:
            hidden[rows] = part.advance(self.step._layers, start)
            start = start and start + _FLOAT * part.room(kept=True)
        return hidden

    def backward(self, kept: _Room, gradient: Tensor, weights: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Gradients of the weights, from that of what ``forward`` made."""
        sizes = [0 if each is None else each.numel() for each in weights]
        parts = torch.zeros(sum(sizes), dtype=torch.float32).split(sizes)
        learned = (_Learned * len(self.step._layers))()
        for layer, first in zip(learned, range(2, len(parts), 2 * _MAPS + 2), strict=True):
            layer.weights[:] = [_start(own) for own in weights[first : first + _MAPS]]
            starts = [_start(own) if own.numel() else None for own in parts[first : first + 2 * _MAPS + 2]]
            layer.gradients[:], layer.biases[:] = starts[:_MAPS], starts[_MAPS:-2]
            layer.before, layer.between = starts[-2:]
        start = kept.start
        for rows, part in self.parts:
            part.back(learned, start, gradient[rows], parts[0].data_ptr(), parts[1].data_ptr())
            start += _FLOAT * part.room(kept=True)
        return [None if to is None else own.view_as(to) for own, to in zip(parts, weights, strict=True)]


class _Read(torch.autograd.Function):
    """``_Reading`` with gradient."""

    @staticmethod
    def forward(context: Any, reading: _Reading, *weights: Tensor | None) -> Tensor:
        context.reading, context.kept = reading, reading.kept()
        context.save_for_backward(*weights)
        return reading.forward(context.kept)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        return None, *context.reading.backward(context.kept, gradient, context.saved_tensors)


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
