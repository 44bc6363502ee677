"""The rollout buffer of PPO and A2C for token sequences: every token stored once, batches packed."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import BaseBuffer, RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from agents.memory.packed import PackedBatch, pad_sequences
from agents.memory.turns import TurnClock
from textenvs.tokens.spaces import TokenSpace

_REFERENCE_BATCH = 1024  # steps


class PackedRolloutBuffer(RolloutBuffer):
    """Drop-in ``rollout_buffer_class`` for Stable-Baselines3's unmodified PPO and A2C.

    Observations of one episode lie on one sequence, of which only the tokens are kept; ``get`` yields whole
    sequences, about ``batch_size`` steps a batch, as ``PackedBatch``. Losses equal those of the plain buffer on the
    same steps.

    Advantages follow generalised advantage estimation (Schulman et al. 2016, eq. 16) over game turns: ``gamma`` and
    ``gae_lambda`` apply where a turn ends, so that a longer sentence does not discount the future more.

    Args:
        discount: ``"turn"``, or ``"token"`` to apply ``gamma`` and ``gae_lambda`` at every step as usual.
        kl_coef: takes ``kl_coef * (log pi(a | s) - log reference(a | s))`` off each reward (Ouyang et al. 2022,
            "Training language models to follow instructions with human feedback", eq. 2).
        seed: seeds the order of the batches.

    Attributes:
        reference: the policy that ``kl_coef`` holds to; ``agents.make`` puts a copy of the starting one there.
    """

    _PER_STEP: ClassVar = ("rewards", "returns", "episode_starts", "values", "log_probs", "advantages")

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: torch.device | str = "auto",
        gae_lambda: float = 1,
        gamma: float = 0.99,
        n_envs: int = 1,
        discount: str = "turn",
        kl_coef: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not isinstance(observation_space, TokenSpace):
            raise TypeError(f"PackedRolloutBuffer needs token observations (TokenSpace), not {observation_space}")
        if discount not in ("turn", "token"):
            raise ValueError(f"discount must be 'turn' or 'token', not {discount!r}")
        if kl_coef < 0:
            raise ValueError(f"kl_coef must be at least 0, not {kl_coef!r}")
        self.space = observation_space
        self.discount = discount
        self.kl_coef = kl_coef
        self.reference: Any = None
        self.rng = np.random.default_rng(seed)
        self.clock = TurnClock(observation_space, action_space, n_envs)
        super().__init__(buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs)

    def reset(self) -> None:
        """Forget the rollout."""
        shape = (self.buffer_size, self.n_envs)
        self.actions = np.zeros((*shape, self.action_dim), dtype=np.int64)
        for name in self._PER_STEP:
            setattr(self, name, np.zeros(shape, dtype=np.float32))
        self.turn_ends = np.ones(shape, dtype=bool)
        self.segment = np.zeros(shape, dtype=np.int64)
        self.position = np.zeros(shape, dtype=np.int64)
        self.choices: list[np.ndarray] = []
        self._segments: list[np.ndarray | None] = []
        # The sequence that each row is on: its ids, how many they are, and its number.
        self._ids = np.full((self.n_envs, self.space.window + self.space.max_utterance_tokens), -1, dtype=np.int64)
        self._lengths = np.zeros(self.n_envs, dtype=np.int64)
        self._current = np.full(self.n_envs, -1, dtype=np.int64)
        self.generator_ready = False
        BaseBuffer.reset(self)

    def add(
        self,
        obs: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        episode_start: np.ndarray,
        value: Tensor,
        log_prob: Tensor,
    ) -> None:
        """Add one step of every environment; shapes as in ``RolloutBuffer.add``."""
        context = self.space.context(obs)
        lengths = self.space.lengths(obs)
        action = action.reshape(self.n_envs, self.action_dim)
        window = self.space.window
        beyond = np.arange(window) >= self._lengths[:, None]
        extends = (self._lengths <= lengths) & ((context == self._ids[:, :window]) | beyond).all(axis=1)
        extends &= ~episode_start.astype(bool)
        for row in np.flatnonzero(~extends | (self._current < 0)).tolist():
            self._close(row)
            self._current[row] = len(self._segments)
            self._segments.append(None)
        self._ids[:, :window] = context
        emitted = self.clock.emitted(action)  # (environments, tokens), tokens that follow the context
        for index, tokens in enumerate(emitted):
            self._ids[index, lengths[index] : lengths[index] + len(tokens)] = tokens
        self._lengths = lengths + np.array([len(tokens) for tokens in emitted])

        self.segment[self.pos] = self._current
        self.position[self.pos] = lengths - 1
        self.actions[self.pos] = action
        self.rewards[self.pos] = reward
        self.episode_starts[self.pos] = episode_start
        self.values[self.pos] = value.detach().cpu().numpy().reshape(-1)
        self.log_probs[self.pos] = log_prob.detach().cpu().numpy().reshape(-1)
        self.turn_ends[self.pos] = self.clock.tick(action, episode_start)
        if self.space.max_choices:
            self.choices.append(self.space.choices(obs).copy())
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def _close(self, row: int) -> None:
        if self._current[row] >= 0:
            self._segments[self._current[row]] = self._ids[row, : self._lengths[row]].copy()

    def compute_returns_and_advantage(self, last_values: Tensor, dones: np.ndarray) -> None:
        """Generalised advantage estimation; ``last_values`` ``(environments,)``, ``dones`` ``(environments,)``."""
        for row in range(self.n_envs):
            self._close(row)
        if self.kl_coef:
            self._penalise()
        self.estimate(last_values, dones)

    def estimate(self, last_values: Tensor, dones: np.ndarray) -> None:
        """Advantages and returns from ``values`` as they are now; arguments as in ``compute_returns_and_advantage``."""
        decays = self.turn_ends | (self.discount == "token")
        gamma = np.where(decays, self.gamma, 1.0)
        gae_lambda = np.where(decays, self.gae_lambda, 1.0)
        next_values = last_values.detach().cpu().numpy().reshape(-1)
        next_alive = 1.0 - dones.astype(np.float32)
        advantages = np.zeros(self.n_envs, dtype=np.float32)
        for t in reversed(range(self.buffer_size)):
            delta = self.rewards[t] + gamma[t] * next_values * next_alive - self.values[t]
            advantages = delta + gamma[t] * gae_lambda[t] * next_alive * advantages
            self.advantages[t] = advantages
            next_values = self.values[t]
            next_alive = 1.0 - self.episode_starts[t]
        self.returns = self.advantages + self.values

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Yield the rollout once, in random order, whole sequences together, about ``batch_size`` steps a batch."""
        assert self.full, "the rollout is not complete: collect buffer_size steps first"
        for _, samples in self.batches(batch_size):
            yield samples

    def batches(self, batch_size: int | None = None) -> Generator[tuple[np.ndarray, RolloutBufferSamples], None, None]:
        """As ``get``, each batch with the places ``(batch,)`` of its steps in the flattened arrays."""
        usable = self._usable()
        segment = self.segment.reshape(-1)[usable]
        steps = usable[np.argsort(segment, kind="stable")]
        counts = np.bincount(segment, minlength=len(self._segments))
        ends = np.cumsum(counts)
        order = self.rng.permutation(np.flatnonzero(counts))
        for chosen in _chunks(order, counts, batch_size or len(steps)):
            steps_of = [steps[ends[s] - counts[s] : ends[s]] for s in chosen]
            yield np.concatenate(steps_of), self._samples(chosen, steps_of)

    @property
    def needs_reference(self) -> bool:
        """Whether ``reference`` must be set."""
        return self.kl_coef > 0

    def _usable(self) -> np.ndarray:
        """Places of the steps to learn from."""
        return np.arange(self.segment.size)

    @torch.no_grad()
    def _penalise(self) -> None:
        if self.reference is None:
            raise ValueError(
                "kl_coef needs the policy that it holds to: agents.make and agents.load set it; else set "
                "model.rollout_buffer.reference = copy.deepcopy(model.policy) before learn"
            )
        for steps, samples in self.batches(_REFERENCE_BATCH):
            _, log_prob, _ = self.reference.evaluate_actions(samples.observations, samples.actions)
            self.rewards.reshape(-1)[steps] -= self.kl_coef * (samples.old_log_prob - log_prob).cpu().numpy()

    def _samples(self, chosen: np.ndarray, steps_of: list[np.ndarray]) -> RolloutBufferSamples:
        steps = np.concatenate(steps_of)
        sequences = [self._segments[s] for s in chosen]
        batch = PackedBatch(
            ids=pad_sequences(sequences, self.space.pad_id, self.device),  # type: ignore[arg-type]
            segment=self.to_torch(np.repeat(np.arange(len(chosen)), [len(own) for own in steps_of])),
            position=self.to_torch(self.position.reshape(-1)[steps]),
            choices=self._candidates(steps),
        )

        def pick(name: str) -> Tensor:
            return self.to_torch(getattr(self, name).reshape(-1)[steps])

        actions = self.to_torch(self.actions.reshape(-1, self.action_dim)[steps])
        values, log_probs, advantages, returns = map(pick, ("values", "log_probs", "advantages", "returns"))
        return RolloutBufferSamples(batch, actions, values, log_probs, advantages, returns)  # type: ignore[arg-type]

    def _candidates(self, steps: np.ndarray) -> Tensor | None:
        if not self.space.max_choices:
            return None
        times, rows = np.divmod(steps, self.n_envs)
        picked = np.stack([self.choices[t][row] for t, row in zip(times, rows, strict=True)])
        return self.to_torch(picked.astype(np.int64))


def _chunks(order: np.ndarray, counts: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut ``order`` into the number of runs that comes nearest to ``batch_size`` steps each.

    None has a single step, unless there is but one: MaskablePPO divides by the standard deviation of a batch.
    """
    totals = np.cumsum(counts[order])
    batches = max(1, round(totals[-1] / batch_size))
    cuts = np.searchsorted(totals, totals[-1] * np.arange(1, batches) / batches)
    chunks: list[np.ndarray] = []
    for chunk in filter(len, np.split(order, cuts)):
        if chunks and min(counts[chunk].sum(), counts[chunks[-1]].sum()) < 2:
            chunks[-1] = np.concatenate([chunks[-1], chunk])
        else:
            chunks.append(chunk)
    return chunks
