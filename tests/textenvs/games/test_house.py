from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.worlds.house import TASKS, House, Task
from textenvs.games.worlds.house_world import World

PLACE, LIGHT, CLEAN, HEAT, COOL, TWO = TASKS
NOT_UNDERSTOOD = "that was not understood. say one thing to do, like look, inventory, go, open, take or put."


def small(task: Task, known: bool = True) -> House:
    """A kitchen and, east of it, a bedroom; mugs in a cabinet of the kitchen and on the bed, a book on the bed."""
    game = House()
    game.reset(np.random.default_rng(0))
    game._world = World(
        {"kitchen": {"east": "bedroom"}, "bedroom": {"west": "kitchen"}},
        "kitchen",
        holders={
            **dict.fromkeys(("counter", "sink", "fridge", "microwave", "cabinet 1"), "kitchen"),
            **dict.fromkeys(("bed", "cabinet 2"), "bedroom"),
        },
        fixtures={"desk lamp": "bedroom"},
        openable={"fridge", "microwave", "cabinet 1", "cabinet 2"},
        closed={"fridge", "microwave", "cabinet 1", "cabinet 2"},
        place={"mug 1": "cabinet 1", "mug 2": "bed", "book": "bed"},
        capacity=1,
    )
    game._kinds = {name: name.split()[0] for name in (*game._world.holders, *game._world.place)}
    game._task = task
    if known:
        game._world.seen = {*game._world.exits, *game._world.holders}
    game._world.look()
    return game


def play(game: House, said: list[str]) -> list[str]:
    return [game.step(each).text for each in said]


def test_an_episode() -> None:
    game = small(Task(HEAT, "mug", "cabinet"))
    assert play(game, ["take mug", "go east", "take mug", "take book", "go west"]) == [
        "take what? you see no such thing here.",
        "bedroom. desk lamp. bed: mug 2, book. closed: cabinet 2. exits: west.",
        "you take mug 2.",
        "your hands are full: put something down first.",
        "kitchen. closed: fridge, microwave, cabinet 1. empty: counter, sink. exits: east.",
    ]
    assert play(game, ["put mug in cabinet", "open cabinet", "heat mug 2 with microwave", "cool mug 2", "i"]) == [
        "cabinet 1 is closed.",
        "you open cabinet 1: mug 1.",
        "you heat mug 2 with microwave.",
        "you cool mug 2 with fridge.",
        "you hold cold mug 2.",
    ]
    assert play(game, ["put mug 2 in cabinet 1", "look", "take cold mug", "warm mug 2", "clean mug 2 in sink"]) == [
        "you put mug 2 on cabinet 1.",
        "kitchen. cabinet 1: mug 1, cold mug 2. closed: fridge, microwave. empty: counter, sink. exits: east.",
        "you take mug 2.",
        "you heat mug 2 with microwave.",
        "you clean mug 2 with sink.",
    ]
    done = "you put mug 2 on cabinet 1. the task is done."
    assert game.step("put hot clean mug 2 on cabinet 1") == (done, 1.0, True, {"success": True})


def test_two_must_be_on_the_same_piece() -> None:
    game = small(Task(TWO, "mug", "cabinet"))
    game._world.place["mug 1"] = "counter"
    play(game, ["open cabinet 1", "take mug 1", "put mug 1 in cabinet 1", "go east", "open cabinet 2", "take mug 2"])
    assert game.step("put mug 2 in cabinet 2") == ("you put mug 2 on cabinet 2.", 0.0, False, {})
    play(game, ["take mug 2", "go west"])
    assert game.step("put mug 2 in cabinet 1").terminated


@pytest.mark.parametrize(
    "said",
    [["use desk lamp", "take book"], ["take book", "turn on the lamp"], ["take book", "look at book under lamp"]],
)
def test_light(said: list[str]) -> None:
    game = small(Task(LIGHT, "book", ""))
    play(game, ["go east", "switch off lamp"])
    first, last = map(game.step, said)
    assert not first.terminated and last.terminated and last.reward == 1.0


def fewest_turns(game: House) -> int:
    """By breadth-first search over the game itself."""
    frontier, seen, turns = [game], set(), 0
    while frontier:
        turns += 1
        reached = []
        for state in frontier:
            saved = pickle.dumps(state)
            for action in state.valid_actions():
                after = pickle.loads(saved)
                if after.step(action).terminated:
                    return turns
                world = after._world
                states = {thing: sorted(words) for thing, words in world.state.items()}
                key = repr((world.room, world.place, states, sorted(world.closed), after._lit))
                if key not in seen:
                    seen.add(key)
                    reached.append(after)
        frontier = reached
    raise AssertionError("the task cannot be done")


@pytest.mark.parametrize(
    "task",
    [
        Task(PLACE, "mug", "counter"),
        Task(PLACE, "book", "microwave"),
        Task(LIGHT, "book", ""),
        Task(CLEAN, "mug", "cabinet"),
        Task(HEAT, "mug", "fridge"),
        Task(COOL, "mug", "bed"),
        Task(TWO, "mug", "counter"),
        Task(TWO, "mug", "bed"),
    ],
)
def test_the_expert_needs_the_fewest_turns_in_a_house_that_it_knows(task: Task) -> None:
    game, turns = small(task), 1
    fewest = fewest_turns(game)
    while not game.step(game.expert_action()).terminated:
        turns += 1
    assert turns == fewest


def test_the_expert_searches_before_it_finds() -> None:
    game = small(Task(PLACE, "book", "counter"), known=False)
    said = []
    while not said or not game.step(said[-1]).terminated:
        said.append(game.expert_action())
    opened = ["open fridge", "open microwave", "open cabinet 1"]
    assert said == [*opened, "go east", "take book", "go west", "put book on counter"]


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_does_every_task_also_after_mistakes(task: str) -> None:
    rng = np.random.default_rng(TASKS.index(task))
    for episode in range(30):
        game = House([task], rooms=2 + episode % 5, things=4 + episode % 27)
        opening = game.reset(rng)
        thing, target = game._task.thing, game._task.target
        assert thing in opening and target in opening and not game._done()
        for _ in range(30 * (episode % 2)):
            if game.step(str(rng.choice(game.valid_actions()))).terminated:
                break
        else:
            for _ in range(game.max_turns):
                turn = game.step(game.expert_action())
                if turn.terminated:
                    break
            assert turn == (turn.text, 1.0, True, {"success": True})
        there = [game._kinds[each] for each, place in game._world.place.items() if game._kinds.get(place) == target]
        assert there.count(thing) >= 1 + (task == TWO) or task == LIGHT


@pytest.mark.parametrize("level", list(House.levels.values()))
def test_instances_and_choices(level: dict[str, Any]) -> None:
    game, rng, seen = House(**level), np.random.default_rng(1), set()
    for _ in range(60):
        game.reset(rng)
        seen.add(game.instance())
        assert len(game._world.place) == game.things and len(game._world.exits) == game.rooms
        for _ in range(20):
            actions = game.valid_actions()
            assert len(actions) <= game.max_choices
            turn = game.step(str(rng.choice(actions)))
            assert "understood" not in turn.text and "no such thing" not in turn.text and "which" not in turn.text
            if turn.terminated:
                break
    assert len(seen) == 60


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("TAKE the Book, please!", "you take book."),
        ("pick up the bok", "you take book."),
        ("take mug", "which one? say its full name."),
        ("take mug 2", "you take mug 2."),
        ("take mug 1 and mug 2", "one thing at a time."),
        ("take plate", "take what? you see no such thing here."),
        ("put plate on bed", "you hold no such thing."),
        ("put book on bed", "you do not hold book."),
        ("put bed on book", "you hold no such thing."),
        ("clean book", "you do not hold book."),
        ("move to the bedroom", "bedroom. desk lamp. bed: mug 1, book. floor: mug 2. closed: cabinet 2. exits: west."),
        ("open cabinet", "you open cabinet 2: nothing."),
        ("open bed", "you cannot open bed."),
        ("use bed", "you cannot use that."),
        ("examine lamp", "desk lamp is on."),
        ("what is going on?", NOT_UNDERSTOOD),
    ],
)
def test_reading(said: str, reply: str) -> None:
    game = small(Task(COOL, "mug", "bed"))
    play(game, ["open cabinet 1", "take mug 1", "go east", "put mug 1 on bed", "take mug 2", "drop mug 2"])
    if said.startswith("move"):
        game.step("go west")
    assert game.step(said).text == reply


def test_devices() -> None:
    game = small(Task(CLEAN, "book", "bed"))
    play(game, ["go east", "take mug 2"])
    assert play(game, ["clean mug", "go west", "clean mug", "clean mug with fridge"])[::2] == [
        "there is no sink here.",
        "you clean mug 2 with sink.",
    ]
    assert game.step("heat mug with sink").text == "you can heat things with microwave."


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert small(Task(COOL, "mug", "bed")).step(text).text


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"tasks": []}, "tasks must be some of"),
        ({"tasks": ["sweep"]}, r"tasks must be some of .*, not \('sweep',\)"),
        ({"rooms": 1}, "rooms must be 2 to 6, not 1"),
        ({"things": 31}, "things must be 4 to 30, not 31"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        House(**knobs)
