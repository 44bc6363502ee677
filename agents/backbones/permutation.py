"""Permutation language models (XLNet): a query stream that knows where the next token stands, not what it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from agents.backbones.base import Backbone
from agents.memory.cache import ContextCache


class PermutationBackbone(Backbone):
    """XLNet, factorised from left to right.

    XLNet is trained for any order of factorisation (Yang et al. 2019, "XLNet: Generalized Autoregressive Pretraining",
    sec. 2.3); an agent writes from left to right, so that is the order here. The content stream of a token sees the
    tokens up to it and itself, the query stream of a place sees the tokens before it. The state of a step is the query
    stream one place after it: one pass over a sequence gives all its steps, without look-ahead.
    """

    kind = "permutation"
    model_type = "xlnet"

    @classmethod
    def reads(cls, config: Any) -> bool:
        """XLNet."""
        return config.model_type == "xlnet"

    @property
    def max_length(self) -> None:
        """No limit: positions are relative."""
        return None

    def states(self, ids: Tensor, segment: Tensor, position: Tensor) -> Tensor:
        """One pass over the sequences gives every step."""
        sequences, width = ids.shape[0], int(position.max()) + 2
        ids = pad(ids[:, : width - 1], (0, width - min(width - 1, ids.shape[1])))
        # HF adds up what two queries at one place find, so each place is asked once.
        places, which = torch.unique(segment * width + position + 1, return_inverse=True)
        rows, places = places // width, places % width
        counts = torch.bincount(rows, minlength=sequences)
        slots = torch.arange(len(rows), device=ids.device) - (counts.cumsum(0) - counts)[rows]
        mapping = torch.zeros(sequences, int(counts.max()), width, device=ids.device)
        mapping[rows, slots, places] = 1.0
        order = torch.arange(width, device=ids.device).expand(sequences, width)
        return self.queries(ids, order, mapping)[rows, slots][which]

    def queries(self, ids: Tensor, order: Tensor, mapping: Tensor) -> Tensor:
        """Query streams ``(sequences, queries, hidden)`` float32.

        Args:
            ids: ``(sequences, tokens)`` int64.
            order: ``(sequences, tokens)``; a token sees those of smaller rank.
            mapping: ``(sequences, queries, tokens)`` float32, 1 at each query's place; no place has two queries, and
                none the smallest rank, which sees nothing.
        """
        hides = (order[:, None, :] >= order[:, :, None]).float()  # (sequences, tokens that look, tokens looked at)
        with self.running(ids):
            output = self.model.base_model(
                input_ids=ids, perm_mask=hides, target_mapping=mapping, use_mems=False, return_dict=True
            )
        return output.last_hidden_state.float()

    def new_cache(self, rows: int, length: int) -> ContextCache:
        """A cache that reads anew those contexts that have changed: XLNet's memory cannot hold rows of unequal
        length."""
        return ContextCache(self, rows, length)
