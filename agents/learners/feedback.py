"""Learning online from a person's ratings of single replies."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from agents.memory.packed import pad_sequences
from agents.memory.preferences import Preference
from agents.policies.optimizer import FusedAdam
from agents.speaking.speaker import Speaker

_SMALL, _LEARNING_RATE, _LEARNING_RATE_OF_LARGE = 10_000_000, 2.5e-4, 2e-5
_ROWS = 64  # dialogues made up at once
_UNDO_BYTES = 1 << 29  # for what ``undo`` goes back to; one step back is always kept

_Dialogue = tuple[np.ndarray, int]  # ids, and how many of them were not made up


@dataclass(frozen=True)
class _Rating:
    """A rating as token ids: of the chosen reply and of the rejected one, whichever there are."""

    preference: Preference
    sequences: list[np.ndarray]  # prompt and reply
    starts: list[int]  # where the reply begins
    reference: Tensor  # (replies,) log-probabilities under the starting model


class FeedbackLearner:
    """Updates a model after each rating, and holds it near the model that it started from.

    With ``r(y) = log pi(y) - log pi_ref(y)``, summed over a reply's tokens and its end, a rating's loss is

    - of a better answer ``c`` than ``y``: ``-log sigmoid(beta (r(c) - r(y)))`` (Rafailov et al. 2023, "Direct
      Preference Optimization", eq. 7) and ``imitation`` times the mean of ``-log pi`` over the tokens of ``c`` (as in
      Pang et al. 2024, "Iterative Reasoning Preference Optimization"), lest both replies become less probable;
    - of a good ``y``: ``imitation`` times the mean of ``-log pi`` over its tokens;
    - of a bad ``y``: ``1 - sigmoid(-beta r(y))``, the loss of an undesirable reply with a reference point of 0
      (Ethayarajh et al. 2024, "KTO"), which fades as the reply becomes improbable, as unlikelihood does not.

    Each rating makes ``n_steps`` gradient steps, on its own loss and the mean of a sample of those before. To every
    step's loss comes ``kl_coef`` times the mean of ``s log(1 + d / s)`` over tokens of dialogues that the starting
    model itself made up, both sides of them, ``d`` being ``KL(pi_ref || pi)`` there and ``s`` ``kl_scale``. Half of
    these begin as dialogues that were rated, with what was said up to one of the user's messages; the others with
    nothing. That is rehearsal without data (Robins 1995; Huang et al. 2024, "Self-Synthesized Rehearsal") with a robust
    penalty (Black and Anandan 1996): the few tokens where a rating asks for another answer do not outweigh all those
    that are to stay.

    Args:
        speaker: the model; it is changed in place.
        learning_rate: of Adam; ``None`` takes 2.5e-4 where up to ten million weights learn and 2e-5 where more do.
        n_steps: gradient steps for each rating.
        replay: ratings of before that go along in each step.
        beta: see above; how far preferences may lead from the start.
        imitation: see above.
        kl_coef, kl_scale: see above; ``kl_coef=0`` lets the model go where the ratings lead.
        rehearsal: dialogues that the starting model makes up from nothing; one more comes with each rating.
        rehearsal_tokens: made up for each.
        rehearsal_batch: of them in each step.
        limit: the most tokens of a prompt and a reply; of a longer one the oldest exchanges go.
        max_grad_norm: gradients are scaled down to this norm.
        seed: of what is made up and drawn.
    """

    def __init__(
        self,
        speaker: Speaker,
        *,
        learning_rate: float | None = None,
        n_steps: int = 4,
        replay: int = 3,
        beta: float = 0.3,
        imitation: float = 0.1,
        kl_coef: float = 3.0,
        kl_scale: float = 0.3,
        rehearsal: int = 64,
        rehearsal_tokens: int = 128,
        rehearsal_batch: int = 4,
        limit: int = 1024,
        max_grad_norm: float = 1.0,
        seed: int = 0,
    ) -> None:
        for name, value in (("n_steps", n_steps), ("rehearsal_batch", rehearsal_batch)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value!r}")
        if beta <= 0:
            raise ValueError(f"beta must be above 0, not {beta!r}")
        self.speaker, self.n_steps, self.replay = speaker, n_steps, replay
        self.beta, self.imitation, self.kl_coef = beta, imitation, kl_coef
        self.kl_scale, self.max_grad_norm = kl_scale, max_grad_norm
        backbone = speaker.backbone
        self.limit = min(limit, backbone.max_length or limit)
        self.device = backbone.device
        self.reference = copy.deepcopy(backbone).requires_grad_(False)
        self.rng = np.random.default_rng(seed)
        self._ratings: list[_Rating] = []
        self.rehearsal_batch = rehearsal_batch
        self.rehearsal_tokens = rehearsal_tokens
        nothing = list(speaker.tokenizer.opening_prefix)
        self._rehearsal = self._made_up([nothing] * rehearsal, seed) if kl_coef else []
        self._begun: list[_Dialogue] = []  # as the ratings' own, in their order
        self._trainable = [each for each in backbone.parameters() if each.requires_grad]
        if not self._trainable:  # frozen under the heads of its learner
            self._trainable = list(backbone.requires_grad_(True).parameters())
        if learning_rate is None:
            size = sum(parameter.numel() for parameter in self._trainable)
            learning_rate = _LEARNING_RATE if size <= _SMALL else _LEARNING_RATE_OF_LARGE
        self.optimizer = FusedAdam(self._trainable, lr=learning_rate)
        # before each rating: how many there were, weights, state of the optimizer, of the generator
        self._before: list[tuple[int, list[Tensor], dict[str, Any], Mapping[str, Any]]] = []

    def rate(self, preference: Preference) -> dict[str, float]:
        """Learn from a rating.

        Returns:
            ``loss`` and ``kl`` (per token) of the last gradient step, and ``seconds``.
        """
        return self._learn([preference])

    def study(self, preferences: Iterable[Preference]) -> dict[str, float]:
        """Learn from many ratings, as many steps as one by one; ``undo`` takes them back together."""
        given = list(preferences)
        return self._learn(given) if given else {"loss": 0.0, "kl": 0.0, "seconds": 0.0}

    @property
    def ratings(self) -> list[Preference]:
        """What was learned from, in order."""
        return [each.preference for each in self._ratings]

    @property
    def undoable(self) -> int:
        """How many times ``undo`` can go back."""
        return len(self._before)

    def undo(self) -> None:
        """Go back to where the last rating found the model.

        Raises:
            ValueError: there is none, or it lies too far back to be kept.
        """
        if not self._before:
            raise ValueError("there is no rating to take back")
        count, weights, optimizer, generator = self._before.pop()
        with torch.no_grad():
            for parameter, kept in zip(self._trainable, weights, strict=True):
                parameter.copy_(kept)
        self.optimizer.load_state_dict(optimizer)
        self.rng.bit_generator.state = generator
        del self._ratings[count:], self._begun[count:]

    def loss(self, preferences: Sequence[Preference]) -> Tensor:
        """The losses ``(ratings,)`` of ratings, without the rehearsal."""
        return self._loss([self._prepared(each) for each in preferences])

    def log_prob(self, backbone: Any, sequences: Sequence[np.ndarray], starts: Sequence[int]) -> Tensor:
        """Log-probabilities ``(sequences,)``, each summed over what follows the first ``starts`` ids of a sequence."""
        rows, log_probs, said = self._read(backbone, sequences, starts)
        chosen = log_probs.gather(1, said[:, None]).squeeze(1)
        return torch.zeros(len(sequences), device=self.device).index_add(0, rows, chosen)

    def _read(
        self, backbone: Any, sequences: Sequence[np.ndarray], starts: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of each token that follows the first ``starts`` ids of a sequence: the sequence ``(tokens,)``, the
        log-probabilities of all that might stand there ``(tokens, vocabulary)``, and what does ``(tokens,)``."""
        ids = pad_sequences(list(sequences), self.speaker.tokenizer.pad_id, self.device)
        spoken = [len(sequence) - start for sequence, start in zip(sequences, starts, strict=True)]
        rows = torch.arange(len(spoken), device=self.device).repeat_interleave(torch.tensor(spoken, device=self.device))
        places = [np.arange(start, len(sequence)) for sequence, start in zip(sequences, starts, strict=True)]
        columns = torch.as_tensor(np.concatenate(places), device=self.device)
        hidden = backbone(ids)
        return rows, backbone.logits(hidden[rows, columns - 1]).log_softmax(dim=-1), ids[rows, columns]

    def _prepared(self, preference: Preference) -> _Rating:
        layout, end = self.speaker.layout, self.speaker.tokenizer.end_id
        sequences, starts = [], []
        for reply in (preference.chosen, preference.rejected):
            if reply is not None:
                said = [*layout.spoken(reply), end][: self.limit // 2]
                context = layout.fit(preference.prompt, self.limit - len(said))
                sequences.append(np.array([*context, *said]))
                starts.append(len(context))
        with torch.no_grad():
            reference = self.log_prob(self.reference, sequences, starts)
        return _Rating(preference, sequences, starts, reference)

    def _loss(self, ratings: Sequence[_Rating]) -> Tensor:
        sequences = [sequence for each in ratings for sequence in each.sequences]
        starts = [start for each in ratings for start in each.starts]
        log_prob = self.log_prob(self.speaker.backbone, sequences, starts)
        gain = self.beta * (log_prob - torch.cat([each.reference for each in ratings]))  # beta r
        losses, place = [], 0
        for each in ratings:
            if each.preference.chosen is None:
                loss = 1 - torch.sigmoid(-gain[place])
            else:
                loss = -self.imitation * log_prob[place] / (len(sequences[place]) - starts[place])
                if each.preference.rejected is not None:
                    loss = loss - functional.logsigmoid(gain[place] - gain[place + 1])
            losses.append(loss)
            place += len(each.sequences)
        return torch.stack(losses)

    def divergence(self, sequences: Sequence[np.ndarray], starts: Sequence[int]) -> Tensor:
        """``KL(pi_ref || pi)`` at each token ``(tokens,)`` that follows the first ``starts`` ids of a sequence."""
        with torch.no_grad():
            expected = self._read(self.reference, sequences, starts)[1]
        found = self._read(self.speaker.backbone, sequences, starts)[1]
        return functional.kl_div(found, expected, reduction="none", log_target=True).sum(dim=-1)

    def _learn(self, new: Sequence[Preference]) -> dict[str, float]:
        began = time.perf_counter()
        prepared = [self._prepared(each) for each in new]
        self._remember()
        before = len(self._ratings)
        self._ratings += prepared
        if self.kl_coef:
            self._begun += self._made_up([self._beginning(each) for each in new], int(self.rng.integers(1 << 62)))
        loss = divergence = torch.zeros(())
        for _ in range(self.n_steps * len(new)):
            loss = self._losses(before)
            total = loss
            if self.kl_coef:
                divergences = self.divergence(*zip(*self._rehearsed(), strict=True))
                divergence = divergences.mean()
                total = loss + self.kl_coef * self.kl_scale * (divergences / self.kl_scale).log1p().mean()
            self.optimizer.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(self._trainable, self.max_grad_norm)
            self.optimizer.step()
        return {"loss": loss.item(), "kl": divergence.item(), "seconds": time.perf_counter() - began}

    def _rehearsed(self) -> list[_Dialogue]:
        """A sample of what is rehearsed."""
        half = -(-self.rehearsal_batch // 2)
        sizes = (self._begun, half), (self._rehearsal, self.rehearsal_batch - half)
        return [pool[i] for pool, size in sizes for i in self.rng.choice(len(pool), min(size, len(pool)), False)]

    def _losses(self, before: int) -> Tensor:
        """Of a rating that is new, and of a sample of those before; of many new ones their sample."""
        new, size = len(self._ratings) - before, self.replay + 1
        if new > 1:
            return self._loss([self._ratings[before + i] for i in self.rng.choice(new, min(size, new), False)]).mean()
        picked = self.rng.choice(before, min(self.replay, before), False).tolist()
        losses = self._loss([self._ratings[i] for i in (before, *picked)])
        return losses[0] + losses[1:].sum() / max(len(picked), 1)

    def _remember(self) -> None:
        weights = [parameter.detach().clone() for parameter in self._trainable]
        optimizer = copy.deepcopy(self.optimizer.state_dict())
        size = 3 * sum(each.numel() * each.element_size() for each in weights)
        self._before.append((len(self._ratings), weights, optimizer, self.rng.bit_generator.state))
        del self._before[: -max(1, _UNDO_BYTES // size)]

    def _beginning(self, preference: Preference) -> list[int]:
        """What was said in a rated dialogue up to one of the user's messages."""
        ends = [place for place, message in enumerate(preference.prompt, 1) if message["role"] == "user"]
        messages = preference.prompt[: self.rng.choice(ends)] if ends else preference.prompt
        return self.speaker.layout.fit(messages, self.limit // 2)

    @torch.no_grad()
    def _made_up(self, starts: Sequence[list[int]], seed: int) -> list[_Dialogue]:
        """Dialogues that go on from ``starts`` as the starting model would, both sides of them."""
        backbone, tokenizer = self.reference, self.speaker.tokenizer
        generator = torch.Generator().manual_seed(seed)
        found: list[_Dialogue] = []
        for first in range(0, len(starts), _ROWS):
            begun = [np.array(each) for each in starts[first : first + _ROWS]]
            lengths = torch.tensor([len(each) for each in begun], device=self.device)
            new = min(max(self.rehearsal_tokens, 1), self.limit - int(lengths.max()))
            ids = functional.pad(pad_sequences(begun, tokenizer.pad_id, self.device), (0, new))
            cache, rows = backbone.new_cache(*ids.shape), torch.arange(len(ids), device=self.device)
            for place in range(new):
                logits = backbone.logits(cache.last_hidden(ids, lengths + place))[:, : tokenizer.vocab_size].cpu()
                drawn = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
                ids[rows, lengths + place] = drawn.to(self.device)
            found += [(row[: len(each) + new], len(each)) for row, each in zip(ids.cpu().numpy(), begun, strict=True)]
        return found
