"""Many episodes of one text game side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from textenvs.env import TextEnv, load_game
from textenvs.game import Game


class TextVectorEnv(VectorEnv[Any, Any, Any]):
    """``num_envs`` rows of one game; the same episodes as ``SyncVectorEnv`` over ``TextEnv``, with less work a step.

    Made by ``gymnasium.make_vec(id, num_envs, **keywords)``. All replies of a step are tokenized in one call.

    Observations are int32 ``(num_envs, length)``, or a tuple of ``str`` with ``as_text=True``. Actions are an array
    ``(num_envs, max_utterance_tokens)`` at turn level (or a sequence of ``str``), and ``(num_envs,)`` at the others.
    ``rows`` are the ``TextEnv`` of each row, to be asked but not to be stepped.

    Args:
        num_envs: how many rows.
        game: as for ``TextEnv``.
        autoreset_mode: Gymnasium's ``AutoresetMode`` or its value: ``"NextStep"``, ``"SameStep"`` or ``"Disabled"``.
        **keywords: those of ``TextEnv``.
    """

    def __init__(
        self,
        num_envs: int = 1,
        game: str | type[Game] = "",
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        **keywords: Any,
    ) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, (int, np.integer)) or num_envs < 1:
            raise ValueError(f"num_envs must be an integer of at least 1, not {num_envs!r}")
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        game = load_game(game)
        self.rows = [TextEnv(game, **keywords) for _ in range(num_envs)]
        row = self.rows[0]
        self.num_envs = int(num_envs)
        self.metadata = {**row.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = row.render_mode
        self.single_observation_space, self.single_action_space = row.observation_space, row.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._ended = np.zeros(self.num_envs, np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start new episodes.

        Args:
            seed: row ``i`` is seeded with ``seed + i``, or with ``seed[i]`` of a sequence.
            options: those of ``TextEnv.reset``, where ``episode_seed`` may be a sequence of one for each row; and
                ``"reset_mask"``, bool ``(num_envs,)``: only these rows start anew; one that never did is all padding.

        Returns:
            Observations and Gymnasium's vector ``info`` (each key with a mask ``_key`` of the rows that have it).

        Raises:
            ValueError: an unknown option or a bad seed; no row has started anew then.
        """
        seeds = list(seed) if isinstance(seed, Sequence) else [None if seed is None else seed + i for i in self._all]
        if len(seeds) != self.num_envs:
            raise ValueError(f"there are {len(seeds)} seeds for num_envs={self.num_envs}")
        options = dict(options or {})
        chosen = self._mask("options['reset_mask']", options.pop("reset_mask", None))
        episode_seeds = options.pop("episode_seed", None)
        if not isinstance(episode_seeds, (Sequence, np.ndarray)):
            episode_seeds = [episode_seeds] * self.num_envs
        if len(episode_seeds) != self.num_envs:
            raise ValueError(f"there are {len(episode_seeds)} episode seeds for num_envs={self.num_envs}")
        each_options = [{**options, "episode_seed": episode_seed} for episode_seed in episode_seeds]
        for i in chosen:
            self.rows[i]._check_reset(seeds[i], each_options[i])
        self._ended[chosen] = False
        self._converse(chosen, lambda i: self.rows[i]._begin(seeds[i], each_options[i]))
        infos: dict[str, Any] = {}
        for i in chosen:
            infos = self._add_info(infos, self.rows[i]._info, i)
        return self._observations(), infos

    def step(
        self, actions: Any, moving: NDArray[np.bool_] | None = None
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Act in every row, or in those that are ``moving``.

        With ``"NextStep"`` a row whose episode ended starts a new one instead (its action is ignored, its reward is 0);
        with ``"SameStep"`` it does so at once, and ``info`` holds the last observation and info of the old one as
        ``final_obs`` and ``final_info`` (and what could be done in it as ``final_mask``, with ``constrain=True``).

        Args:
            actions: one for each row.
            moving: bool ``(num_envs,)``; the others stand still, whatever their action: their reward is
                0, and ``info`` says nothing of them.

        Returns:
            Observations, rewards, terminations, truncations (each ``(num_envs,)``) and the vector ``info``.

        Raises:
            ResetNeeded, TypeError, ValueError: as in ``TextEnv.step``; no row has acted then.
        """
        if len(actions) != self.num_envs:
            raise ValueError(f"there are {len(actions)} actions for num_envs={self.num_envs}")
        if isinstance(actions, np.ndarray) and actions.ndim == 1:
            actions = actions.tolist()  # plain integers are checked several times faster than numpy's
        fresh = self._ended if self.autoreset_mode is AutoresetMode.NEXT_STEP else np.zeros_like(self._ended)
        which = self._mask("moving", moving)
        parsed = {i: None if fresh[i] else self.rows[i]._parse(actions[i]) for i in which}
        self._converse(which, lambda i: self.rows[i]._begin(None, None) if fresh[i] else self.rows[i]._play(parsed[i]))

        rewards = np.array([row._reward for row in self.rows])
        terminations = np.array([row._terminated for row in self.rows])
        truncations = np.array([row._truncated for row in self.rows])
        if moving is not None:
            for each in (rewards, terminations, truncations):
                each[~moving] = 0
        ended = terminations | truncations
        self._ended = ended if moving is None else np.where(moving, ended, self._ended)
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            over = np.flatnonzero(ended).tolist()
            for i in over:
                final = {"final_obs": self.rows[i]._observation(), "final_info": self.rows[i]._info}
                if self.rows[i].constrain:
                    final["final_mask"] = self.rows[i].action_masks()
                infos = self._add_info(infos, final, i)
            self._converse(over, lambda i: self.rows[i]._begin(None, None))
        for i in which:
            if self.rows[i]._info:
                infos = self._add_info(infos, self.rows[i]._info, i)
        return self._observations(), rewards, terminations, truncations, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """Each row's ``TextEnv.action_masks()``: bool ``(num_envs, actions)``."""
        return np.stack([row.action_masks() for row in self.rows])

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """What each row's method (or attribute) ``name`` gives."""
        found = [getattr(row, name) for row in self.rows]
        return tuple(each(*args, **kwargs) if callable(each) else each for each in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Each row's attribute ``name``."""
        return tuple(getattr(row, name) for row in self.rows)

    def render(self) -> tuple[Any, ...] | None:
        """Each row's transcript, with ``render_mode="ansi"``."""
        return tuple(row.render() for row in self.rows)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """Each row's generator."""
        return self.get_attr("np_random")

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """Each row's seed."""
        return self.get_attr("np_random_seed")

    @property
    def _all(self) -> range:
        return range(self.num_envs)

    def _converse(self, which: Sequence[int], speak: Callable[[int], str | None]) -> None:
        """Let the game of each row in ``which`` speak, tokenize all of it in one call, and let the rows read it."""
        said = [(i, text) for i in which if (text := speak(i)) is not None]
        tokenizer = self.rows[0]._tokenizer
        if tokenizer is not None and said:
            for (i, _), ids in zip(said, tokenizer.encode_batch([text for _, text in said]), strict=True):
                self.rows[i]._receive(ids)

    def _observations(self) -> Any:
        if self.rows[0].as_text:
            return tuple(row._observation() for row in self.rows)
        return np.stack([row._buffer for row in self.rows])  # (num_envs, length), a copy

    def _mask(self, name: str, mask: Any) -> Sequence[int]:
        """The rows that a mask chooses; ``None`` is all of them."""
        if mask is None:
            return self._all
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            raise ValueError(f"{name} must be a bool array of shape ({self.num_envs},), not {mask!r}")
        return np.flatnonzero(mask).tolist()
