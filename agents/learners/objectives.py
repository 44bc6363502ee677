"""What a backbone learns of transcripts in pretraining: the objective that belongs to its kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.backbones import Backbone, MaskedBackbone, PermutationBackbone
from agents.memory.packed import pad_sequences
from textenvs.tokens.tokenizer import Tokenizer

_MASKED = 0.15  # share of the tokens before the last that are hidden (Devlin et al. 2019, sec. 3.1)
_UNRELATED = 0.25  # share of transcripts whose beginning is another one's
_LAST = 6  # one of so many tokens, those last in a random order, is predicted (Yang et al. 2019, sec. 2.3)


def spoken(ids: Tensor, tokenizer: Tokenizer) -> Tensor:
    """Which of ``ids`` ``(batch, tokens)`` the agent wrote, end tokens included, as bool of that shape."""
    opened = (ids == tokenizer.agent_prefix[-1]).long()
    closed = (ids == tokenizer.end_id).long()
    before = (opened.cumsum(dim=1) - opened) - (closed.cumsum(dim=1) - closed)
    return (before > 0) & (ids != tokenizer.pad_id)


class Objective(nn.Module, ABC):
    """A loss of transcripts; its parameters are the backbone's and what else it needs to learn. What is drawn is drawn
    on the processor, so that it is the same wherever the backbone computes.

    Args:
        backbone: what learns.
        tokenizer: that of the transcripts.
        context_share: of what the environment says a random share so large counts as much as the agent's own words:
            most of it is chance, and what reinforcement learning needs from pretraining is to speak and to copy.
    """

    def __init__(self, backbone: Any, tokenizer: Tokenizer, context_share: float = 0.1) -> None:
        super().__init__()
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.context_share = context_share

    @abstractmethod
    def forward(self, sequences: Sequence[np.ndarray]) -> Tensor:
        """The loss in nats, a scalar, of id arrays, each ``(tokens,)``."""

    def _counted(self, ids: Tensor) -> Tensor:
        """Tokens to predict: all of the agent's and some of the environment's; never the first."""
        heard = (ids != self.tokenizer.pad_id) & (torch.rand(ids.shape) < self.context_share)
        counted = spoken(ids, self.tokenizer) | heard
        counted[:, 0] = False
        return counted


class NextToken(Objective):
    """Each token given those before it, for any backbone; cheap for those that read all steps in one pass."""

    def forward(self, sequences: Sequence[np.ndarray]) -> Tensor:
        """Mean negative log-likelihood."""
        ids = pad_sequences(list(sequences), self.tokenizer.pad_id, "cpu")
        ids, counted = (each.to(self.backbone.device) for each in (ids, self._counted(ids)))
        row, place = counted.nonzero(as_tuple=True)
        logits = self.backbone.logits(self.backbone.states(ids, row, place - 1))
        return functional.cross_entropy(logits, ids[row, place])


class MaskedTokens(Objective):
    """Masked tokens, and whether a transcript goes on as it began (Devlin et al. 2019, "BERT", sec. 3.1).

    Each transcript is cut at a token, mostly one of the agent's, and a mask stands in its place, as when the model
    speaks; of the tokens before it 15% are hidden, too. Some transcripts begin with the first turns of another one:
    these teach the next-sentence head only, which reads the first token and is thrown away afterwards.
    """

    def __init__(self, backbone: MaskedBackbone, tokenizer: Tokenizer, context_share: float = 0.1) -> None:
        super().__init__(backbone, tokenizer, context_share)
        backbone.model.config.pooling = None  # a sentence encoder gets a head that reads the mask
        self.goes_on = nn.Linear(backbone.hidden_size, 1).to(self.backbone.device)

    def forward(self, sequences: Sequence[np.ndarray]) -> Tensor:
        """Mean negative log-likelihood of hidden tokens plus that of what goes on."""
        rows, related = self.mixed([self.cut(sequence) for sequence in sequences])
        ids = pad_sequences(rows, self.tokenizer.pad_id, "cpu")
        real = torch.arange(ids.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]
        given = ids, real, related, *self.hide(ids, real)
        ids, real, related, shown, hidden = (each.to(self.backbone.device) for each in given)
        states = self.backbone.encode(shown, real)
        told = functional.binary_cross_entropy_with_logits(self.goes_on(states[:, 0])[:, 0], related.float())
        hidden &= related[:, None]
        if not hidden.any():
            return told
        return told + functional.cross_entropy(self.backbone.logits(states[hidden]), ids[hidden])

    def cut(self, sequence: np.ndarray) -> np.ndarray:
        """The transcript up to a token that counts."""
        places = self._counted(torch.as_tensor(sequence)[None])[0].nonzero()[:, 0]
        return sequence[: int(places[torch.randint(len(places), ())]) + 1] if len(places) else sequence

    def mixed(self, rows: list[np.ndarray]) -> tuple[list[np.ndarray], Tensor]:
        """The rows, some with the first turns of another one in place of their own; and which are whole, bool."""
        turns = [np.flatnonzero(row == self.tokenizer.agent_prefix[-1]) for row in rows]
        mixed, related = list(rows), torch.ones(len(rows), dtype=torch.bool)
        for index, own in enumerate(turns):
            other = int(torch.randint(len(rows), ()))
            if torch.rand(()) < _UNRELATED and len(own) and len(turns[other]) and other != index:
                turn = int(torch.randint(min(len(own), len(turns[other])), ()))
                joined = np.concatenate([rows[other][: turns[other][turn]], rows[index][own[turn] :]])
                mixed[index] = joined[: self.backbone.max_length]
                related[index] = False
        return mixed, related

    def hide(self, ids: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Ids ``(batch, tokens)`` as the model sees them, and which it has to tell.

        The last real token is a mask; of the others that are hidden eight in ten are, one in ten is a random token and
        one in ten is left.
        """
        places = torch.arange(ids.shape[1])
        last = places == real.sum(dim=1, keepdim=True) - 1
        chosen = real & (places > 0) & (torch.rand(ids.shape) < _MASKED) & ~last
        drawn = torch.rand(ids.shape)
        shown = ids.masked_fill(last | (chosen & (drawn < 0.8)), self.backbone.mask_id)
        anything = torch.randint(self.tokenizer.vocab_size, ids.shape)
        return torch.where(chosen & (drawn >= 0.9), anything, shown), chosen | last


class Permutations(Objective):
    """Tokens in a random order of factorisation (Yang et al. 2019, "XLNet", sec. 2.2), half of the time from left to
    right, which is how the model speaks."""

    def __init__(self, backbone: PermutationBackbone, tokenizer: Tokenizer, context_share: float = 0.1) -> None:
        super().__init__(backbone, tokenizer, context_share)

    def forward(self, sequences: Sequence[np.ndarray]) -> Tensor:
        """Mean negative log-likelihood."""
        ids = pad_sequences(list(sequences), self.tokenizer.pad_id, "cpu")
        order, asked = self.orders(ids, torch.tensor([len(sequence) for sequence in sequences]))
        row, place = asked.nonzero(as_tuple=True)
        slot = (asked.cumsum(dim=1) - 1)[row, place]
        mapping = torch.zeros(len(ids), int(asked.sum(dim=1).max()), ids.shape[1])
        mapping[row, slot, place] = 1.0
        given = ids, order, mapping, row, place, slot
        ids, order, mapping, row, place, slot = (each.to(self.backbone.device) for each in given)
        logits = self.backbone.logits(self.backbone.queries(ids, order, mapping)[row, slot])
        return functional.cross_entropy(logits, ids[row, place])

    def orders(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """A rank for each token, padding last, and which tokens to predict, both ``(batch, tokens)``."""
        places = torch.arange(ids.shape[1]).expand(ids.shape)
        real = places < lengths[:, None]
        straight = torch.rand(len(ids), 1) < 0.5
        random = torch.where(real, torch.rand(ids.shape), 2.0).argsort(dim=1).argsort(dim=1)
        late = real & (random >= lengths[:, None] - lengths[:, None] // _LAST) & (random > 0)
        return torch.where(straight, places, random), torch.where(straight, self._counted(ids), late)


_OF_KIND: dict[str, type[Objective]] = {"masked": MaskedTokens, "permutation": Permutations}


def objective(backbone: Backbone, tokenizer: Tokenizer, context_share: float = 0.1) -> Objective:
    """The objective of a backbone's kind; that of a kind of your own is the next token."""
    return _OF_KIND.get(backbone.kind, NextToken)(backbone, tokenizer, context_share)
