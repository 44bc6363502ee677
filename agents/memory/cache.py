"""Caches in which every row has its own length, restarts alone, and pays only for what is new in it."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers.cache_utils import Cache, CacheLayerMixin

from agents.memory.branches import Branches
from agents.memory.layout import Trees, families

if TYPE_CHECKING:
    from agents.backbones.base import Backbone
    from agents.backbones.causal import CausalBackbone
    from agents.backbones.decoder import Decoder
    from agents.backbones.recurrent import RecurrentBackbone

_VERSION = attrgetter("_version")
_REFILL = 16  # rows with more new tokens than this are computed apart from those that got one or two
_STATIC = 128  # a static step attends to a multiple of so many slots, so that there are few different ones
_PRODUCTS = 256  # up to so many visible slots two batched products are faster than the fused attention of processors


class Version:
    """Tells whether the weights of a model have changed."""

    def __init__(self, model: nn.Module) -> None:
        # Walking through all modules at every token would cost a large model milliseconds.
        self._weights = list(model.parameters())

    def __call__(self) -> int:
        """A number that grows with every change."""
        return sum(map(_VERSION, self._weights))


class _Rows:
    """What each row holds: its ids, how many they are, and the version of the weights that read them."""

    def __init__(self, backbone: Backbone, rows: int, window: int) -> None:
        device = backbone.device
        self.backbone: Any = backbone
        self.window = window
        self.ids = torch.full((rows, window), -1, dtype=torch.int64, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.int64, device=device)
        self.version = -1
        self._version = Version(backbone)

    def take(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Hold new ids ``(rows, width)`` of ``lengths`` ``(rows,)``; how many first ids of each row are as they were,
        and how many ids there were, each ``(rows,)``. A change of the weights empties all rows before."""
        self.renew()
        width = ids.shape[1]
        same = (ids == self.ids[:, :width]).long().cumprod(dim=1).sum(dim=1)
        before = self.lengths.clone()
        self.ids[:, :width] = ids
        self.lengths.copy_(lengths)
        return torch.minimum(torch.minimum(same, before), lengths), before

    def beyond(self, found: Branches) -> Tensor | None:
        """There are no keys here that tokens behind a row could attend to without being written into it."""
        return None

    def renew(self) -> None:
        """Empty all rows if the weights have changed."""
        version = self._version()
        if version != self.version:
            self.version = version
            self.lengths.zero_()


class _RowLayer(CacheLayerMixin):
    """Keys and values of one attention layer, ``(rows, heads, length + 1, head size)``; the last slot takes padding."""

    def __init__(self, cache: RowCache) -> None:
        super().__init__()
        self.cache = cache

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        rows, slots = self.cache.lengths.shape[0], self.cache.window + 1
        _, heads, _, size = key_states.shape
        self.keys = key_states.new_zeros(rows, heads, slots, size)
        self.values = value_states.new_zeros(rows, heads, slots, value_states.shape[-1])
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        rows, slots, visible = self.cache.rows, self.cache.slots, self.cache.visible
        self.keys[rows[:, None], :, slots] = key_states.transpose(1, 2)
        self.values[rows[:, None], :, slots] = value_states.transpose(1, 2)
        if len(rows) == len(self.keys):
            return self.keys[:, :, :visible], self.values[:, :, :visible]
        return self.keys[rows, :, :visible], self.values[rows, :, :visible]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.cache.visible, 0

    def get_seq_length(self) -> int:
        return self.cache.visible if self.is_initialized else 0

    def get_max_length(self) -> int:
        return self.cache.window

    get_max_cache_shape = get_max_length  # what it is called in transformers 5.0


class RowCache(Cache, _Rows):
    """Hidden states of growing token sequences, one row per environment, without computing any prefix twice.

    Each call compares the new ids with those cached and computes a row from its first difference on: a longer row
    costs its new tokens, a restarted row is refilled alone, a row whose window slid keeps what still matches, a row in
    which nothing changed costs nothing. The hidden states equal those of a full forward pass (to rounding). A change of
    the weights empties the cache.

    Args:
        backbone: the model; it is called with ``cache=self``.
        rows: number of sequences.
        window: longest sequence in tokens.
    """

    def __init__(self, backbone: CausalBackbone, rows: int, window: int) -> None:
        layers: list[Any] = [_RowLayer(self) for _ in range(backbone.model.config.num_hidden_layers)]
        Cache.__init__(self, layers=layers)
        _Rows.__init__(self, backbone, rows, window)
        self.hidden = torch.zeros(rows, backbone.hidden_size, device=self.ids.device)
        # What the running forward pass writes: which rows, which slots, and how many slots its queries can see.
        self.rows = torch.arange(rows, device=self.ids.device)
        self.slots = self.rows[:, None]
        self.visible = 0

    @torch.no_grad()
    def last_hidden(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Hidden states ``(rows, hidden)`` at each row's last token.

        Args:
            ids: ``(rows, up to window)`` int64, right-padded.
            lengths: ``(rows,)`` int64, number of real tokens of each row, at least 1.
        """
        ids = ids[:, : int(lengths.max())]
        known, before = self.take(ids, lengths)
        changed = ((known < lengths) | (before != lengths)).nonzero().flatten()
        starts = torch.minimum(known, lengths - 1)
        new = lengths - starts
        long = new[changed] > _REFILL
        for rows in (changed[~long], changed[long]):
            if len(rows):
                self.hidden[rows] = self._extend(ids, rows, starts[rows], new[rows])
        return self.hidden.clone()

    def _extend(self, ids: Tensor, rows: Tensor, starts: Tensor, new: Tensor) -> Tensor:
        offsets = torch.arange(int(new.max()), device=ids.device)
        positions = starts[:, None] + offsets  # (rows, new tokens)
        real = offsets < new[:, None]
        self.rows = rows
        self.slots = torch.where(real, positions, self.window)
        self.visible = int((starts + new).max())
        positions = positions.clamp(max=self.visible - 1)
        tokens = torch.where(real, ids[rows[:, None], positions], 0)
        hidden = self.backbone(tokens, cache=self, attention_mask=self._mask(positions), position_ids=positions)
        return hidden[torch.arange(len(rows), device=ids.device), new - 1]

    def _mask(self, positions: Tensor) -> Any:
        """What tokens at ``positions`` ``(rows, new tokens)`` attend to, ``(rows, 1, new tokens, visible)``; for each
        kind of layer where a model has several."""
        config = self.backbone.model.config
        places = torch.arange(self.visible, device=positions.device)
        ends = positions[:, None, :, None]
        full = near = places <= ends
        window = getattr(config, "sliding_window", None)
        if window is not None:
            near = full & (places > ends - window)
        if config._attn_implementation == "eager":
            shown, least = torch.zeros(full.shape, device=full.device), torch.finfo(torch.float32).min
            full, near = shown.masked_fill(~full, least), shown.masked_fill(~near, least)
        kinds = {*(getattr(config, "layer_types", None) or ())}
        if kinds == {"full_attention"}:
            return full
        return {"full_attention": full, "sliding_attention": near} if kinds else near


class FlatCache(_Rows):
    """As ``RowCache``, for models whose layers run over flat tokens: see ``Decoder``.

    All new tokens of all rows go through the layers side by side, without padding; keys and values lie where they stay,
    and of a window only the visible part is attended to. Rows that are filled together and begin alike, such as the
    episodes of a group, read what they share once.

    Args:
        backbone: the model.
        decoder: its layers.
        rows: number of sequences.
        window: longest sequence in tokens.

    Attributes:
        static: compute a token of every row always in the same memory and, where there is CUDA, as one recorded graph:
            for accelerators, on which starting a kernel costs more than a small one takes.
    """

    def __init__(self, backbone: CausalBackbone, decoder: Decoder, rows: int, window: int) -> None:
        super().__init__(backbone, rows, window)
        device = self.ids.device
        self.decoder = decoder
        # The bookkeeping is the host's: there it costs a tenth of what it would cost in tensors.
        self.ids, self.lengths = self.ids.cpu(), self.lengths.cpu()
        self.device = device
        self.dtype = backbone.autocast or torch.float32
        # By torch, attention over bfloat16 is slower than over float32 on processors, and faster on accelerators.
        self._computed = torch.float32 if device.type == "cpu" else self.dtype
        kept = self.dtype if decoder.compiled(self.dtype) else self._computed
        layers = backbone.model.config.num_hidden_layers
        shape = (layers, rows, decoder.key_heads, window, decoder.size)
        self.keys, self.values = (torch.zeros(shape, dtype=kept, device=device).unbind() for _ in range(2))
        self.hidden = torch.zeros(rows, backbone.hidden_size, device=device)
        self._slots = torch.zeros(0)
        self._groups: list[_Group] = []
        self._copied: list[tuple[int, Tensor, int]] = []
        self.static = False
        self._steps: dict[int, _StaticStep] = {}
        self._steps_version: Any = None

    @torch.no_grad()
    def last_hidden(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """As ``RowCache.last_hidden``."""
        self.renew()
        new_lengths = lengths.cpu().numpy()
        width = int(new_lengths.max())
        new_ids = ids[:, :width].cpu().numpy()
        old_ids, old_lengths = self.ids.numpy(), self.lengths.numpy()
        if not old_lengths.any():  # told to forget: there are optimizers whose changes the weights do not count
            self.decoder.copies.forget()
        differs = new_ids != old_ids[:, :width]
        same = np.where(differs.any(axis=1), differs.argmax(axis=1), width)
        starts = np.minimum(np.minimum(same, old_lengths), new_lengths)
        rows = np.flatnonzero(((starts < new_lengths) | (old_lengths != new_lengths)) & (new_lengths > 0))
        old_ids[:, :width] = new_ids
        old_lengths[:] = new_lengths
        if len(rows):
            ends = new_lengths[rows]
            self._compute(new_ids, rows, np.minimum(starts[rows], ends - 1), ends)
        return self.hidden

    @torch.no_grad()
    def beyond(self, found: Branches) -> Tensor:
        """Hidden states ``(nodes beyond the contexts, hidden)``, where each step of ``found`` is a row as it was last
        read. What branches is not kept."""
        trees = Trees(found, np.arange(len(self.hidden)), self.lengths.numpy() - 1, self.device)
        rows, visible = self._tensor(trees.sequences), int(trees.lengths.max())

        def attend(layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            contexts = [each[layer][rows, :, :visible].to(self._computed) for each in (self.keys, self.values)]
            own = [each.to(self._computed) for each in (queries, keys, values)]
            return trees.attend(own, contexts, self.decoder.scale)

        tokens, positions, nodes = map(self._tensor, (trees.tokens, trees.positions, trees.nodes))
        return self.decoder.generate(tokens, positions, attend, nodes, self.dtype)

    def _compute(self, ids: np.ndarray, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """Read ``ids`` of ``rows`` from ``starts`` to ``ends``, each ``(rows,)``, at least one token a row."""
        starts = self._share(ids, rows, starts, ends)
        if self._copied and self.device.type == "cpu":
            self._read_shared(ids, rows, starts, ends)
        new = ends - starts
        if self.static and len(rows) == len(self.hidden) == new.sum() and not self._copied:
            self.hidden = self._static_step(ids[rows, starts], starts, ends)
            return
        offsets = np.cumsum(new)
        single = offsets[-1] == len(rows)
        places = starts if single else np.arange(offsets[-1]) - np.repeat(offsets - ends, new)
        of = rows if single else np.repeat(rows, new)
        tokens, hidden = ids[of, places], None
        if self.device.type == "cpu" and not self._copied:
            kept = self.keys, self.values
            hidden = self.decoder.advance(tokens, of, places, offsets - 1, kept, self.dtype)
        if hidden is None:
            heads = np.arange(self.decoder.key_heads)
            self._slots = self._tensor(((of[:, None] * len(heads) + heads) * self.window + places[:, None]).ravel())
            last = self._tensor(offsets - 1)
            self._groups = [self._single(rows, ends, last)]
            longer = np.flatnonzero(new > 1)
            for chosen in (longer[new[longer] <= _REFILL], longer[new[longer] > _REFILL]):
                if len(chosen):
                    self._groups.append(self._several(rows[chosen], starts[chosen], ends[chosen], offsets[chosen]))
            given, wanted = (self._tensor(tokens), self._tensor(places)), None if single else last
            hidden = self.decoder.generate(*given, self._attend, wanted, self.dtype)
        if len(rows) == len(self.hidden):
            self.hidden = hidden
        else:  # what was handed out stays as it is
            self.hidden = self.hidden.index_copy(0, self._tensor(rows), hidden)

    def _static_step(self, tokens: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Tensor:
        """Hidden states after one more token in every row."""
        visible = min(-(-int(ends.max()) // _STATIC) * _STATIC, self.window)
        self.decoder.copies.current(self.dtype)
        if self._steps_version != self.decoder.copies.version:  # what was recorded reads weights that are gone
            self._steps, self._steps_version = {}, self.decoder.copies.version
        if visible not in self._steps:
            self._steps[visible] = _StaticStep(self, visible)
        return self._steps[visible](tokens, starts, ends)

    def _share(self, ids: np.ndarray, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Let rows that begin alike and hold nothing yet copy what the first of them reads; where each starts then."""
        self._copied = []
        empty = np.flatnonzero((starts == 0) & (ends > _REFILL))
        if len(empty) < 2:
            return starts
        kin = families(ids[rows[empty]], ends[empty])
        starts = starts.copy()
        for number, shared in enumerate(kin.shared.tolist()):
            members = empty[kin.family == number]
            starts[members[1:]] = np.minimum(shared, ends[members[1:]] - 1)
            self._copied.append((int(rows[members[0]]), self._tensor(rows[members[1:]]), shared))
        return starts

    def _read_shared(self, ids: np.ndarray, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """Read what rows share by compiled code, where there is some, and go on behind it in ``starts``."""
        sources, _, shared = zip(*self._copied, strict=True)
        of, places = np.repeat(sources, shared), np.concatenate([np.arange(size) for size in shared])
        kept = self.keys, self.values
        if self.decoder.advance(ids[of, places], of, places, np.zeros(0, np.int64), kept, self.dtype) is None:
            return
        for source, others, size in self._copied:
            for held in (*self.keys, *self.values):
                held[others, :, :size] = held[source, :, :size].clone()  # torch refuses dense overlaps
            first = rows == source
            starts[first] = np.minimum(size, ends[first] - 1)
        self._copied = []

    def _single(self, rows: np.ndarray, ends: np.ndarray, last: Tensor) -> _Group:
        """The last new token of every row."""
        visible = int(ends.max())
        products = self.device.type == "cpu" and visible <= _PRODUCTS
        mask = None
        if int(ends.min()) < visible:
            rows_of = np.repeat(ends, self.decoder.key_heads) if products else ends
            seen = np.arange(visible) < rows_of[:, None]
            mask = self._tensor(np.where(seen, np.float32(0), np.float32(-np.inf)))[:, None]
            mask = mask if products else mask[:, None]
        every = len(rows) == len(self.hidden)
        return _Group(None if every else self._tensor(rows), visible, mask, last[:, None], products=products)

    def _several(self, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray, offsets: np.ndarray) -> _Group:
        """All new tokens of some rows but the last of each."""
        new = ends - starts - 1
        visible = int(ends.max()) - 1
        inside = np.arange(int(new.max())) < new[:, None]  # (rows, new tokens)
        index = np.where(inside, (offsets - new - 1)[:, None] + np.arange(inside.shape[1]), (offsets - 1)[:, None])
        positions = np.where(inside, starts[:, None] + np.arange(inside.shape[1]), 0)
        seen = np.arange(visible) <= positions[:, :, None]
        mask = self._tensor(np.where(seen, np.float32(0), np.float32(-np.inf)))[:, None]
        real = self._tensor(index[inside]), self._tensor(np.flatnonzero(inside))
        return _Group(self._tensor(rows), visible, mask, self._tensor(index), *real)

    def _attend(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        size = self.decoder.size
        kept = self.keys[layer], self.values[layer]  # each (rows, key heads, window, size)
        for held, fresh in zip(kept, (keys, values), strict=True):
            held.view(-1, size).index_copy_(0, self._slots, fresh.reshape(-1, size).to(held.dtype))
            for source, rows, shared in self._copied:
                held[rows, :, :shared] = held[source, :, :shared].clone()  # torch refuses dense overlaps
        queries = queries.to(self._computed)
        first, *others = self._groups
        seen = first.attend(queries, *kept, self.decoder.scale)
        if not others and len(seen) == len(queries):
            return seen
        output = seen.new_empty(len(queries), seen.shape[1])
        output[first.tokens[:, 0]] = seen
        for group in others:
            found = group.attend(queries, *kept, self.decoder.scale)
            output[group.real_tokens] = found[group.real]
        return output

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, device=self.device)


class _StaticStep:
    """One token of every row, always in the same memory, with ``visible`` slots to attend to."""

    def __init__(self, cache: FlatCache, visible: int) -> None:
        rows = len(cache.hidden)
        self.cache, self.visible = cache, visible
        self.tokens, self.positions = (torch.zeros(rows, dtype=torch.int64, device=cache.device) for _ in range(2))
        self.mask = torch.zeros(rows, 1, 1, visible, device=cache.device)
        every = torch.arange(rows, device=cache.device)[:, None]
        self.group = _Group(None, visible, self.mask, every)
        heads = torch.arange(cache.decoder.key_heads, device=cache.device)
        self.first = (every * len(heads) + heads) * cache.window  # slot of each row and key head, (rows, key heads)
        self.graph: Any = None

    def __call__(self, tokens: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Tensor:
        seen = np.arange(self.visible) < ends[:, None]
        self.tokens.copy_(torch.as_tensor(tokens))
        self.positions.copy_(torch.as_tensor(starts))
        self.mask.copy_(torch.as_tensor(np.where(seen, np.float32(0), np.float32(-np.inf)))[:, None, None])
        if self.cache.device.type != "cuda":
            return self._run()
        if self.graph is None:
            self._record()
        self.graph.replay()
        return self.output.clone()

    def _run(self) -> Tensor:
        cache, decoder = self.cache, self.cache.decoder
        cache._slots = (self.first + self.positions[:, None]).flatten()
        cache._groups, cache._copied = [self.group], []
        return decoder.generate(self.tokens, self.positions, cache._attend, None, cache.dtype)

    def _record(self) -> None:
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):  # libraries set themselves up in a first run, which no graph may hold
            self._run()
        torch.cuda.current_stream().wait_stream(beside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.output = self._run()


@dataclass(frozen=True)
class _Group:
    """Rows that attend together.

    Attributes:
        rows: ``(rows,)``, or ``None`` for all of the cache.
        visible: slots that the longest of them sees.
        mask: ``(rows, 1, 1 or new, visible)`` float, 0 or minus infinity; ``None`` where every row sees all slots.
        tokens: ``(rows, new)``, where their new tokens lie among all; what is padding repeats one.
        real_tokens, real: ``(real tokens,)``: ``tokens`` without padding, and its places there.
        products: attend by two batched products, one new token a row; the mask is ``(rows * key heads, 1, visible)``.
    """

    rows: Tensor | None
    visible: int
    mask: Tensor | None
    tokens: Tensor
    real_tokens: Tensor | None = None
    real: Tensor | None = None
    products: bool = False

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """``(rows * new, heads * size)`` from queries ``(tokens, heads, size)`` and keys and values ``(cache's rows,
        key heads, slots, size)``."""
        if self.rows is not None:
            keys, values = keys[self.rows, :, : self.visible], values[self.rows, :, : self.visible]
        if keys.dtype != queries.dtype:
            keys, values = (each[:, :, : self.visible].to(queries.dtype) for each in (keys, values))
        rows, new = self.tokens.shape
        heads, size = queries.shape[1:]
        asked = queries[self.tokens.flatten()] if new > 1 or len(queries) > rows else queries
        if self.products:
            return self._products(asked, keys, values, scale)
        keys, values = keys[:, :, : self.visible], values[:, :, : self.visible]
        mask = None if self.mask is None else self.mask.to(queries.dtype)
        if new == 1:  # the queries that share a key head are its rows, so that no key is repeated
            asked = asked.reshape(rows, keys.shape[1], -1, size)
            return scaled_dot_product_attention(asked, keys, values, attn_mask=mask, scale=scale).reshape(rows, -1)
        asked = asked.view(rows, new, heads, size).transpose(1, 2)
        seen = scaled_dot_product_attention(
            asked, keys, values, attn_mask=mask, scale=scale, enable_gqa=heads != keys.shape[1]
        )
        return seen.transpose(1, 2).reshape(rows * new, heads * size)

    def _products(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        rows, heads, _, size = keys.shape
        count, (_, head, slot, _) = rows * heads, keys.stride()
        queries = queries.reshape(count, -1, size)
        across = keys.as_strided((count, size, self.visible), (head, 1, slot))  # without a copy, as are the values
        if self.mask is None:
            scores = torch.bmm(queries, across).mul_(scale)
        else:
            scores = torch.baddbmm(self.mask, queries, across, alpha=scale)
        seen = values.as_strided((count, self.visible, size), (head, slot, 1))
        return torch.bmm(scores.softmax(dim=-1), seen).view(rows, -1)


class ContextCache(_Rows):
    """Hidden states of rows that are read anew as soon as anything in them changes.

    For models in which every state depends on the whole context, so that nothing but an unchanged row's result can be
    kept: rows that have ended their utterance, and those of a second look at the same observations.

    Args:
        backbone: the model.
        rows: number of sequences.
        window: longest sequence in tokens.
    """

    def __init__(self, backbone: Backbone, rows: int, window: int) -> None:
        super().__init__(backbone, rows, window)
        self.hidden = torch.zeros(rows, backbone.hidden_size, device=self.ids.device)

    @torch.no_grad()
    def last_hidden(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """As ``RowCache.last_hidden``."""
        ids = ids[:, : int(lengths.max())]
        same, before = self.take(ids, lengths)
        changed = ((same < lengths) | (before != lengths)).nonzero().flatten()
        if len(changed):
            rows = torch.arange(len(changed), device=ids.device)
            self.hidden[changed] = self.backbone.states(ids[changed], rows, lengths[changed] - 1)
        return self.hidden.clone()


class RecurrentCache(_Rows):
    """Hidden states of growing rows from a recurrent network's state at the end of each.

    A row that goes on from what was read costs its new tokens; any other is read from its start.

    Args:
        backbone: the model.
        rows: number of sequences.
        window: longest sequence in tokens.
    """

    def __init__(self, backbone: RecurrentBackbone, rows: int, window: int) -> None:
        super().__init__(backbone, rows, window)
        config = backbone.model.config
        self.state = torch.zeros(config.num_hidden_layers, rows, config.hidden_size, device=self.ids.device)

    @torch.no_grad()
    def last_hidden(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """As ``RowCache.last_hidden``."""
        ids = ids[:, : int(lengths.max())]
        same, before = self.take(ids, lengths)
        goes_on = same >= before
        starts = torch.where(goes_on, before, 0)
        self.state[:, starts == 0] = 0.0
        rows = (lengths > starts).nonzero().flatten()
        if len(rows):
            starts, new = starts[rows], (lengths - starts)[rows]
            places = starts[:, None] + torch.arange(int(new.max()), device=ids.device)
            tokens = ids[rows[:, None], places.clamp(max=ids.shape[1] - 1)]
            self.state[:, rows] = self.backbone.advance(tokens, new, self.state[:, rows])
        return self.state[-1].clone()
