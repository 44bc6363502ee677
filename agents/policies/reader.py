"""What actor-critic policies and Q-networks share: reading observations with a backbone, and scoring choices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.backbones import Backbone, load_backbone
from agents.backbones.base import HiddenCache
from agents.memory.branches import Branches, branches
from agents.memory.packed import PackedBatch
from textenvs.tokens.spaces import TokenSpace, UtteranceSpace

MASKED = -1e8  # logit or Q-value of what may not be chosen: finite, since (1 - done) * -inf is NaN


class ValueHead(nn.Linear):
    """State values ``(..., values)`` that are linear in hidden states ``(..., width)``, and zero at first.

    An optimizer such as Adam moves each weight by the learning rate, whatever the gradient, so one step would move the
    value of a wide model by the learning rate times its width: with 576 hidden units and 1e-3 by half a return. States
    of more than 128 units are therefore scaled by 128 / width, as Yang et al. 2021 ("Tensor Programs V", table 3) do
    to output weights.
    """

    def __init__(self, width: int, values: int) -> None:
        super().__init__(width, values)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Values of ``hidden``."""
        return super().forward(hidden if self.in_features <= 128 else hidden * (128 / self.in_features))


class ShiftedBackbone(nn.Module):
    """A frozen backbone that speaks with what was learned on top of it: its head reads ``hidden + shift(hidden)``.
    Everything else is the backbone's.

    Args:
        backbone: the frozen model.
        shift: ``(..., hidden)`` to ``(..., hidden)``.
    """

    def __init__(self, backbone: Backbone, shift: nn.Linear) -> None:
        super().__init__()
        self.backbone, self.shift = backbone, shift

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "backbone":  # not there yet
                raise
            return getattr(self.backbone, name)

    @property
    def model(self) -> Any:
        """Refused.

        Raises:
            ValueError: a model of ``transformers`` has no place for the shift.
        """
        raise ValueError(
            "a run with frozen=True learned a shift of the states that the model's head reads, for which a plain "
            "Hugging Face folder has no place: play, chat with, serve or save the run itself (a .pt file), or train "
            "with lora={'r': 8} instead of frozen=True to export what is learned"
        )

    def forward(self, ids: Tensor) -> Tensor:
        """As ``Backbone.forward``: states before the shift."""
        return self.backbone(ids)

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits ``(..., vocabulary)`` float32 from hidden states ``(..., hidden)``."""
        return self.backbone.logits(hidden + self.shift(hidden))


class TokenReader(nn.Module):
    """A backbone together with the observation space that it reads.

    Args:
        observation_space: a ``TokenSpace``.
        action_space: ``Discrete`` (token or choice level) or ``UtteranceSpace`` (turn level).
        backbone: what ``load_backbone`` takes, with its keywords ``kind``, ``lora``, ``dtype``, ``frozen``.

    Raises:
        TypeError: the environment does not give token observations.
        ValueError: the model's vocabulary or its number of positions is too small for the environment.
    """

    forbidden: Tensor  # (model's vocabulary,) bool: ids that may not be emitted

    def __init__(
        self, observation_space: spaces.Space, action_space: spaces.Space, backbone: Any, **keywords: Any
    ) -> None:
        super().__init__()
        if not isinstance(observation_space, TokenSpace):
            raise TypeError(
                f"a token policy needs token observations (TokenSpace), not {observation_space}: make the "
                "environment with gym.make(id, action_level=...) and without as_text=True"
            )
        self.space = observation_space
        self.turn_level = isinstance(action_space, UtteranceSpace)
        self.choice_level = observation_space.max_choices > 0
        self.backbone: Backbone = load_backbone(backbone, **keywords)
        utterance = observation_space.max_utterance_tokens if self.turn_level or self.choice_level else 0
        longest = observation_space.window + utterance
        if self.backbone.max_length is not None and longest > self.backbone.max_length:
            fits = observation_space.window - longest + self.backbone.max_length
            raise ValueError(
                f"the environment's window needs {longest} positions and the model has {self.backbone.max_length}: "
                f"give the environment a smaller window=..., at most {fits}"
            )
        if observation_space.vocab_size > self.backbone.vocab_size:
            raise ValueError(
                f"the environment's tokenizer has {observation_space.vocab_size} tokens and the model only "
                f"{self.backbone.vocab_size}: give the environment the model's own tokenizer=..."
            )
        if not {*self.backbone.own_ids} <= {*observation_space.special_ids}:
            raise ValueError(
                f"the model's mask token {self.backbone.own_ids[0]} is a word of the environment's tokenizer: give the "
                "environment the model's own tokenizer=..."
            )
        self.longest = longest
        self.cached = True  # False recomputes every context
        self._cache: list[HiddenCache] = []  # a list keeps the cache out of the module tree and of state_dict
        forbidden = torch.zeros(self.backbone.vocab_size, dtype=torch.bool)
        forbidden[list(observation_space.special_ids)] = True
        forbidden[observation_space.vocab_size :] = True
        self.register_buffer("forbidden", forbidden, persistent=False)
        width = self.backbone.hidden_size
        self.shift: nn.Linear | None = None
        if self.choice_level:
            self.query = nn.Linear(width, width)
            self.key = nn.Linear(width, width)
            nn.init.zeros_(self.query.weight)
            nn.init.zeros_(self.query.bias)
        elif self.backbone.frozen:  # what can be learned of speaking: a shift of the state that the model's head reads
            self.shift = nn.Linear(width, width)
            nn.init.zeros_(self.shift.weight)
            nn.init.zeros_(self.shift.bias)

    def train(self, mode: bool = True) -> TokenReader:
        """As ``nn.Module.train``; learning also empties the cache, if weights are frozen, too: what a saved learner
        computes after loading, when there is no cache yet, must equal what it would have computed, to the last bit."""
        if mode:
            for cache in self._cache:
                cache.lengths.zero_()
        return super().train(mode)

    def split(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Context ids ``(batch, window)`` int64 and their lengths ``(batch,)``."""
        seen = observations.cpu().numpy()  # which starts operations several times sooner than torch
        ids, lengths = self.space.context(seen).astype(np.int64), self.space.lengths(seen)
        return torch.as_tensor(ids, device=observations.device), torch.as_tensor(lengths, device=observations.device)

    def choices(self, observations: Tensor) -> Tensor:
        """Candidate ids ``(batch, choices, tokens)`` int64 of choice-level observations."""
        return observations[:, self.space.window :].long().unflatten(1, (-1, self.space.max_utterance_tokens))

    def single(self, observations: Tensor, actions: Tensor | None = None) -> PackedBatch:
        """Plain observations as a packed batch, one sequence each, with their utterances behind them at turn level."""
        ids, lengths = self.split(observations)
        if self.turn_level and actions is not None:
            ids = nn.functional.pad(ids, (0, actions.shape[1]), value=self.space.pad_id)
            slots = lengths[:, None] + torch.arange(actions.shape[1], device=ids.device)
            ids = ids.scatter(1, slots, actions.long())
            width = int(lengths.max()) + actions.shape[1]
        else:
            width = int(lengths.max())
        return PackedBatch(
            ids=ids[:, :width],
            segment=torch.arange(len(ids), device=ids.device),
            position=lengths - 1,
            choices=self.choices(observations) if self.choice_level else None,
        )

    def cache(self, rows: int) -> HiddenCache:
        """The cache for ``rows`` environments; another number of rows starts another cache."""
        if not self._cache or len(self._cache[0].lengths) != rows:
            self._cache[:] = [self.backbone.new_cache(rows, self.longest)]
        return self._cache[0]

    def forget(self) -> None:
        """Empty the cache: the weights are about to change."""
        for cache in self._cache:
            cache.lengths.zero_()

    def last_hidden(self, observations: Tensor) -> Tensor:
        """Hidden states ``(batch, hidden)`` at the end of each context: cached where no gradient is asked for."""
        ids, lengths = self.split(observations)
        return self.last_hidden_of(ids, lengths)

    def last_hidden_of(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """``last_hidden`` of ids ``(batch, tokens)`` with ``lengths`` ``(batch,)``."""
        if torch.is_grad_enabled() or not self.cached:
            hidden = None
        elif len(ids) == 1 and self._cache and len(self._cache[0].lengths) > 1:
            hidden = self._one_of_many(self._cache[0], ids, lengths)
        else:
            hidden = self.cache(len(ids)).last_hidden(ids, lengths)
        if hidden is None:
            rows = torch.arange(len(ids), device=ids.device)
            hidden = self.backbone.states(ids[:, : int(lengths.max())], rows, lengths - 1)
        return hidden

    def _one_of_many(self, cache: HiddenCache, ids: Tensor, lengths: Tensor) -> Tensor | None:
        """``last_hidden_of`` a single sequence in the cached row that holds its beginning, such as the last
        observation of an episode whose row has begun the next one; ``None`` where none holds most of it."""
        length = int(lengths)
        held, holds = cache.ids[:, :length].to(ids.device), cache.lengths.to(ids.device)
        known = torch.minimum((held == ids[:, :length]).long().cumprod(dim=1).sum(dim=1), holds)
        row = int(known.argmax())
        if 2 * int(known[row]) < length:
            return None
        all_ids, all_lengths = cache.ids.to(ids.device).clamp(min=0), holds.clone()
        all_ids[row, :length], all_lengths[row] = ids[0, :length], length
        return cache.last_hidden(all_ids, all_lengths)[row : row + 1]

    @property
    def speaking(self) -> Any:
        """The backbone as it speaks after what it learned."""
        return self.backbone if self.shift is None else ShiftedBackbone(self.backbone, self.shift)

    def token_logits(self, hidden: Tensor) -> Tensor:
        """Logits ``(..., vocabulary)`` of the environment's tokens; special tokens that no utterance holds are out."""
        logits = self.raw_logits(hidden).masked_fill(self.forbidden, MASKED)
        return logits[..., : self.space.vocab_size]

    def raw_logits(self, hidden: Tensor) -> Tensor:
        """Logits ``(..., model's vocabulary)``; what is ``forbidden`` is not masked yet."""
        if self.shift is not None:
            hidden = hidden + self.shift(hidden)
        return self.backbone.logits(hidden)

    def beyond(self, observations: Tensor, found: Branches) -> Tensor:
        """Hidden states ``(nodes beyond the contexts, hidden)`` of branches of observations that were read last."""
        if not len(found.tokens):  # single words: nothing is beyond
            return torch.zeros(0, self.backbone.hidden_size, device=observations.device)
        cache = self._cache[0] if self._cache and self.cached and not torch.is_grad_enabled() else None
        if cache is not None and len(cache.lengths) == len(observations):
            hidden = cache.beyond(found)
            if hidden is not None:
                return hidden
        ids, lengths = self.split(observations)
        return self.backbone.beyond(ids, torch.arange(len(ids), device=ids.device), lengths - 1, found)

    def absent(self, choices: Tensor) -> Tensor:
        """Which of the candidates ``(..., tokens)`` are none, ``(...)`` bool."""
        return choices[..., 0] == self.space.pad_id

    def branches(self, choices: Tensor) -> Branches:
        """Where candidates ``(steps, choices, tokens)`` part."""
        return branches(choices.cpu().numpy(), self.space.pad_id, self.space.end_id)

    def candidates(self, choices: Tensor, hidden: Tensor, beyond: Tensor, found: Branches) -> Candidates:
        """Candidates ``(steps, choices, tokens)`` and what the language model says of them, from hidden states at the
        contexts ``(steps, hidden)`` and at the nodes beyond."""
        steps, count = choices.shape[:2]
        absent = self.absent(choices)
        if not len(found.edges):
            return Candidates(choices, absent, torch.zeros(steps, count, device=hidden.device))
        place = np.where(found.nodes < 0, found.node_steps, steps + np.cumsum(found.nodes >= 0) - 1)
        index = [place, found.edge_nodes, found.edges, found.path_choices, found.path_edges]
        at, node, edge, choice, way = (torch.as_tensor(each, device=hidden.device) for each in index)
        logits = self.raw_logits(torch.cat([hidden, beyond])[at])[node, edge]
        most = logits.detach().new_full((len(at),), -torch.inf).scatter_reduce(0, node, logits.detach(), "amax")
        shifted = logits - most[node]
        totals = shifted.new_zeros(len(at)).index_add(0, node, shifted.exp())
        shares = shifted - totals.log()[node]
        spoken = shares.new_zeros(steps * count).index_add(0, choice, shares[way])
        return Candidates(choices, absent, spoken.view(steps, count))

    def match(self, hidden: Tensor, candidates: Candidates) -> Tensor:
        """Scores ``(batch, choices)`` of candidates in contexts ``(batch, hidden)``, or ``(batch, heads, choices)`` in
        ``(batch, heads, hidden)``.

        Context and candidate are read apart and meet in a scaled product, as in the deep reinforcement relevance
        network (He et al. 2016, sec. 3); equal candidates of a batch are read once. All are 0 at the start.
        """
        choices = candidates.ids
        distinct, which = torch.unique(choices.flatten(0, 1), dim=0, return_inverse=True)
        lengths = (distinct != self.space.pad_id).sum(dim=1)
        width = max(int(lengths.max()), 1)
        rows = torch.arange(len(distinct), device=distinct.device)
        last = self.backbone.states(distinct[:, :width], rows, (lengths - 1).clamp(min=0))
        keys = self.key(last)[which].unflatten(0, choices.shape[:2])
        return torch.einsum("b...h,bch->b...c", self.query(hidden), keys) / math.sqrt(hidden.shape[-1])

    def choice_logits(self, hidden: Tensor, candidates: Candidates) -> Tensor:
        """Logits ``(steps, choices)``: ``log p(a | s)`` of the language model among the candidates, and the match."""
        scores = candidates.spoken + self.match(hidden, candidates)
        return scores.masked_fill(candidates.absent, MASKED)


@dataclass(frozen=True)
class Candidates:
    """What may be said.

    Attributes:
        ids: ``(steps, choices, tokens)`` int64.
        absent: ``(steps, choices)`` bool.
        spoken: ``(steps, choices)``, the log-probability of each among those present, each token's among the ways on
            that lead to one: what the language model would say if it were held to them.
    """

    ids: Tensor
    absent: Tensor
    spoken: Tensor
