"""Small games for the tests of the environments."""

from __future__ import annotations

import numpy as np

from textenvs.game import Game, Turn


class Toy(Game):
    """Says a number to be repeated; replies hold fresh random digits, so that every transcript differs."""

    levels = {"medium": {}, "hard": {"size": 50}}  # noqa: RUF012
    max_turns = 12
    max_choices = 5

    def __init__(self, size: int = 10, reply: str = "") -> None:
        self.size, self.reply = size, reply
        self.heard: list[str] = []

    def reset(self, rng: np.random.Generator) -> str:
        self._rng = rng
        self._number = int(rng.integers(self.size))
        self.heard = []
        return f"Say {self._number} of {self.size}, please."

    def step(self, action: str) -> Turn:
        self.heard.append(action)
        if action == self.expert_action():
            return Turn("Right.", 1.0, True, {"success": True})
        return Turn(f"Not understood. Try {self._rng.integers(1000)}.{self.reply}", -0.1)

    def valid_actions(self) -> list[str]:
        return [f"say {(self._number + k) % self.size}" for k in range(4)]

    def expert_action(self) -> str:
        return f"say {self._number}"

    def instance(self) -> str:
        return str(self._number)


class Open(Game):
    """Has no admissible set, no instances and no end of its own."""

    def reset(self, rng: np.random.Generator) -> str:
        return "Talk."

    def step(self, action: str) -> Turn:
        return Turn(f"You said {action!r}.", float(len(action)))

    def expert_action(self) -> str:
        return "I could go on like this for quite a while."
