"""Do what a mission says in rooms with doors, keys, balls and boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.control.missions import TASKS, Clause, draw_mission, progress, to_do
from textenvs.games.control.planner import plan
from textenvs.games.control.rooms import ACTIONS, act, describe, draw_world
from textenvs.parsing import words

_WORDS = {
    "turn left": "left counterclockwise",
    "turn right": "right clockwise",
    "go forward": "forward forwards ahead straight",
    "pick up": "pick pickup take grab get lift",
    "drop": "drop release down",
    "toggle": "toggle open close unlock",
}
_NAMED = {word: action for action, named in _WORDS.items() for word in named.split()}
_STEPS = {"go", "move", "walk", "step"}


class Robot(Game):
    """ """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"columns": 1, "things": 3, "tasks": ("go to", "pick up"), "clauses": 1},
        "medium": {},
        "hard": {"rows": 2, "things": 8, "locked": 1.0, "clauses": 3},
    }
    max_choices = len(ACTIONS)

    def __init__(
        self,
        rows: int = 1,
        columns: int = 2,
        room_size: int = 6,
        things: int = 5,
        locked: float = 0.5,
        tasks: Sequence[str] = TASKS,
        clauses: int = 2,
    ) -> None:
        for name, value, least, most in (
            ("rows", rows, 1, 4),
            ("columns", columns, 1, 4),
            ("room_size", room_size, 4, 10),
            ("things", things, 2, 24),
            ("clauses", clauses, 1, 4),
        ):
            if not least <= value <= most:
                raise ValueError(f"{name} must be {least} to {most}, not {value!r}")
        if not 0 <= locked <= 1:
            raise ValueError(f"locked is a probability: it must be 0 to 1, not {locked!r}")
        if isinstance(tasks, str) or not tasks or not set(tasks) <= set(TASKS):
            raise ValueError(f"tasks must be some of {', '.join(TASKS)}, not {tasks!r}")
        if rows * columns == 1 and set(tasks) == {"open"}:
            raise ValueError("one room has no door to open: take more rooms or other tasks")
        self.rows, self.columns, self.room_size, self.things = rows, columns, room_size, things
        self.locked, self.tasks, self.clauses = locked, tuple(tasks), clauses
        self.max_turns = rows * columns * room_size**2

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the rooms and a mission."""
        mission = None
        while mission is None:
            self._world, self._state = draw_world(
                self.rows, self.columns, self.room_size, self.things, self.locked, rng
            )
            mission = draw_mission(self._world, self._state, self.tasks, self.clauses, rng)
        self._start, self._mission = self._state, mission
        self._done: frozenset[Clause] = frozenset()
        self._turns = 0
        return f"mission: {mission.text}. {describe(self._world, self._state)}"

    def instance(self) -> str:
        """The rooms, all that is in them, and the mission."""
        things, doors = ([f"{each.colour} {each.kind}" for each in part] for part in self._world[3:5])
        floor = sorted(self._world.floor)
        return f"{self._mission.text} {things} {doors} {self._world.door_cells} {floor} {tuple(self._start)}"

    def step(self, action: str) -> Turn:
        """Do one action."""
        self._turns += 1
        named = _read(action)
        if named is None:
            return Turn(f"say {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}.")
        before = self._state
        self._state = act(self._world, before, named)
        self._done = progress(self._world, before, named, self._state, self._mission, self._done)
        if to_do(self._mission, self._done):
            return Turn(describe(self._world, self._state))
        return Turn("mission done.", 1 - 0.9 * self._turns / self.max_turns, True, {"success": True})

    def valid_actions(self) -> list[str]:
        """The six actions."""
        return list(ACTIONS)

    def expert_action(self) -> str:
        """The next action of the shortest plan for the first clause that counts now and can be done."""
        plans = (plan(self._world, self._state, clause) for clause in to_do(self._mission, self._done))
        return next((found for found in plans if found), ACTIONS)[0]


def _read(text: str) -> str | None:
    """The one action that a text names."""
    said = words(text)
    named = {_NAMED[word] for word in said if word in _NAMED}
    if not named and _STEPS & set(said):
        return "go forward"
    return named.pop() if len(named) == 1 else None
