from __future__ import annotations

import itertools
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.worlds.cooking import Cooking


def start(seed: int = 0, **knobs: Any) -> Cooking:
    game = Cooking(**knobs)
    game.reset(np.random.default_rng(seed))
    return game


def small(**knobs: Any) -> Cooking:
    """A kitchen and a pantry west of it; flour, roasted sliced apple and fried, chopped leek; a pear and a duck egg."""
    game = start(**{"go": 1, **knobs})
    world = game._world
    world.exits = {"kitchen": {"west": "pantry"}, "pantry": {"east": "kitchen"}}
    world.holders["shelf"] = "pantry"
    world.doors = {("kitchen", "west"): "plain door", ("pantry", "east"): "plain door"}
    world.openable, world.closed = {"fridge", "plain door"}, {"fridge", "plain door"}
    world.place = {
        "green leek": "fridge",
        "duck egg": "fridge",
        "white flour": "shelf",
        "red apple": "counter",
        "ripe pear": "counter",
        "knife": "table",
    }
    game._recipe = {"green leek": ("fried", "chopped"), "white flour": ("", ""), "red apple": ("roasted", "")}
    takes, cooks = ["green leek", "white flour", "red apple"], ["green leek", "red apple"]
    game._points = {("take", food) for food in takes} | {("cook", food) for food in cooks}
    game._points |= {("cut", "green leek"), ("prepare", "meal"), ("eat", "meal")}
    game.max_score = len(game._points)
    world.look()
    return game


def play(game: Cooking, said: list[str]) -> list[tuple[str, float]]:
    return [(turn.text, turn.reward) for turn in map(game.step, said)]


def test_an_episode() -> None:
    game = small()
    assert game.max_score == 8
    look = (
        "kitchen. stove, oven, cookbook. counter: red apple, ripe pear. table: knife. closed: fridge. "
        "exits: west (plain door, closed)."
    )
    assert play(game, ["look", "go west", "open plain door", "go west"]) == [
        (look, 0.0),
        ("plain door is closed.", 0.0),
        ("you open plain door.", 0.0),
        ("pantry. shelf: white flour. exits: east.", 0.0),
    ]
    assert play(game, ["take white flour", "drop white flour", "take white flour", "go east"])[:3] == [
        ("you take white flour.", 1.0),
        ("you drop white flour.", 0.0),
        ("you take white flour.", 0.0),
    ]
    assert play(game, ["open fridge", "take green leek", "chop green leek with knife", "take knife"]) == [
        ("you open fridge: green leek, duck egg.", 0.0),
        ("you take green leek.", 1.0),
        ("you need the knife in your hand.", 0.0),
        ("you take knife.", 0.0),
    ]
    assert play(game, ["chop green leek with knife", "dice leek", "fry leek", "inventory"]) == [
        ("green leek is now chopped.", 1.0),
        ("green leek is chopped already.", 0.0),
        ("green leek is now fried.", 1.0),
        ("you hold chopped fried green leek, white flour, knife.", 0.0),
    ]
    assert play(game, ["prepare meal", "take red apple", "cook red apple with oven", "cook flour with oven"]) == [
        ("you do not hold all ingredients, cut and cooked as the recipe says.", 0.0),
        ("you take red apple.", 1.0),
        ("red apple is now roasted.", 1.0),
        ("you cannot cook white flour.", 0.0),
    ]
    assert play(game, ["prepare meal", "prepare meal"]) == [
        ("you prepare the meal.", 1.0),
        ("the meal is prepared already.", 0.0),
    ]
    end = {"success": True, "score": 8, "max_score": 8}
    assert game.step("eat meal") == ("you eat the meal. delicious!", 1.0, True, end)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("cook leek with oven", "roasted, green leek does not fit the recipe: the meal is lost."),
        ("dice leek", "diced, green leek does not fit the recipe: the meal is lost."),
        ("slice red apple", "sliced, red apple does not fit the recipe: the meal is lost."),
        ("eat apple", "you eat red apple: the meal is lost."),
        ("eat flour", "you eat white flour: the meal is lost."),
    ],
)
def test_ways_to_lose(said: str, text: str) -> None:
    game = small()
    for thing in ("green leek", "white flour", "red apple", "knife"):
        game._world.place[thing] = "(held)"
    assert game.step(said) == (text, 0.0, True, {"success": False, "score": 0, "max_score": 8})


def test_to_cook_twice_burns() -> None:
    game = small()
    play(game, ["open fridge", "take leek", "take duck egg", "fry leek"])
    assert play(game, ["fry egg", "roast egg", "i"]) == [
        ("duck egg is now fried.", 0.0),
        ("duck egg is now burned.", 0.0),
        ("you hold fried green leek, burned duck egg.", 0.0),
    ]
    assert game.step("fry leek") == (
        "you burn green leek: the meal is lost.",
        0.0,
        True,
        {"success": False, "score": 2, "max_score": 8},
    )


NOT_UNDERSTOOD = "that was not understood. say one thing to do, like look, inventory, go, open, take or put."


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("Open the PLAIN door!", "you open plain door."),
        ("open door", "you open plain door."),
        ("open plian door", "you open plain door."),
        ("please pick up the apple", "you take red apple."),
        ("get pear from the counter", "you take ripe pear."),
        ("take leek", "take what? you see no such thing here."),
        ("take the counter", "you see no such thing to take."),
        ("take", "take what? you see no such thing here."),
        ("take apple and open fridge", NOT_UNDERSTOOD),
        ("take apple and pear", "one thing at a time."),
        ("fry apple and pear", "one thing at a time."),
        ("sing", NOT_UNDERSTOOD),
        ("knife", NOT_UNDERSTOOD),
        ("w", "plain door is closed."),
        ("walk to the pantry", "plain door is closed."),
        ("go through the door", "plain door is closed."),
        ("go north", "you can go west."),
        ("examine the fridge", "fridge is closed."),
        ("look at table", "table: knife."),
        ("x knife", "it is knife."),
        ("look at the stove", "you see stove."),
        ("close plain door", "plain door is closed already."),
        ("shut the oven", "you cannot close oven."),
        ("what is in my inventory", "you hold nothing."),
        ("i", "you hold nothing."),
        ("drop knife", "you do not hold knife."),
        ("cook apple", "you do not hold red apple."),
        (
            "read recipe",
            "recipe: chop and fry green leek; take white flour; roast red apple; then prepare meal and eat ",
        ),
        (
            "Open the book",
            "recipe: chop and fry green leek; take white flour; roast red apple; then prepare meal and eat ",
        ),
    ],
)
def test_reading(said: str, reply: str) -> None:
    turn = small().step(said)
    assert turn.text.startswith(reply) and turn.reward == float(said.startswith("please"))
    assert turn.text == reply or "recipe" in reply


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("move apple to table", "you put red apple on table."),
        ("put apple in the fridge", "fridge is closed."),
        ("put the apple down", "you drop red apple."),
        ("put apple in oven", "you cannot put things on oven."),
        ("take the red apple", "you hold red apple already."),
        ("cook it", "cook what? you see no such thing here."),
        ("cook apple", "with what? here is stove and oven."),
        ("grill apple", "there is no barbecue here."),
        ("cut apple with knife", "say chop, slice or dice red apple."),
        ("slice knife", "you cannot cut knife."),
        ("eat knife", "you cannot eat knife."),
        ("drop the knife", "you drop knife."),
    ],
)
def test_reading_with_things_in_hand(said: str, reply: str) -> None:
    game = small()
    play(game, ["take apple", "take knife"])
    assert game.step(said) == (reply, 0.0, False, {})


def test_several_things_of_a_name() -> None:
    game = small()
    game._world.place["green apple"] = "table"
    assert play(game, ["take apple", "take red apple", "take apple"]) == [
        ("which one? say its full name.", 0.0),
        ("you take red apple.", 1.0),
        ("which one? say its full name.", 0.0),
    ]


def test_hands_can_be_full() -> None:
    game = small(drop=True, recipe=2)
    assert play(game, ["take apple", "take knife", "take pear"])[2][0] == (
        "your hands are full: put something down first."
    )


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert small().step(text).text


def fewest_turns(game: Cooking) -> int:
    """Turns to the end with all points, by breadth-first search over the game itself."""
    frontier, seen, turns = [game], set(), 0
    while frontier:
        turns += 1
        reached = []
        for state in frontier:
            for action in state.valid_actions():
                after = deepcopy(state)
                turn = after.step(action)
                if turn.terminated:
                    if turn.info["success"]:
                        assert turn.info["score"] == game.max_score
                        return turns
                    continue
                world = after._world
                key = repr((world.room, world.place, world.state, sorted(world.closed)))
                if key not in seen:
                    seen.add(key)
                    reached.append(after)
        frontier = reached
    raise AssertionError("the meal cannot be made")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("knobs", [{"recipe": 1, "take": 1, "go": 1}, {"recipe": 1, "take": 0, "go": 6, "cut": False}])
def test_the_expert_in_one_room_loses_only_the_turns_of_reading_and_exploring(knobs: dict[str, Any], seed: int) -> None:
    game = start(seed, **knobs)
    for thing in list(game._world.place):
        if thing not in game._recipe and thing != "knife":
            del game._world.place[thing]  # what does not help
    fewest, turns = fewest_turns(deepcopy(game)), 1
    while not game.step(game.expert_action()).terminated:
        turns += 1
    assert turns == fewest + 1 if game.go == 1 else fewest < turns <= fewest + 14


KNOBS = [
    {"recipe": recipe, "take": take, "go": go, "open": open, "cook": cook, "cut": cut, "drop": drop}
    for recipe, go, open, cook, cut, drop in itertools.product((1, 3), (1, 6, 9, 12), *4 * [(False, True)])
    for take in {0, recipe}
]


def test_the_expert_earns_all_points_with_any_knobs_also_after_mistakes() -> None:
    rng = np.random.default_rng(0)
    for number, knobs in enumerate(KNOBS):
        game = Cooking(**knobs)
        game.reset(rng)
        total, turn = 0.0, None
        for _ in range(25 * (number % 2)):
            action = str(rng.choice(game.valid_actions()))
            if not deepcopy(game).step(action).terminated:
                total += game.step(action).reward
        for _ in range(game.max_turns):
            turn = game.step(game.expert_action())
            total += turn.reward
            if turn.terminated:
                break
        points = knobs["take"] + knobs["recipe"] * (knobs["cook"] + knobs["cut"]) + 2
        assert turn is not None and turn.info["success"], knobs
        assert total == game.max_score == turn.info["score"] == points


@pytest.mark.parametrize("level", list(Cooking.levels.values()))
def test_instances_and_choices(level: dict[str, Any]) -> None:
    game, rng, seen = Cooking(**level), np.random.default_rng(1), set()
    for _ in range(60):
        game.reset(rng)
        seen.add(game.instance())
        for _ in range(15):
            actions = game.valid_actions()
            assert len(actions) <= game.max_choices
            action = str(rng.choice(actions))
            turn = game.step(action)
            assert "understood" not in turn.text and "no such thing" not in turn.text
            if turn.terminated:
                break
    assert len(seen) == 60


def test_twelve_rooms_have_doors_between_the_right_ones() -> None:
    world = start(go=12)._world
    for (room, way), door in world.doors.items():
        assert door in world.openable
        assert (
            world.doors[
                world.exits[room][way], {"north": "south", "south": "north", "east": "west", "west": "east"}[way]
            ]
            == door
        )
    assert set(world.exits["garden"].values()) == {"backyard"}
    assert sum(len(exits) for exits in world.exits.values()) == 2 * 11


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"recipe": 0}, "recipe must be 1 to 5, not 0"),
        ({"recipe": 2, "take": 3}, "take must be 0 to 2, the number of ingredients, not 3"),
        ({"go": 2}, r"go must be one of \(1, 6, 9, 12\), not 2"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cooking(**knobs)
