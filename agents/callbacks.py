"""What watches a learner while it trains."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from agents.checkpoint import save


class Point(NamedTuple):
    """A point of the learning curve: what ended since the point before.

    Attributes:
        timesteps: environment steps so far; tokens at token level.
        seconds: since training began.
        episodes: how many ended.
        mean_return: theirs.
        success: their share of successes, or ``None`` where the game is not won or lost.
    """

    timesteps: int
    seconds: float
    episodes: int
    mean_return: float
    success: float | None


class CurveCallback(BaseCallback):
    """Records the learning curve in ``points``, one for each rollout of at least ``every`` steps.

    Args:
        every: steps that lie between two points at least; a point also waits for an episode to end.
    """

    def __init__(self, every: int = 0) -> None:
        super().__init__()
        self.every = every
        self.points: list[Point] = []
        self._returns: list[float] = []
        self._successes: list[bool] = []

    def _on_training_start(self) -> None:
        self._began = time.perf_counter()
        self._last = self.num_timesteps

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._returns.append(info["episode"]["r"])
                if "success" in info:
                    self._successes.append(bool(info["success"]))
        return True

    def _on_rollout_end(self) -> None:
        if not self._returns or self.num_timesteps - self._last < self.every:
            return
        success = float(np.mean(self._successes)) if self._successes else None
        seconds = time.perf_counter() - self._began
        mean_return = float(np.mean(self._returns))
        self.points.append(Point(self.num_timesteps, seconds, len(self._returns), mean_return, success))
        if success is not None:
            self.logger.record("rollout/success_rate", success)
        self._returns, self._successes, self._last = [], [], self.num_timesteps


class CheckpointCallback(BaseCallback):
    """Saves the learner with ``agents.save``, between rollouts, where continuing it is exact.

    Attributes:
        stop: set it to have the learner saved at the end of the running rollout and ``learn`` return.
        stopped: that has happened; the file continues exactly, the model in memory is one step further.

    Args:
        path: the file; each save replaces it in one step.
        every: environment steps between two saves at least.
    """

    def __init__(self, path: str | PathLike[str], every: int) -> None:
        super().__init__()
        self.path = path
        self.every = every
        self.stop = self.stopped = False

    def _on_training_start(self) -> None:
        self._last = self.num_timesteps

    def _on_rollout_start(self) -> None:
        if self.stop or self.num_timesteps - self._last >= self.every:
            save(self.model, self.path)
            self._last = self.num_timesteps
            self.stopped = self.stop

    def _on_step(self) -> bool:
        return not self.stopped


@contextmanager
def stopping_on_interrupt(checkpoint: CheckpointCallback, tell: Callable[[], Any]) -> Iterator[None]:
    """Let Ctrl-C (and SIGTERM) stop training after the running rollout; ``tell`` is called then. A second one stops
    at once."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in signals]

    def ask(number: int, frame: Any) -> None:
        if checkpoint.stop:
            raise KeyboardInterrupt
        checkpoint.stop = True
        tell()

    try:
        for number in signals:
            signal.signal(number, ask)
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
