"""Craft an item by recipes from raw materials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, NamedTuple

import numpy as np

from textenvs.game import Game, Turn
from textenvs.parsing import nearest, number, option, words

_GET = {"get", "take", "fetch", "collect", "gather", "grab", "mine"}
_CRAFT = {"craft", "make", "build", "create", "produce"}
_SOURCES = {"using", "from", "with", "out"}
_AMOUNTS = (1, 2, 4, 8, 16)
_MOST = 64
_REUSE, _BRANCH = 0.25, 0.35  # probabilities that a further ingredient is one made already, or one to be made


class Recipe(NamedTuple):
    """How many items a recipe makes, of what, and how many crafting steps below it lead to raw materials."""

    makes: int
    inputs: dict[str, int]
    depth: int


class Craft(Game):
    """TextCraft-v0: craft an item from a tree of recipes.

    ## Description

    The opening lists recipes and an item to craft. What no recipe makes is a raw material, of which any number can be
    got; everything else has to be crafted, a batch at a time, from what you hold. Some recipes only distract. Recipes
    are drawn anew in each episode and follow no common sense.

    ## Example transcript

    ```
    recipes: 2 net using 3 sand, 4 resin, 3 wax; 2 stick using 3 resin, 3 stone; 1 sail using 2 stone, 3 straw, 1
    cup; 1 cart using 2 net; 1 hook using 4 stone, 1 wax; 1 cup using 1 cart, 4 stone. goal: craft cup. get what has
    no recipe.
    > get 4 wax
    got 4 wax.
    > get 4 stone
    got 4 stone.
    > get 4 resin
    got 4 resin.
    > get 4 sand
    got 4 sand.
    > craft net
    crafted 2 net.
    > craft cart
    crafted 1 cart.
    > craft cup
    crafted cup, the goal.
    ```

    ## Observation

    The opening gives the recipes and the goal; each reply says what you got, crafted, lack or hold.

    ## Action

    Free text, in which small misspellings do no harm:

    | to | say something like |
    |---|---|
    | get a raw material, 1 to 64 at once | ``get 4 wool``; ``collect four wool``; ``get wool`` (one) |
    | craft a batch | ``craft rope``; ``make 2 rope using 3 straw`` (read up to *using*, *from*, *with*, *out*) |
    | see what you hold | ``inventory`` |

    ## Reward

    1 for crafting the goal, else 0.

    ## Episode end

    Terminated when the goal is crafted (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``depth`` | 2 | 3 | 4 | longest chain of recipes from raw materials to the goal (1 to 5) |
    | ``distractors`` | 1 | 3 | 5 | recipes that do not help (0 to 8) |
    | ``max_turns`` | 20 | 30 | 40 | truncation: ten a level of the tree; half of them suffice |

    ## Expert

    Exact: as each item has one recipe, what is lacking follows by counting from the goal down; it gets each raw
    material at once and crafts no batch too many, so that it needs the fewest turns. It always succeeds, in 5, 8
    and 10 turns on average. Random play succeeds in 6%, 1% and 0% of the episodes.

    ## Source

    TextCraft of ADaPT (Prasad et al. 2024), with its commands, reward and distracting recipes, and generated recipes
    in place of Minecraft's. There the ingredients must be said and not only the item to craft. Names of items are
    this package's own (``craft.json``).

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"depth": 2, "distractors": 1},
        "medium": {},
        "hard": {"depth": 4, "distractors": 5},
    }

    def __init__(self, depth: int = 3, distractors: int = 3) -> None:
        if not 1 <= depth <= 5:
            raise ValueError(f"depth must be 1 to 5, not {depth!r}")
        if not 0 <= distractors <= 8:
            raise ValueError(f"distractors must be 0 to 8, not {distractors!r}")
        self.depth, self.distractors = depth, distractors
        self.max_turns = 10 * depth
        self._most_recipes = 2 * depth + distractors
        self.max_choices = self._most_recipes + len(_AMOUNTS) * (depth + 2) + 1

    def reset(self, rng: np.random.Generator) -> str:
        """Draw recipes."""
        self._held: dict[str, int] = {}
        while True:
            self._draw(rng)
            batches, lacking = self._needs()
            short = sum(batches.values()) + len(lacking) <= self.max_turns // 2
            if short and max(lacking.values()) <= _AMOUNTS[-1] and len(self._recipes) <= self._most_recipes:
                break
        self._shown = [list(self._recipes)[i] for i in rng.permutation(len(self._recipes))]
        recipes = "; ".join(f"{self._recipes[item].makes} {item} using {self._inputs(item)}" for item in self._shown)
        self._opening = f"recipes: {recipes}. goal: craft {self._goal}. get what has no recipe."
        return self._opening

    def instance(self) -> str:
        """The recipes and the goal."""
        return self._opening

    def step(self, action: str) -> Turn:
        """Get, craft or look at what is held."""
        items = (*self._recipes, *self._materials)
        vocabulary = tuple(sorted({*items, *_GET, *_CRAFT, *_SOURCES, "inventory"}))
        spelled = words(action)
        said = [nearest(word, vocabulary) for word in spelled]
        source = next((i for i, word in enumerate(said) if word in _SOURCES and i), len(said))
        verbs = [verb for verb in (_GET, _CRAFT) if verb & set(said)]
        end = source if verbs == [_CRAFT] else len(said)
        item = option(" ".join(spelled[:end]), items) or option(" ".join(said[:end]), items)
        if item is None and ("inventory" in said or said == ["i"]):
            return Turn(f"you hold {_listed(self._held) or 'nothing'}.")
        if len(verbs) != 1 or item is None:
            return Turn("say get and how many of a raw material, craft and an item, or inventory.")
        return self._craft(item) if verbs == [_CRAFT] else self._get(item, number(action))

    def valid_actions(self) -> list[str]:
        """All recipes, some amounts of each raw material, and the inventory."""
        get = [f"get {amount} {material}" for material in self._materials for amount in _AMOUNTS]
        return [*(f"craft {item}" for item in self._shown), *get, "inventory"]

    def expert_action(self) -> str:
        """Get a material that is lacking, then craft what needs only what is held."""
        batches, lacking = self._needs()
        for material, amount in lacking.items():
            return f"get {next(more for more in _AMOUNTS if more >= amount)} {material}"
        return f"craft {min(batches, key=lambda item: self._recipes[item].depth)}"

    def _get(self, material: str, amount: int | None) -> Turn:
        if material in self._recipes:
            return Turn(f"{material} has to be crafted.")
        amount = 1 if amount is None else amount
        if not 1 <= amount <= _MOST:
            return Turn(f"you can get 1 to {_MOST} at once.")
        self._held[material] = self._held.get(material, 0) + amount
        return Turn(f"got {amount} {material}.")

    def _craft(self, item: str) -> Turn:
        if item not in self._recipes:
            return Turn(f"{item} has no recipe: get it.")
        recipe = self._recipes[item]
        lacking = {each: n - self._held.get(each, 0) for each, n in recipe.inputs.items()}
        if any(n > 0 for n in lacking.values()):
            return Turn(f"you lack {_listed(lacking)}.")
        for each, n in recipe.inputs.items():
            self._held[each] -= n
        self._held[item] = self._held.get(item, 0) + recipe.makes
        if item == self._goal:
            return Turn(f"crafted {item}, the goal.", 1.0, True, {"success": True})
        return Turn(f"crafted {recipe.makes} {item}.")

    def _needs(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many batches of what are still to be crafted for the goal, and how much of which material is lacking."""
        needed, batches = {self._goal: 1}, {}
        for item in sorted(self._recipes, key=lambda item: -self._recipes[item].depth):
            recipe = self._recipes[item]
            lacking = needed.get(item, 0) - self._held.get(item, 0)
            if lacking > 0:
                batches[item] = -(-lacking // recipe.makes)
                for each, n in recipe.inputs.items():
                    needed[each] = needed.get(each, 0) + n * batches[item]
        lacking_materials = {each: needed.get(each, 0) - self._held.get(each, 0) for each in self._materials}
        return batches, {each: n for each, n in lacking_materials.items() if n > 0}

    def _inputs(self, item: str) -> str:
        return _listed(self._recipes[item].inputs)

    def _draw(self, rng: np.random.Generator) -> None:
        names = _names()
        self._recipes: dict[str, Recipe] = {}
        self._materials = [names["materials"][i] for i in rng.permutation(len(names["materials"]))[: self.depth + 2]]
        products = [names["products"][i] for i in rng.permutation(len(names["products"]))]
        self._goal = self._make(self.depth, products, rng)
        made = list(self._recipes)
        for _ in range(self.distractors):
            near = [*self._materials, *made]
            inputs = [near[i] for i in rng.permutation(len(near))[: rng.integers(1, 4)]]
            self._add(products.pop(), inputs, int(rng.integers(1, 3)), rng)

    def _make(self, depth: int, products: list[str], rng: np.random.Generator) -> str:
        """Draw an item that takes ``depth`` crafting steps, and the recipes of all that it needs."""
        if not depth:
            return self._materials[rng.integers(len(self._materials))]
        name = products.pop()
        inputs = [self._make(depth - 1, products, rng)]
        for _ in range(int(rng.integers(0, 3))):
            luck, below = rng.random(), [item for item, recipe in self._recipes.items() if recipe.depth < depth]
            if luck < _REUSE and below:
                inputs.append(below[rng.integers(len(below))])
            else:
                room = len(self._recipes) < self.depth and luck > 1 - _BRANCH
                inputs.append(self._make(int(rng.integers(1, depth)) if room and depth > 1 else 0, products, rng))
        self._add(name, inputs, 1 if depth == self.depth else int(rng.choice((1, 1, 2, 4))), rng)
        return name

    def _add(self, name: str, inputs: list[str], makes: int, rng: np.random.Generator) -> None:
        counts = {each: int(rng.integers(1, 3 if each in self._recipes else 5)) for each in inputs}
        depth = 1 + max(self._recipes[each].depth if each in self._recipes else 0 for each in counts)
        self._recipes[name] = Recipe(makes, counts, depth)


def _listed(items: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {item}" for item, n in items.items() if n > 0)


@cache
def _names() -> dict[str, list[str]]:
    return json.loads(files("textenvs.games.worlds").joinpath("craft.json").read_text("utf-8"))
