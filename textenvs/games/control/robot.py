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
_FILLERS = {
    *words(
        "i i'll i'd will want must should now then next again once please let let's me us just ok so and it in the a"
    ),
    *words("this same direction way on onward onwards further up robot one two three 1 2 3 more steps cell cells to"),
}


class Robot(Game):
    """TextRobot-v0: do what a mission says in rooms with doors, keys, balls and boxes.

    ## Description

    You steer a robot through a grid of rooms and read what it sees before it. The mission is BabyAI's: go to, pick up
    or open something, put one thing next to another, or several of these in any order (``and``) or one after the other
    (``then``, ``after you``). "Go to" is done when the robot faces such a thing, "open" when it toggles such a door
    open, "put" when it drops such a thing in a cell that has a side in common with the other. "A ball" is any ball.

    The robot carries one thing at a time and drops it in the cell before it. Nothing can be walked through but open
    doors; ``toggle`` opens or closes a door, opens a locked one if the robot carries a key of its colour, and makes a
    box vanish, after which a mission may be impossible.

    ## Example transcript

    ```
    mission: open the blue door, then go to a blue key. you see a wall 2 steps left, a locked blue door 2 steps left and
    1 step forward, a grey key 2 steps forward, a blue key 1 step right, a green box 2 steps right.
    > turn right
    you see a wall 1 step right, a grey key 2 steps left, a green box 2 steps forward, a blue key 1 step forward.
    > pick up
    you carry a blue key. you see a wall 1 step right, a grey key 2 steps left, a green box 2 steps forward.
    > turn left
    you carry a blue key. you see a wall 2 steps left, a locked blue door 2 steps left and 1 step forward, a grey key 2
    steps forward, a green box 2 steps right.
    > go forward
    you carry a blue key. you see a wall 3 steps right, a locked blue door 2 steps left, a grey key 1 step forward.
    > turn left
    you carry a blue key. you see a wall 2 steps left, a locked blue door 2 steps forward, a grey key 1 step right.
    > go forward
    you carry a blue key. you see a wall 2 steps left, a wall 3 steps right, a locked blue door 1 step forward.
    > toggle
    you carry a blue key. you see a wall 2 steps left, a wall 3 steps right, a blue key 1 step left and 5 steps forward,
    an open blue door 1 step forward, a grey key 1 step right and 4 steps forward, a blue key 2 steps right and 3 steps
    forward.
    > turn left
    you carry a blue key. you see a wall 2 steps forward, a green box 3 steps left and 1 step forward, an open blue door
    1 step right.
    > drop
    mission done.
    ```

    ## Observation

    The opening gives the mission; it and each reply tell what the robot carries and sees, as BabyAI-Text does: the
    wall straight ahead, to the left and to the right, unless something stands before it, then all doors and things in
    view with the steps to them. The view is Minigrid's, seven cells wide and seven deep with the robot in the middle of
    the near side; walls and doors that are not open hide what is behind them.

    ## Action

    Free text that names one of the six actions: ``turn left``, ``turn right``, ``go forward``, ``pick up``, ``drop``,
    ``toggle``, also in other words (``walk ahead``, ``walk``, ``take the key``, ``put it down``, ``open the door``).
    What names several, or none, as ``go to the ball`` does, is not understood. An action that cannot be done has no
    effect.

    ## Reward

    1 - 0.9 t / ``max_turns`` when the mission is done after t turns, else 0. What is not understood costs a turn.

    ## Episode end

    Terminated when the mission is done (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``rows`` | 1 | 1 | 2 | rows of rooms (1 to 3) |
    | ``columns`` | 1 | 2 | 2 | columns of rooms (1 to 3) |
    | ``room_size`` | 6 | 6 | 6 | cells along a room (5 to 10), its walls included |
    | ``things`` | 3 | 5 | 8 | keys, balls and boxes, without the key of a locked room (2 to a quarter of the cells) |
    | ``locked`` | - | 0.5 | 1 | probability that a room is locked |
    | ``tasks`` | go to, pick up | all | all | which of go to, pick up, open and put |
    | ``clauses`` | 1 | 2 | 3 | most tasks in a mission (1 to 4); how many is drawn |
    | ``max_turns`` | 36 | 72 | 144 | truncation: rooms times ``room_size`` squared |

    ## Expert

    A script, near the optimum: it knows the whole map, so that no player who does not can be expected to keep up with
    it. Each leg takes the fewest actions (A* over the true state): the tasks in the order of the mission, where need be
    before them to fetch the key of a locked door and to open it. Within a leg it moves only what the mission or the
    lock asks for and what it carries, drops nothing else before a door, and opens no box; if something was left in the
    way, it takes that away. In two rooms of size 5 with two things, where breadth-first search over all states is
    feasible, missions of one task took it 1.2% more actions than the optimum, missions of up to two tasks 3.6%. It
    needs 4, 12 and 24 actions on average, always succeeds and returns 0.91, 0.85 and 0.84 at easy, medium and hard;
    random play returns 0.17, 0.06 and 0.04 and succeeds in 29%, 10% and 6% of the episodes. Where the mission has
    become impossible it turns on the spot.

    ## Source

    BabyAI (Chevalier-Boisvert et al. 2019) in the words of BabyAI-Text (Carta et al. 2023, GLAM), which puts the view
    in sentences. Dynamics, view and reward are Minigrid's. Missions do not tell places ("on your left"); the turn limit
    is BabyAI's for one task, also where there are more; nothing lies before a door at the start; "go to" looks for a
    thing where it is now, not, as in BabyAI, where it was before it was picked up; and no two tasks of a mission are
    done by the same action.

    ## Version history

    - v0: first version.
    """

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
            ("rows", rows, 1, 3),
            ("columns", columns, 1, 3),
            ("room_size", room_size, 5, 10),
            ("things", things, 2, rows * columns * (room_size - 2) ** 2 // 4),
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
    if not named and _STEPS & set(said) and set(said) <= _STEPS | _FILLERS:
        return "go forward"
    return named.pop() if len(named) == 1 else None
