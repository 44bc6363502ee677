from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.worlds.craft import Craft, Recipe


def small() -> Craft:
    """A kite of rope and cloth; two ropes from three straw, a cloth from a rope and a wool. A drum distracts."""
    game = Craft()
    game.reset(np.random.default_rng(0))
    game._materials = ["straw", "wool"]
    game._recipes = {
        "rope": Recipe(2, {"straw": 3}, 1),
        "cloth": Recipe(1, {"rope": 1, "wool": 1}, 2),
        "kite": Recipe(1, {"cloth": 1, "rope": 2}, 3),
        "drum": Recipe(1, {"wool": 2}, 1),
    }
    game._goal, game._shown = "kite", list(game._recipes)
    return game


def fewest_turns(game: Craft) -> int:
    """By breadth-first search over all that can be held; to get most of a material is never worse than to get less."""
    recipes, goal = game._recipes, game._goal
    frontier = {tuple(sorted(game._held.items()))}
    seen, turns = set(frontier), 0
    while True:
        turns += 1
        reached = set()
        for state in frontier:
            held = dict(state)
            for material in game._materials:
                if held.get(material, 0) < 16:
                    reached.add(tuple(sorted({**held, material: 16}.items())))
            for item, recipe in recipes.items():
                if all(held.get(each, 0) >= n for each, n in recipe.inputs.items()):
                    if item == goal:
                        return turns
                    left = {each: n - recipe.inputs.get(each, 0) for each, n in held.items()}
                    reached.add(tuple(sorted({**left, item: left.get(item, 0) + recipe.makes}.items())))
        frontier = reached - seen
        seen |= frontier


def test_an_episode() -> None:
    game = small()
    assert game.step("craft kite") == ("you lack 1 cloth, 2 rope.", 0.0, False, {})
    assert game.step("get 5 straw") == ("got 5 straw.", 0.0, False, {})
    assert game.step("craft rope") == ("crafted 2 rope.", 0.0, False, {})
    assert game.step("inventory") == ("you hold 2 straw, 2 rope.", 0.0, False, {})
    assert game.step("craft rope") == ("you lack 1 straw.", 0.0, False, {})
    assert game.step("get 1 straw").text == "got 1 straw."
    assert game.step("craft rope").text == "crafted 2 rope."
    assert game.step("get 1 wool").text == "got 1 wool."
    assert game.step("craft cloth").text == "crafted 1 cloth."
    assert game.step("inventory").text == "you hold 3 rope, 1 cloth."
    assert game.step("craft kite") == ("crafted kite, the goal.", 1.0, True, {"success": True})


UNUSABLE = "say get and how many of a raw material, craft and an item, or inventory."


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("Get four WOOL!", "got 4 wool."),
        ("please collect some straw", "got 1 straw."),
        ("take 64 straw", "got 64 straw."),
        ("get 65 straw", "you can get 1 to 64 at once."),
        ("get 0 straw", "you can get 1 to 64 at once."),
        ("get 2 rope", "rope has to be crafted."),
        ("craft wool", "wool has no recipe: get it."),
        ("make 2 ropes using 3 straw", "you lack 3 straw."),
        ("build a rope out of straw", "you lack 3 straw."),
        ("craft drumm", "you lack 2 wool."),
        ("craft drums from wool", "you lack 2 wool."),
        ("i", "you hold nothing."),
        ("what is in my inventory?", "you hold nothing."),
        ("i want rope", UNUSABLE),
        ("get wool and straw", UNUSABLE),
        ("get and craft rope", UNUSABLE),
        ("rope", UNUSABLE),
        ("get ten wool, ok", "got 10 wool."),
        ("craft ladder", UNUSABLE),
    ],
)
def test_reading(said: str, reply: str) -> None:
    assert small().step(said) == (reply, 0.0, False, {})


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = small().step(text)
    assert turn.text and turn.reward == 0.0


def test_the_expert_plans_around_what_is_held() -> None:
    game = small()
    for said in ("get 1 straw", "get 2 wool", "craft drum", "get 1 wool"):
        game.step(said)
    plan = []
    while not game.step(plan[-1] if plan else "").terminated:
        plan.append(game.expert_action())
    assert plan == ["get 8 straw", "craft rope", "craft rope", "craft cloth", "craft kite"]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_expert_needs_the_fewest_turns_also_after_mistakes(depth: int) -> None:
    game, rng = Craft(depth, distractors=1), np.random.default_rng(depth)
    for episode in range(25):
        game.reset(rng)
        for _ in range(3 * (episode % 2)):
            action = str(rng.choice(game.valid_actions()))
            if action != f"craft {game._goal}":
                game.step(action)
        fewest, turns = fewest_turns(game), 1
        while not game.step(game.expert_action()).terminated:
            turns += 1
        assert turns == fewest


@pytest.mark.parametrize("level", [{}, *Craft.levels.values(), {"depth": 5, "distractors": 8}])
def test_the_recipes(level: dict[str, Any]) -> None:
    game, rng, openings = Craft(**level), np.random.default_rng(3), set()
    for _ in range(100):
        openings.add(game.reset(rng))
        recipes = game._recipes
        for recipe in recipes.values():
            assert set(recipe.inputs) <= {*recipes, *game._materials}
            assert recipe.depth == 1 + max(recipes[each].depth if each in recipes else 0 for each in recipe.inputs)
        assert recipes[game._goal].depth == game.depth
        assert game.depth + game.distractors <= len(recipes) and len(game.valid_actions()) <= game.max_choices
        for action in game.valid_actions():
            assert game.step(action).text != UNUSABLE
            if action == f"craft {game._goal}":
                break
    assert len(openings) > 95 and game.instance() in openings


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"depth": 0}, "depth must be 1 to 5, not 0"),
        ({"depth": 6}, "depth must be 1 to 5, not 6"),
        ({"distractors": 9}, "distractors must be 0 to 8, not 9"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Craft(**knobs)
