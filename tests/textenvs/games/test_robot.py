from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.control import rooms
from textenvs.games.control.missions import Clause, Mission, happens, progress, to_do
from textenvs.games.control.robot import Robot, _read
from textenvs.games.control.rooms import ACTIONS, CLOSED, LOCKED, NOWHERE, OPEN, State, Thing, World, act, describe

_COLOUR = dict(zip("bgpry", ("blue", "green", "purple", "red", "yellow"), strict=True))
_KIND = {"o": "ball", "x": "box", "k": "key"}
_DOOR = {"O": OPEN, "C": CLOSED, "L": LOCKED}


def scene(picture: str, carried: str = "") -> tuple[World, State]:
    """Two letters a cell: ``##`` wall, ``..`` floor, ``>>`` the robot, ``ro`` a red ball, ``rL`` a locked red door."""
    rows = [line.split() for line in picture.strip().splitlines()]
    width = len(rows[0])
    marks = {i * width + j: mark for i, row in enumerate(rows) for j, mark in enumerate(row)}
    things = {cell: Thing(_KIND[m[1]], _COLOUR[m[0]]) for cell, m in marks.items() if m[1] in _KIND}
    doors = {cell: m for cell, m in marks.items() if m[1] in _DOOR}
    start = next(cell for cell, mark in marks.items() if mark[0] in ">v<^")
    held = [Thing(_KIND[carried[1]], _COLOUR[carried[0]])] if carried else []
    world = World(
        width,
        len(rows),
        frozenset(cell for cell, mark in marks.items() if mark != "##"),
        (*things.values(), *held),
        tuple(Thing("door", _COLOUR[mark[0]]) for mark in doors.values()),
        tuple(doors),
    )
    cells = (*things, *(NOWHERE for _ in held))
    states = tuple(_DOOR[mark[1]] for mark in doors.values())
    return world, State(start, ">v<^".index(marks[start][0]), len(things) if held else NOWHERE, cells, states)


def start(world: World, state: State, mission: Mission, **knobs: Any) -> Robot:
    game = Robot(**knobs)
    game.reset(np.random.default_rng(0))
    game._world, game._state, game._mission, game._done = world, state, mission, frozenset()
    return game


VIEWS = [
    (
        """
        ## ## ## ## ## ## ##
        ## .. .. ro .. .. ##
        ## .. .. .. .. bk ##
        ## .. .. ^^ .. .. ##
        ## gx .. .. .. .. ##
        ## ## ## ## ## ## ##
        """,
        "",
        "you see a wall 3 steps left, a wall 3 steps right, a red ball 2 steps forward, "
        "a blue key 2 steps right and 1 step forward.",
    ),
    (
        """
        ## ## ## ## ## ## ## ## ##
        ## >> .. bC ro ## .. .. ##
        ## .. .. ## .. ## .. .. ##
        ## ## ## ## ## ## ## ## ##
        """,
        "yk",
        "you carry a yellow key. you see a wall 1 step left, a wall 2 steps right, a closed blue door 2 steps forward.",
    ),
    (
        """
        ## ## ## ## ## ## ## ## ##
        ## >> .. bO .. .. .. ro ##
        ## .. .. ## .. rx .. .. ##
        ## ## ## ## ## ## ## ## ##
        """,
        "",
        "you see a wall 1 step left, a wall 2 steps right, a red ball 6 steps forward, "
        "an open blue door 2 steps forward, a red box 1 step right and 4 steps forward.",
    ),
    (
        """
        ## ## ## ## ## ## ## ## ## ## ##
        ## .. .. .. .. .. .. .. .. .. ##
        ## .. .. .. .. .. .. .. .. .. ##
        ## .. .. .. .. .. .. .. .. .. ##
        ## .. .. .. .. vv .. .. .. ro ##
        ## .. .. .. .. .. .. .. .. .. ##
        ## .. .. .. .. .. .. .. .. .. ##
        ## .. .. .. .. .. .. .. .. .. ##
        ## .. .. .. .. .. .. .. .. .. ##
        ## .. .. .. .. .. .. .. .. .. ##
        ## .. .. .. .. .. .. .. .. .. ##
        ## .. .. .. .. bo .. .. .. .. ##
        ## ## ## ## ## ## ## ## ## ## ##
        """,
        "",
        "you see nothing.",  # one ball is four cells to the left, the other seven ahead
    ),
]


@pytest.mark.parametrize(("picture", "carried", "text"), VIEWS)
def test_the_view(picture: str, carried: str, text: str) -> None:
    assert describe(*scene(picture, carried)) == text


def test_light_creeps_along_walls_and_through_gaps() -> None:
    world, state = scene(
        """
        ## ## ## ## ## ## ##
        ## .. ro .. bo .. ##
        ## .. ## .. ## .. ##
        ## .. ## ## ## .. ##
        ## .. .. ^^ .. gk ##
        ## ## ## ## ## ## ##
        """
    )
    # Up the two outer corridors and then aside, as in Minigrid, but not into the middle one.
    assert describe(world, state) == (
        "you see a wall 1 step forward, a wall 3 steps left, a red ball 1 step left and 3 steps forward, "
        "a blue ball 1 step right and 3 steps forward, a green key 2 steps right."
    )
    world, state = scene(
        """
        ## ## ## ## ## ## ##
        ## .. ro .. bo .. ##
        ## ## ## .. ## ## ##
        ## .. .. ^^ .. gk ##
        ## ## ## ## ## ## ##
        """
    )
    assert describe(world, state) == (
        "you see a wall 3 steps forward, a wall 3 steps left, a red ball 1 step left and 2 steps forward, "
        "a blue ball 1 step right and 2 steps forward, a green key 2 steps right."
    )


@pytest.mark.parametrize(
    ("picture", "carried", "action", "changed"),
    [
        (">> ..", "", "go forward", {"cell": 1}),
        (">> ro", "", "go forward", {}),
        (">> ##", "", "go forward", {}),
        (">> rC", "", "go forward", {}),
        (">> rL", "", "go forward", {}),
        (">> rO", "", "go forward", {"cell": 1}),
        (">> ..", "", "turn left", {"heading": 3}),
        ("^^ ..", "", "turn right", {"heading": 0}),
        (">> ro", "", "pick up", {"carried": 0, "cells": (NOWHERE,)}),
        (">> ro", "bk", "pick up", {}),
        (">> rC", "", "pick up", {}),
        (">> ..", "bk", "drop", {"carried": NOWHERE, "cells": (1,)}),
        (">> ro", "bk", "drop", {}),
        (">> rO", "bk", "drop", {}),
        (">> ##", "bk", "drop", {}),
        (">> rC", "", "toggle", {"doors": (OPEN,)}),
        (">> rO", "", "toggle", {"doors": (CLOSED,)}),
        (">> rL", "", "toggle", {}),
        (">> rL", "bk", "toggle", {}),
        (">> rL", "ro", "toggle", {}),
        (">> rL", "rk", "toggle", {"doors": (OPEN,)}),
        (">> rx", "", "toggle", {"cells": (NOWHERE,)}),
        (">> ro", "", "toggle", {}),
        (">> ..", "", "toggle", {}),
    ],
)
def test_the_dynamics_are_those_of_minigrid(picture: str, carried: str, action: str, changed: dict[str, Any]) -> None:
    world, state = scene(f"## ## ## ##\n## {picture} ##\n## ## ## ##", carried)
    shift = {"cell": 5, "cells": 5}  # the picture begins in cell 5
    expected = {
        name: tuple(v + 5 * (v != NOWHERE) for v in value) if name == "cells" else value + shift.get(name, 0)
        for name, value in changed.items()
        if name != "doors"
    }
    if "doors" in changed:
        expected["doors"] = changed["doors"]
    assert act(world, state, action) == state._replace(**expected)


def test_an_episode() -> None:
    world, state = scene(
        """
        ## ## ## ## ##
        ## >> rk .. ##
        ## .. .. ro ##
        ## ## rL ## ##
        ## .. .. .. ##
        ## ## ## ## ##
        """
    )
    first = Clause("open", (2,), (), "open the red door")
    second = Clause("put", (0,), (1,), "put the red key next to the red ball")
    game = start(world, state, Mission((first,), (second,), ""), room_size=10)
    assert game.step("grab the key!") == (
        "you carry a red key. you see a wall 3 steps forward, a wall 1 step left, a wall 2 steps right, "
        "a red ball 1 step right and 2 steps forward, a locked red door 2 steps right and 1 step forward.",
        0.0,
        False,
        {},
    )
    assert game.step("go left and forward") == (
        "say turn left, turn right, go forward, pick up, drop or toggle.",
        0.0,
        False,
        {},
    )
    for action in ("walk", "rotate right"):
        game.step(action)
    assert game.step("go ahead").text == (
        "you carry a red key. you see a wall 2 steps right, a red ball 1 step left, a locked red door 1 step forward."
    )
    assert game.step("put it down").reward == 0.0  # no cell to drop it in
    assert game.step("unlock the door").text.endswith("an open red door 1 step forward.")
    assert game._done == {first}
    game.step("turn right")
    assert game.step("drop").reward == 0.0 and game._state.cells[0] == 11  # two cells from the ball
    for action in ("pick up", "turn left", "turn left", "go forward"):
        assert not game.step(action).terminated
    assert game._turns == 13


def test_the_last_task_ends_the_episode() -> None:
    world, state = scene("## ## ## ## ##\n## >> .. ro ##\n## ## ## ## ##")
    game = start(world, state, Mission((Clause("go to", (0,), (), ""),), (), ""))
    assert game.step("turn right").reward == game.step("turn left").reward == 0.0
    assert game.step("forward") == ("mission done.", 1 - 0.9 * 3 / 72, True, {"success": True})


CORRIDOR = "## ## ## ## ## ##\n## >> .. ro bo ##\n## ## ## ## ## ##"


@pytest.mark.parametrize(
    ("first", "then", "actions", "turns"),
    [
        ([("go to", 0)], [], ["go forward"], 1),
        ([("go to", 1)], [], ["go forward", "pick up", "go forward"], 3),
        ([("pick up", 0)], [("go to", 1)], ["go forward", "pick up", "go forward"], 3),
        ([("go to", 1), ("pick up", 0)], [], ["go forward", "pick up", "go forward"], 3),
        ([("pick up", 1)], [("pick up", 0)], ["go forward", "pick up", "go forward", "pick up"], None),
        ([("go to", 1)], [("go to", 0)], ["go forward", "pick up", "go forward", "drop"], None),
        ([("pick up", 0)], [("pick up", 0)], ["go forward", "pick up"], 2),  # BabyAI's verifier counts it twice
    ],
)
def test_what_counts_when(
    first: list[tuple[str, int]], then: list[tuple[str, int]], actions: list[str], turns: int | None
) -> None:
    clauses = [tuple(Clause(task, (n,), (), f"{task} {n} {part}") for task, n in part) for part in (first, then)]
    game = start(*scene(CORRIDOR), Mission(*clauses, text=""))
    ended = [game.step(action).terminated for action in actions]
    assert ended == [n == turns for n in range(1, len(actions) + 1)]


def test_put_looks_at_what_was_dropped_now() -> None:
    world, state = scene("## ## ## ## ## ##\n## >> .. ro bo ##\n## ## ## ## ## ##")
    clause = Clause("put", (0,), (1,), "")
    near = act(world, state, "go forward")
    held = act(world, near, "pick up")
    assert happens(world, held, "drop", act(world, held, "drop"), clause)
    assert not happens(world, near, "pick up", held, clause)
    assert not happens(world, near, "drop", near, clause)


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ("TURN LEFT", "turn left"),
        ("rotate clockwise", "turn right"),
        ("go right", "turn right"),
        ("I walk straight ahead.", "go forward"),
        ("move", "go forward"),
        ("Pick it up", "pick up"),
        ("take the red ball", "pick up"),
        ("put the ball down", "drop"),
        ("release", "drop"),
        ("open the door", "toggle"),
        ("turn", None),
        ("turn left and toggle", None),
        ("jump", None),
        ("i will walk on, please", "go forward"),
        ("move two steps", "go forward"),
        ("go back", None),
        ("walk backwards", None),
        ("go to the red ball", None),
        ("move away from the wall", None),
    ],
)
def test_reading(said: str, action: str | None) -> None:
    assert _read(said) == action
    assert all(_read(each) == each for each in ACTIONS)


Node = tuple[State, frozenset[Clause]]


def fewest(game: Robot, may: Callable[[World, State, str], bool] = lambda *_: True) -> int:
    """The fewest actions by breadth-first search over all states of the game."""
    world, mission = game._world, game._mission
    seen, level, turns = {(game._state, game._done)}, [(game._state, game._done)], 0
    while level:
        turns += 1
        later: list[Node] = []
        for state, done in level:
            for action in ACTIONS:
                if not may(world, state, action):
                    continue
                after = act(world, state, action)
                node = after, progress(world, state, action, after, mission, done)
                if not to_do(mission, node[1]):
                    return turns
                if node not in seen:
                    seen.add(node)
                    later.append(node)
        level = later
    raise AssertionError("no plan")


def expert_turns(game: Robot) -> int:
    turns = 1
    while not game.step(game.expert_action()).terminated:
        turns += 1
        assert turns < 300
    return turns


@pytest.mark.parametrize(
    "knobs",
    [
        {"columns": 1, "room_size": 6, "things": 3, "tasks": ("go to", "pick up", "put")},
        {"room_size": 5, "things": 3, "locked": 0.0},
    ],
)
def test_a_task_takes_the_fewest_actions_of_those_that_move_nothing_else(knobs: dict[str, Any]) -> None:
    game, rng = Robot(clauses=1, **knobs), np.random.default_rng(0)
    for _ in range(25):
        game.reset(rng)
        (clause,) = game._mission.first
        asked = clause.targets if clause.task in ("pick up", "put") else ()

        def may(world: World, state: State, action: str, asked: tuple[int, ...] = asked) -> bool:
            front = rooms.ahead(world, state)
            at = state.cells.index(front) if front in state.cells else None
            if action == "pick up":
                return at in asked
            return action != "toggle" or at is None

        assert expert_turns(game) == fewest(start(game._world, game._start, game._mission), may)


def test_the_expert_is_close_to_the_fewest_actions_of_all() -> None:
    game, rng, best, taken = Robot(room_size=5, things=2), np.random.default_rng(1), [], []
    for _ in range(40):
        game.reset(rng)
        best.append(fewest(game))
        taken.append(expert_turns(game))
    assert all(mine >= least for mine, least in zip(taken, best, strict=True))
    assert sum(taken) < 1.08 * sum(best) and sum(a == b for a, b in zip(taken, best, strict=True)) > 28


@pytest.mark.parametrize("level", ["medium", "hard"])
def test_the_expert_gets_there_after_mistakes(level: str) -> None:
    game, rng, finished = Robot(**Robot.levels[level]), np.random.default_rng(2), 0
    for _ in range(25):
        game.reset(rng)
        ended = any(game.step(rng.choice(ACTIONS[:5])).terminated for _ in range(30))
        if not ended:  # without a toggle no box is lost
            expert_turns(game)
            finished += 1
    assert finished > 15


def test_the_expert_clears_the_way_to_a_lock() -> None:
    world, state = scene(
        """
        ## ## ## ## ## ## ##
        ## rk .. .. bo rL .. ##
        ## .. .. >> gx ## .. ##
        ## .. .. .. .. ## .. ##
        ## ## ## ## ## ## ## ##
        """.replace("## ## ## ## ## ## ##\n", "## ## ## ## ## ## ## ##\n", 1)
    )
    game = start(world, state, Mission((Clause("open", (3,), (), ""),), (), ""))
    assert expert_turns(game) < 30


def test_an_impossible_mission_does_not_stop_the_expert() -> None:
    world, state = scene("## ## ## ## ##\n## >> rx .. ##\n## ## ## ## ##")
    game = start(world, state, Mission((Clause("pick up", (0,), (), ""),), (), ""))
    game.step("toggle")
    assert game.expert_action() == "turn left"


@pytest.mark.parametrize(("rows", "columns", "locked"), [(1, 1, 1.0), (1, 2, 0.0), (2, 2, 1.0), (3, 3, 0.5)])
def test_rooms_hang_together_and_keys_lie_outside(rows: int, columns: int, locked: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        world, state = rooms.draw_world(rows, columns, 6, 2 * rows * columns, locked, rng)
        assert (world.width, world.height) == (5 * columns + 1, 5 * rows + 1)
        grid = networkx.Graph()
        grid.add_nodes_from(world.floor)
        grid.add_edges_from((a, a + step) for a in world.floor for step in (1, world.width) if a + step in world.floor)
        assert networkx.is_connected(grid)
        shut = [cell for cell, how in zip(world.door_cells, state.doors, strict=True) if how == LOCKED]
        assert len(shut) <= 1 and (locked < 1 or rows * columns == 1 or shut)
        if shut:
            grid.remove_node(shut[0])
            key = Thing("key", world.doors[world.door_cells.index(shut[0])].colour)
            cells = [cell for thing, cell in zip(world.things, state.cells, strict=True) if thing == key]
            assert any(networkx.has_path(grid, state.cell, cell) for cell in cells)
            assert networkx.number_connected_components(grid) == 2
        assert len({state.cell, *state.cells}) == len(state.cells) + 1


def test_missions_and_their_words() -> None:
    game, rng, said = Robot(**Robot.levels["hard"]), np.random.default_rng(4), set()
    for _ in range(300):
        opening = game.reset(rng)
        mission = game._mission
        assert opening.startswith(f"mission: {mission.text}. ") and len(opening.split()) < 120
        everything = [*game._world.things, *game._world.doors]
        for clause in (*mission.first, *mission.then):
            said.add(clause.task)
            assert clause.text in mission.text and clause.text.startswith(clause.task)
            assert all(everything[n].kind in clause.text for n in clause.targets)
            assert set(clause.targets).isdisjoint(clause.beside)
        if mission.then:
            said.add("then" if ", then " in mission.text else "after")
            order = [mission.text.index(part[0].text) for part in (mission.first, mission.then)]
            assert (order[0] < order[1]) == (", then " in mission.text)
        said |= {"and"} if " and " in mission.text else set()
    assert said == {"go to", "pick up", "open", "put", "then", "after", "and"}


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_episodes_differ_and_can_be_done_in_time(level: str) -> None:
    game, rng, seen = Robot(**Robot.levels[level]), np.random.default_rng(5), set()
    for _ in range(40):
        game.reset(rng)
        seen.add(game.instance())
        assert expert_turns(game) <= game.max_turns
    assert len(seen) == 40


ANY = start(*scene("## ## ## ## ##\n## >> .. ro ##\n## ## ## ## ##"), Mission((Clause("put", (0,), (), ""),), (), ""))


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert ANY.step(text).text


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"rows": 4}, "rows must be 1 to 3, not 4"),
        ({"columns": 0}, "columns must be 1 to 3, not 0"),
        ({"room_size": 4}, "room_size must be 5 to 10, not 4"),
        ({"things": 9}, "things must be 2 to 8, not 9"),
        ({"clauses": 5}, "clauses must be 1 to 4, not 5"),
        ({"locked": 1.5}, "locked is a probability: it must be 0 to 1, not 1.5"),
        ({"tasks": ("sing",)}, "tasks must be some of go to, pick up, open, put, not"),
        ({"tasks": "open"}, "tasks must be some of"),
        ({"columns": 1, "things": 3, "tasks": ("open",)}, "one room has no door to open"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Robot(**knobs)


def test_the_reward_falls_with_the_turns() -> None:
    world, state = scene("## ## ## ## ##\n## >> .. ro ##\n## ## ## ## ##")
    rewards = []
    for idle in range(4):
        game = start(world, state, Mission((Clause("go to", (0,), (), ""),), (), ""))
        for _ in range(idle):
            game.step("hm")
        rewards.append(game.step("go forward").reward)
    assert all(a - b == pytest.approx(0.9 / 72) for a, b in pairwise(rewards))
