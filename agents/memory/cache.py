"""A key-value cache in which every row has its own length, restarts alone, and pays only for its new tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

if TYPE_CHECKING:
    from agents.backbones.causal import CausalBackbone

_REFILL = 16  # rows with more new tokens than this are computed apart from those that got one or two


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


class RowCache(Cache):
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
        super().__init__(layers=layers)
        device = next(backbone.parameters()).device
        self.backbone = backbone
        self.window = window
        self.ids = torch.full((rows, window), -1, dtype=torch.int64, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.int64, device=device)
        self.hidden = torch.zeros(rows, backbone.hidden_size, device=device)
        self.version = -1
        # What the running forward pass writes: which rows, which slots, and how many slots its queries can see.
        self.rows = torch.arange(rows, device=device)
        self.slots = self.rows[:, None]
        self.visible = 0

    @torch.no_grad()
    def last_hidden(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Hidden states ``(rows, hidden)`` at each row's last token.

        Args:
            ids: ``(rows, up to window)`` int64, right-padded.
            lengths: ``(rows,)`` int64, number of real tokens of each row, at least 1.
        """
        version = sum(parameter._version for parameter in self.backbone.parameters())
        if version != self.version:
            self.version = version
            self.lengths.zero_()
        width = int(lengths.max())
        ids = ids[:, :width]
        same = (ids == self.ids[:, :width]).long().cumprod(dim=1).sum(dim=1)
        starts = torch.minimum(torch.minimum(same, self.lengths), lengths - 1)
        changed = ((same < lengths) | (self.lengths != lengths)).nonzero().flatten()
        self.ids[:, :width] = ids
        self.lengths.copy_(lengths)

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
