"""The replay buffer of DQN and its kin for token sequences: every token stored once, batches packed."""

from __future__ import annotations

import json
from array import array
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import BaseBuffer, ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import Tensor

from agents.memory.packed import PackedBatch, pad_sequences
from agents.memory.sequences import Sequence, Shared, id_code, index_type, number_of_actions, slid
from agents.memory.turns import TurnClock
from textenvs.tokens.spaces import TokenSpace


class MaskSource(Protocol):
    """Who knows what is admissible in each row; ``agents.vec_env.TextVecEnv`` does.

    Attributes:
        masks_before: ``action_masks()`` as it was before the last step, ``(rows, actions)`` bool.
    """

    masks_before: np.ndarray | None

    def action_masks(self) -> np.ndarray:
        """``(rows, actions)`` bool: what may be done now."""
        ...

    def observed(self) -> np.ndarray:
        """``(rows, observation size)``: what is seen now."""
        ...


class PackedReplayBuffer(ReplayBuffer):
    """Drop-in ``replay_buffer_class`` for Stable-Baselines3's unmodified DQN and sb3-contrib's QRDQN.

    Inside an episode each observation begins with the last one, so an episode's tokens are kept once and a step is a
    place on them; where the window was full and slid, pieces of the same tokens make a new sequence. Candidates (choice
    level) and admissible tokens (``masks`` set) are kept once for all steps that have the same. A batch is a
    ``PackedBatch``: steps on one sequence share the forward pass. Q-values equal those of plain observations.

    A step inside an utterance is not discounted; the step that ends a turn is, by ``gamma``. Truncated episodes
    bootstrap from their last observation, terminated ones do not: of theirs ``next_observations`` have the first token
    alone, so that nothing is read for a value that counts nothing.

    Args:
        n_steps: actions (tokens at token level) whose rewards are summed before bootstrapping (Sutton & Barto 2018,
            sec. 7.1), fewer where the episode or what is known of it ends; ``None`` sums to the end of the episode.
        per_sequence: the most steps that are drawn from each drawn sequence. 1 draws all steps independently; with
            ``k`` every step is still as probable as any other, but up to ``k`` at a time share a forward pass.
        gamma: discount of a game turn; give the learner the same one.
        seed: seeds the sampling.

    Attributes:
        masks: who is asked what is admissible, at token level with ``constrain=True``; ``agents.make`` sets it.
    """

    _PER_STEP: ClassVar = ("segment", "position", "next_segment", "next_position", "options", "next_options")
    _KEPT: ClassVar = (*_PER_STEP, "actions", "rewards", "dones", "timeouts", "turn_ends")

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        n_steps: int | None = 1,
        per_sequence: int = 1,
        gamma: float = 0.99,
        seed: int = 0,
    ) -> None:
        if not isinstance(observation_space, TokenSpace):
            raise TypeError(f"PackedReplayBuffer needs token observations (TokenSpace), not {observation_space}")
        if optimize_memory_usage:
            raise ValueError("PackedReplayBuffer keeps every token once already: leave out optimize_memory_usage")
        for name, value in (("n_steps", 1 if n_steps is None else n_steps), ("per_sequence", per_sequence)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value!r}")
        BaseBuffer.__init__(self, buffer_size, observation_space, action_space, device, n_envs)
        self.buffer_size = max(buffer_size // n_envs, 1)
        self.optimize_memory_usage = False
        self.handle_timeout_termination = handle_timeout_termination
        self.space = observation_space
        self.n_steps, self.per_sequence, self.gamma = n_steps, per_sequence, gamma
        self.rng = np.random.default_rng(seed)
        self.masks: MaskSource | None = None
        self.clock = TurnClock(observation_space, action_space, n_envs)
        shape = (self.buffer_size, n_envs)
        places = index_type(self.space.window)
        self.actions = np.zeros((*shape, self.action_dim), dtype=index_type(number_of_actions(action_space)))
        self.rewards = np.zeros(shape, dtype=np.float32)
        self.dones, self.timeouts, self.turn_ends = (np.zeros(shape, dtype=bool) for _ in range(3))
        self.segment, self.next_segment = (np.zeros(shape, dtype=np.int32) for _ in range(2))
        self.position, self.next_position = (np.zeros(shape, dtype=places) for _ in range(2))
        # At choice level the candidates and at token level what is admissible, as numbers of ``shared``; -1 for none.
        self.options, self.next_options = (np.full(shape, -1, dtype=np.int32) for _ in range(2))
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.shared = Shared(self.space.vocab_size)
        self.sequences: dict[int, Sequence] = {}
        self._uses: dict[int, int] = {}
        self._next_number = 0
        # What each row saw last, on which sequence, and with which options.
        self.done = np.ones(self.n_envs, dtype=bool)
        self._ids = np.full((self.n_envs, self.space.window), self.space.pad_id, dtype=np.int32)
        self._lengths = np.zeros(self.n_envs, dtype=np.int64)
        self._current = np.full(self.n_envs, -1, dtype=np.int64)
        self._options = np.full(self.n_envs, -1, dtype=np.int64)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "masks": None}  # environments do not go into Stable-Baselines3's saved buffers

    def add(self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: Any) -> None:
        """Add one step of every environment; shapes as in ``ReplayBuffer.add``."""
        here = self.pos
        if self.full:
            self._release(here)
        action = action.reshape(self.n_envs, self.action_dim)
        done = np.asarray(done, dtype=bool)
        first = self.done
        changed = self._read(obs, first)
        before = None if self.masks is None else self.masks.masks_before
        for row in np.flatnonzero(changed).tolist():
            self._see(row, obs[row], None if before is None else before[row])
        self.segment[here], self.position[here], self.options[here] = self._current, self._lengths - 1, self._options
        self.turn_ends[here] = self.clock.tick(action, first)
        self._hold(self.segment[here], self.options[here])
        self._read(next_obs, np.zeros_like(done))
        after = None if self.masks is None else self.masks.action_masks()
        for row in range(self.n_envs):
            last = infos[row].get("terminal_mask") if done[row] else None if after is None else after[row]
            self._see(row, next_obs[row], last)
        self.next_segment[here], self.next_position[here] = self._current, self._lengths - 1
        self.next_options[here] = self._options
        self._hold(self.next_segment[here], self.next_options[here])
        self.actions[here], self.rewards[here], self.dones[here] = action, reward, done
        if self.handle_timeout_termination:
            self.timeouts[here] = [info.get("TimeLimit.truncated", False) for info in infos]
        self.done = done
        self.pos += 1
        if self.pos == self.buffer_size:
            self.full, self.pos = True, 0

    def _read(self, observations: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Keep what is new in ``observations`` ``(rows, observation size)``, where ``starts`` ``(rows,)`` begin an
        episode; in which rows ``(rows,)`` something was."""
        context = self.space.context(observations)
        lengths = self.space.lengths(observations)
        beyond = np.arange(self.space.window) >= self._lengths[:, None]
        extends = (self._lengths <= lengths) & ((context == self._ids) | beyond).all(axis=1) & ~starts
        longer = extends & (self._lengths < lengths)
        for row in np.flatnonzero(~extends).tolist():
            self._move(row, context[row, : lengths[row]], bool(starts[row]))
        for row in np.flatnonzero(longer).tolist():
            self._append(self.sequences[self._current[row]].episode, context[row, self._lengths[row] : lengths[row]])
        self._ids[:] = context
        self._lengths = lengths
        return longer | ~extends

    def _move(self, row: int, ids: np.ndarray, start: bool) -> None:
        """Begin a sequence in ``row`` with ``ids`` ``(tokens,)``."""
        if start or self._current[row] < 0:
            sequence, known = Sequence(array(id_code(self.space.vocab_size)), (), 0), 0
        else:
            old = self.sequences[self._current[row]]
            a, b, c, known = slid(self._ids[row, : self._lengths[row]], ids)
            sequence = Sequence(old.episode, *old.slide(a, b, c))
        self._append(sequence.episode, ids[known:])
        self._let_go(int(self._current[row]))
        self._current[row] = self._next_number
        self.sequences[self._next_number], self._uses[self._next_number] = sequence, 1
        self._next_number += 1

    @staticmethod
    def _append(episode: array[int], ids: np.ndarray) -> None:
        episode.frombytes(ids.astype(episode.typecode).tobytes())

    def _see(self, row: int, observation: np.ndarray, mask: np.ndarray | None) -> None:
        """Note what can be chosen now in ``row``: the candidates of ``observation``, or what ``mask`` admits."""
        number = -1
        if self.space.max_choices:
            number = self.shared.hold(self._listed(self.space.choices(observation)))
        elif mask is not None:
            admissible = np.flatnonzero(mask)
            if len(admissible) < self.space.vocab_size - len({self.space.pad_id, *self.space.special_ids}):
                number = self.shared.hold(admissible)
        self.shared.release(int(self._options[row]))
        self._options[row] = number

    def _listed(self, choices: np.ndarray) -> np.ndarray:
        """Candidates ``(choices, tokens)`` as one list: the present ones, each closed by the pad id."""
        lengths = (choices != self.space.pad_id).sum(axis=1)
        present = int(np.flatnonzero(lengths)[-1]) + 1 if lengths.any() else 0
        closed = np.pad(choices[:present], ((0, 0), (0, 1)), constant_values=self.space.pad_id)
        return closed[np.arange(closed.shape[1]) <= lengths[:present, None]]

    def _unlisted(self, listed: np.ndarray) -> np.ndarray:
        """What ``_listed`` was made from."""
        choices = np.full((self.space.max_choices, self.space.max_utterance_tokens), self.space.pad_id, np.int64)
        ends = np.flatnonzero(listed == self.space.pad_id)
        for row, (start, end) in enumerate(zip([0, *(ends[:-1] + 1)], ends, strict=False)):
            choices[row, : end - start] = listed[start:end]
        return choices

    def _hold(self, segments: np.ndarray, options: np.ndarray) -> None:
        for number in segments.tolist():
            self._uses[number] += 1
        for number in options.tolist():
            self.shared.keep(number)

    def _release(self, here: int) -> None:
        """Let go of what the step at ``here`` refers to, before another takes its place."""
        for number in (*self.segment[here].tolist(), *self.next_segment[here].tolist()):
            self._let_go(number)
        for number in (*self.options[here].tolist(), *self.next_options[here].tolist()):
            self.shared.release(number)

    def _let_go(self, number: int) -> None:
        if number < 0:
            return
        self._uses[number] -= 1
        if not self._uses[number]:
            del self._uses[number], self.sequences[number]

    def sample(self, batch_size: int, env: Any = None) -> ReplayBufferSamples:
        """Draw ``batch_size`` steps; ``discounts`` is ``(batch, 1)`` float32."""
        return self.at(*self._draw(batch_size))

    def _draw(self, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Places of ``batch_size`` steps, and their rows."""
        if self.per_sequence == 1:
            return self._independent(batch_size)
        found: list[np.ndarray] = []
        of: list[np.ndarray] = []
        missing = batch_size
        while missing > 0:
            for step, row in zip(*self._independent(missing), strict=True):
                if missing <= 0:
                    break
                along = np.flatnonzero(self.segment[: self.size(), row] == self.segment[step, row])
                count = min(self.per_sequence, len(along))
                # A sequence is drawn by any of its steps and then gives ``count``: so often it has to be passed over.
                if self.rng.random() * count < 1:
                    found.append(self._along(along, row, count))
                    of.append(np.full(count, row))
                    missing -= count
        return np.concatenate(found)[:batch_size], np.concatenate(of)[:batch_size]

    def _independent(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Places of ``count`` steps, each drawn alone, and their rows."""
        rows = self.rng.integers(self.n_envs, size=count)
        return self.rng.integers(self.size(), size=count), rows

    def _along(self, places: np.ndarray, row: int, count: int) -> np.ndarray:
        """``count`` of the steps at ``places`` of a row, which are those of a sequence."""
        return self.rng.choice(places, count, replace=False)

    def at(self, steps: np.ndarray, rows: np.ndarray) -> ReplayBufferSamples:
        """The steps at places ``steps`` ``(batch,)`` of ``rows`` ``(batch,)``, packed, with n-step returns."""
        returns, discounts, last = self._returns(steps, rows)
        dones = self.dones[last, rows] & ~self.timeouts[last, rows]
        after = np.where(dones, 0, self.next_position[last, rows])
        return ReplayBufferSamples(
            self._pack(self.segment[steps, rows], self.position[steps, rows], self.options[steps, rows]),  # type: ignore[arg-type]
            self.to_torch(self.actions[steps, rows].astype(np.int64)),
            self._pack(self.next_segment[last, rows], after, self.next_options[last, rows]),  # type: ignore[arg-type]
            self.to_torch(dones.astype(np.float32).reshape(-1, 1)),
            self.to_torch(returns.reshape(-1, 1)),
            self.to_torch(discounts.reshape(-1, 1)),
        )

    def _returns(self, steps: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Discounted sums of ``n_steps`` rewards, the discounts of what follows, and the places of the last steps."""
        last = steps.copy()
        returns = self.rewards[steps, rows]
        discounts = np.where(self.turn_ends[steps, rows], self.gamma, 1.0)
        going = np.ones(len(steps), dtype=bool)
        for _ in range(1, self.n_steps or self.buffer_size):
            following = (last + 1) % self.buffer_size
            going &= ~self.dones[last, rows] & (following != self.pos)
            # An episode that was given up, as by a reset from outside, ends without being done.
            going &= self.next_segment[last, rows] == self.segment[following, rows]
            going &= self.next_position[last, rows] == self.position[following, rows]
            if not going.any():
                break
            last = np.where(going, following, last)
            returns = np.where(going, returns + discounts * self.rewards[last, rows], returns)
            discounts = np.where(going & self.turn_ends[last, rows], discounts * self.gamma, discounts)
        return returns.astype(np.float32), discounts.astype(np.float32), last

    def _pack(self, segments: np.ndarray, positions: np.ndarray, options: np.ndarray) -> PackedBatch:
        distinct, which = np.unique(segments, return_inverse=True)
        longest = np.zeros(len(distinct), dtype=np.int64)
        np.maximum.at(longest, which, positions.astype(np.int64) + 1)
        found = [
            self.sequences[number].ids(length)
            for number, length in zip(distinct.tolist(), longest.tolist(), strict=True)
        ]
        return PackedBatch(
            ids=pad_sequences(found, self.space.pad_id, self.device),
            segment=self.to_torch(which.astype(np.int64)),
            position=self.to_torch(positions.astype(np.int64)),
            choices=self._candidates(options) if self.space.max_choices else None,
            masks=None if self.space.max_choices or (options < 0).all() else self._admissible(options),
        )

    def _candidates(self, options: np.ndarray) -> Tensor:
        distinct, which = np.unique(options, return_inverse=True)
        return self.to_torch(np.stack([self._unlisted(self.shared[number]) for number in distinct.tolist()])[which])

    def _admissible(self, options: np.ndarray) -> Tensor:
        distinct, which = np.unique(options, return_inverse=True)
        masks = np.ones((len(distinct), self.space.vocab_size), dtype=bool)
        for mask, number in zip(masks, distinct.tolist(), strict=True):
            if number >= 0:
                mask[:] = False
                mask[self.shared[number]] = True
        return self.to_torch(masks[which])

    def state(self) -> dict[str, Any]:
        """All of it as tensors and JSON text."""
        filled = self.size()
        episodes = {id(sequence.episode): sequence.episode for sequence in self.sequences.values()}
        places = {key: index for index, key in enumerate(episodes)}
        tables = {
            "lengths": [len(episode) for episode in episodes.values()],
            "sequences": [
                [number, self._uses[number], places[id(sequence.episode)], sequence.head, sequence.start]
                for number, sequence in self.sequences.items()
            ],
            "shared": self.shared.state(),
            "next_number": self._next_number,
        }
        tokens = [np.frombuffer(episode, dtype=episode.typecode).astype(np.int32) for episode in episodes.values()]
        arrays = {name: np.array(getattr(self, name)[:filled]) for name in self._KEPT}
        rows = {name: np.array(getattr(self, name)) for name in ("done", "_ids", "_lengths", "_current", "_options")}
        wide = {name: value.astype(np.int32) if value.dtype == np.uint16 else value for name, value in arrays.items()}
        return {
            "pos": self.pos,
            "full": self.full,
            "tables": json.dumps(tables),
            "tokens": torch.as_tensor(np.concatenate([np.zeros(0, np.int32), *tokens])),
            **{name: torch.as_tensor(value) for name, value in (*wide.items(), *rows.items())},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a ``state``."""
        self.reset()
        self.pos, self.full = state["pos"], state["full"]
        tables = json.loads(state["tables"])
        for name in self._KEPT:
            getattr(self, name)[: len(state[name])] = state[name].numpy()
        for name in ("done", "_ids", "_lengths", "_current", "_options"):
            getattr(self, name)[:] = state[name].numpy()
        episodes = []
        for tokens in np.split(state["tokens"].numpy(), np.cumsum(tables["lengths"])[:-1]):
            episodes.append(array(id_code(self.space.vocab_size)))
            self._append(episodes[-1], tokens)
        for number, uses, place, head, start in tables["sequences"]:
            pieces = tuple((first, last) for first, last in head)
            self.sequences[number], self._uses[number] = Sequence(episodes[place], pieces, start), uses
        self.shared.restore(tables["shared"])
        self._next_number = tables["next_number"]
