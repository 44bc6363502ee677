"""Caches in which every row has its own length, restarts alone, and pays only for what is new in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

if TYPE_CHECKING:
    from agents.backbones.base import Backbone
    from agents.backbones.causal import CausalBackbone
    from agents.backbones.recurrent import RecurrentBackbone

_REFILL = 16  # rows with more new tokens than this are computed apart from those that got one or two


class _Rows:
    """What each row holds: its ids, how many they are, and the version of the weights that read them."""

    def __init__(self, backbone: Backbone, rows: int, window: int) -> None:
        device = next(backbone.parameters()).device
        self.backbone: Any = backbone
        self.window = window
        self.ids = torch.full((rows, window), -1, dtype=torch.int64, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.int64, device=device)
        self.version = -1

    def take(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Hold new ids ``(rows, width)`` of ``lengths`` ``(rows,)``; how many first ids of each row are as they were,
        and how many ids there were, each ``(rows,)``. A change of the weights empties all rows before."""
        version = sum(parameter._version for parameter in self.backbone.parameters())
        if version != self.version:
            self.version = version
            self.lengths.zero_()
        width = ids.shape[1]
        same = (ids == self.ids[:, :width]).long().cumprod(dim=1).sum(dim=1)
        before = self.lengths.clone()
        self.ids[:, :width] = ids
        self.lengths.copy_(lengths)
        return torch.minimum(torch.minimum(same, before), lengths), before


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
        seen = torch.arange(self.visible, device=ids.device) <= positions[:, :, None]
        mask = seen[:, None]  # (rows, 1, new tokens, visible)
        if self.backbone.model.config._attn_implementation == "eager":
            mask = torch.zeros(mask.shape, device=ids.device).masked_fill(~mask, torch.finfo(torch.float32).min)
        hidden = self.backbone(tokens, cache=self, attention_mask=mask, position_ids=positions)
        return hidden[torch.arange(len(rows), device=ids.device), new - 1]


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
            self.hidden[changed] = self.backbone.states(ids, changed, lengths[changed] - 1)
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
