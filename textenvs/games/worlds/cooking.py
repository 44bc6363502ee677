"""Cook a meal by a recipe: find ingredients, cut and cook them, prepare and eat."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, NamedTuple

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.worlds.house_world import HELD, ONE_AT_A_TIME, OPPOSITE, WAYS, World, lay_out, read

_ROOMS = (1, 6, 9, 12)
_COOKED = {"stove": "fried", "oven": "roasted", "barbecue": "grilled"}
_CUT = {"chop": "chopped", "slice": "sliced", "dice": "diced"}
_TOOLS = {"fry": "stove", "roast": "oven", "grill": "barbecue"}
_VERBS = {"cook": "cook heat", "cut": "cut", "prepare": "prepare make", "eat": "eat drink"} | {
    verb: verb for verb in (*_CUT, *_TOOLS)
}
_BOOK, _KNIFE, _MEAL = "cookbook", "knife", "meal"


class Food(NamedTuple):
    """What can be done to a food, and where it is found."""

    cook: bool
    cut: bool
    raw: bool  # whether it can be eaten raw
    places: tuple[str, ...]


class Cooking(Game):
    """TextCooking-v0: find the ingredients of a recipe, cut and cook them as it says, prepare the meal and eat it.

    ## Description

    The recipe is in the cookbook, and the cookbook in the kitchen. Its ingredients lie about the house and beyond, some
    behind doors and in the fridge, among others that are not needed. Cutting needs the knife in hand; the stove fries,
    the oven roasts, the barbecue grills. What the recipe needs must not be spoiled: an ingredient that is cut or
    cooked in another way, cooked twice or eaten loses the game. With everything in hand and done, prepare the meal in
    the kitchen and eat it.

    ## Example transcript

    ```
    cook the meal of the cookbook in the kitchen and eat it. kitchen. stove, oven, cookbook. table: knife. closed:
    fridge. empty: counter. exits: none.
    > read cookbook
    recipe: slice and fry fresh salmon; then prepare meal and eat meal.
    > open fridge
    you open fridge: pork loin, fresh salmon, fresh spinach.
    > take knife
    you take knife.
    > take fresh salmon
    you take fresh salmon.
    > cook fresh salmon with stove
    fresh salmon is now fried.
    > slice fresh salmon with knife
    fresh salmon is now sliced.
    > prepare meal
    you prepare the meal.
    > eat meal
    you eat the meal. delicious!
    ```

    ## Observation

    The opening states the task and, where there is one, how much you can hold; then, as each room does when you enter
    it, your room: its devices, things on furniture and on the floor, closed and empty furniture, and exits with
    closed doors. Names tell what was done: ``sliced fried red onion``. Replies say what came of a command.

    ## Action

    Free text with one command. Case, articles and small misspellings do not matter, but for verbs and directions
    misspelt in fewer than five letters, and a part of a name will do where it is clear what is meant.

    | to | say something like |
    |---|---|
    | move | ``go north``; ``n``; ``walk to the pantry`` |
    | open a door or the fridge | ``open fridge`` |
    | take, drop, put | ``take red onion``; ``drop knife``; ``put egg on table`` |
    | see | ``look``; ``inventory``; ``examine fridge`` |
    | learn the recipe | ``read cookbook`` |
    | cut, with the knife in hand | ``slice red onion with knife``; ``dice onion``; ``chop onion`` |
    | cook, at the device | ``cook red onion with stove``; ``fry onion``; ``roast onion``; ``grill onion`` |
    | finish | ``prepare meal``; ``eat meal`` |

    ## Reward

    One point for each ingredient when first taken, for each that is cooked as the recipe says, for each that is cut so,
    for preparing and for eating the meal.

    ## Episode end

    Terminated when the meal is eaten (``success``) or an ingredient is spoiled; truncated after ``max_turns``.
    ``info["score"]`` and ``info["max_score"]`` give the points.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``recipe`` | 1 | 2 | 3 | ingredients (1 to 5) |
    | ``take`` | 1 | 2 | 3 | how many of them are not in your hands from the start |
    | ``go`` | 1 | 9 | 12 | rooms: 1, 6, 9 or 12 |
    | ``open`` | yes | yes | yes | whether doors and the fridge are closed at first |
    | ``cook`` | yes | yes | yes | whether the ingredients have to be cooked |
    | ``cut`` | yes | yes | yes | whether the ingredients have to be cut |
    | ``drop`` | no | no | yes | whether you can hold only ``recipe`` things (two at least where there is cutting) |
    | ``max_turns`` | 100 | 100 | 100 | truncation, as in the competition |

    ## Expert

    Exact in points: a planner that earns all of them in every episode (5, 8 and 11), in 8, 24 and 38 turns on average.
    It knows only what was read: it reads the recipe, looks for the ingredients room by room, and fetches, cuts and
    cooks them by the shortest ways that it knows. Random play earns 1.6, 1.3 and 1.4 points and eats the meal in 4%,
    0% and 0% of the episodes.

    ## Source

    The games of First TextWorld Problems (TextWorld's ``tw-cooking``, Côté et al. 2018), with their skills, points,
    ways to lose and turn limit. Foods, rooms and texts are this package's own (``cooking.json``).

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"recipe": 1, "take": 1, "go": 1},
        "medium": {},
        "hard": {"recipe": 3, "take": 3, "go": 12, "drop": True},
    }
    max_turns = 100

    def __init__(
        self,
        recipe: int = 2,
        take: int = 2,
        go: int = 9,
        open: bool = True,
        cook: bool = True,
        cut: bool = True,
        drop: bool = False,
    ) -> None:
        if not 1 <= recipe <= 5:
            raise ValueError(f"recipe must be 1 to 5, not {recipe!r}")
        if not 0 <= take <= recipe:
            raise ValueError(f"take must be 0 to {recipe}, the number of ingredients, not {take!r}")
        if go not in _ROOMS:
            raise ValueError(f"go must be one of {_ROOMS}, not {go!r}")
        self.recipe, self.take, self.go = recipe, take, go
        self.open, self.cook, self.cut, self.drop = bool(open), bool(cook), bool(cut), bool(drop)
        self.capacity = max(recipe, 2 if cut else 1) if drop else 3 * recipe + 1
        self.max_score = take + recipe * (self.cook + self.cut) + 2
        self.max_choices = 3 * recipe + 5 * min(self.capacity, 3 * recipe) + 14

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a house, a recipe and where its ingredients are."""
        data = _data()
        rooms = list(data["rooms"])[: self.go]
        devices = {name: room for name, room in data["devices"].items() if room in rooms}
        world = self._world = World(
            lay_out(rooms, rng, data["rooms"]),
            rooms[rng.integers(len(rooms))],
            holders={name: room for name, room in data["holders"].items() if room in rooms},
            fixtures={**devices, _BOOK: "kitchen"},
            openable={"fridge"},
            capacity=self.capacity,
        )
        for one, other, door in data["doors"]:
            for way, beyond in world.exits.get(one, {}).items():
                if beyond == other:
                    world.doors[one, way] = world.doors[other, OPPOSITE[way]] = door
                    world.openable.add(door)
        if self.open:
            world.closed = set(world.openable)
        self._draw_foods([_COOKED[device] for device in devices], rng)
        self._points = {("take", food) for food in self._recipe if world.place[food] != HELD}
        self._points |= {("cook", food) for food, (cooked, _) in self._recipe.items() if cooked}
        self._points |= {("cut", food) for food, (_, cut) in self._recipe.items() if cut}
        self._points |= {("prepare", _MEAL), ("eat", _MEAL)}
        self._read = False
        things = ", ".join(f"{thing} {place}" for thing, place in world.place.items())
        self._instance = f"{world.room} {world.exits} {things} {self._directions()}"
        limit = f" you can hold {self.capacity} things." if self.drop else ""
        hands = f" you hold {world.labels(world.held())}." if world.held() else ""
        return f"cook the meal of the cookbook in the kitchen and eat it.{limit}{hands} {world.look()}"

    def instance(self) -> str:
        """The house, what is where, and the recipe."""
        return self._instance

    def step(self, action: str) -> Turn:
        """Do one thing."""
        world = self._world
        book = {"recipe": _BOOK, "book": _BOOK, "recipe book": _BOOK} if world.room == "kitchen" else {}
        command = read(action, world.names() | book, _VERBS, _known())
        verb, nouns = command.verb, command.nouns
        if verb == "prepare":
            return self._prepare()
        if verb in ("cook", "cut", "eat", *_CUT, *_TOOLS) and nouns and "" not in nouns:
            food = next((noun for noun in nouns if noun != _KNIFE), nouns[0])
            if world.several(noun for noun in nouns if noun != _KNIFE):
                return Turn(ONE_AT_A_TIME)
            if world.place.get(food) != HELD:
                return Turn(f"you do not hold {food}.")
            if verb == "eat":
                return self._eat(food)
            if verb == "cut" or verb in _CUT:
                return self._cut(food, verb)
            return self._cook(food, _TOOLS.get(verb) or next((each for each in nouns if each in _COOKED), None))
        if verb in ("examine", "open") and _BOOK in nouns:
            return self._read_book()
        reply = world.act(command)
        taken = verb == "take" and nouns and world.place.get(nouns[0]) == HELD
        return Turn(reply, self._score("take", nouns[0]) if taken else 0.0)

    def valid_actions(self) -> list[str]:
        """What can be done here, helpful or not."""
        world = self._world
        actions = [f"go {way}" for way in WAYS if way in world.exits[world.room]]
        actions += [f"open {name}" for name in world.closed_here()]
        actions += [f"take {thing}" for thing in world.visible()]
        knife = world.place.get(_KNIFE) == HELD
        for thing in world.held():
            actions.append("eat meal" if thing == _MEAL else f"drop {thing}")
            food = _foods().get(thing)
            if food and food.cook:
                actions += [f"cook {thing} with {device}" for device in world.here(world.fixtures) if device in _COOKED]
            if food and food.cut and knife and not self._cut_of(thing):
                actions += [f"{verb} {thing} with knife" for verb in _CUT]
        if world.room == "kitchen":
            actions += [f"read {_BOOK}", "prepare meal"]
        return [*actions, "look", "inventory"]

    def expert_action(self) -> str:
        """The next thing to do for the recipe, of what is known."""
        world = self._world
        if _MEAL in world.place:
            return "eat meal" if world.place[_MEAL] == HELD else self._fetch([_MEAL])
        if not self._read:
            return world.reach("kitchen") or f"read {_BOOK}"
        missing = [food for food in self._recipe if world.place[food] != HELD]
        if not all(world.knows(food) for food in missing):
            here = [food for food in missing if food in world.visible()]
            return f"take {here[0]}" if here and not world.full() else world.explore() or "look"
        raw = [food for food, (cooked, _) in self._recipe.items() if cooked and not self._cooked_of(food)]
        devices = {food: next(name for name in _COOKED if _COOKED[name] == self._recipe[food][0]) for food in raw}
        for food, device in devices.items():
            if food not in missing and world.fixtures[device] == world.room:
                return f"cook {food} with {device}"
        uncut = [food for food, (_, cut) in self._recipe.items() if cut and not self._cut_of(food)]
        if uncut:
            return self._next_cut(uncut)
        if missing:
            return self._fetch(missing)
        if raw:
            return world.reach(world.fixtures[devices[raw[0]]])
        return world.reach("kitchen") or "prepare meal"

    def _next_cut(self, uncut: list[str]) -> str:
        """Take the knife, and with it in hand one ingredient after the other."""
        world = self._world
        if not world.knows(_KNIFE):
            return world.reach("kitchen") or world.explore() or "look"
        if world.place[_KNIFE] != HELD:
            return self._fetch([_KNIFE], keep=uncut)
        for food in uncut:
            if world.place[food] == HELD:
                verb = next(verb for verb in _CUT if _CUT[verb] == self._recipe[food][1])
                return f"{verb} {food} with knife"
        return self._fetch(uncut, keep=[_KNIFE])

    def _fetch(self, things: list[str], keep: Sequence[str] = ()) -> str:
        """Towards taking the nearest of some things, with a free hand: what is not ``keep`` goes down first, and what
        the recipe does not need before that."""
        world = self._world
        step = world.fetch(things) or "look"
        if step.startswith("take ") and world.full():
            useless = sorted(world.held(), key=lambda thing: (thing in keep, thing in self._recipe))
            return f"drop {useless[0]}"
        return step

    # --- what a command does ---

    def _score(self, verb: str, what: str) -> float:
        """The point for doing this, if it was not scored before."""
        if (verb, what) not in self._points:
            return 0.0
        self._points.remove((verb, what))
        return 1.0

    def _end(self, text: str, reward: float, success: bool) -> Turn:
        score = self.max_score - len(self._points)
        return Turn(text, reward, True, {"success": success, "score": score, "max_score": self.max_score})

    def _read_book(self) -> Turn:
        self._read = True
        return Turn(f"recipe: {self._directions()}; then prepare meal and eat meal.")

    def _cook(self, food: str, device: str | None) -> Turn:
        here = [name for name in self._world.here(self._world.fixtures) if name in _COOKED]
        device = here[0] if device is None and len(here) == 1 else device
        if device is None:
            return Turn(f"with what? here is {' and '.join(here) or 'nothing to cook with'}.")
        if device not in here:
            return Turn(f"there is no {device} here.")
        if food not in _foods() or not _foods()[food].cook:
            return Turn(f"you cannot cook {food}.")
        if self._cooked_of(food):
            self._world.state[food][-1] = "burned"
            if food in self._recipe:
                return self._end(f"you burn {food}: the meal is lost.", 0.0, False)
            return Turn(f"{food} is now burned.")
        done = _COOKED[device]
        self._world.state.setdefault(food, []).append(done)
        return self._done("cook", food, done, 0)

    def _cut(self, food: str, verb: str) -> Turn:
        if verb == "cut":
            return Turn(f"say chop, slice or dice {food}.")
        if self._world.place.get(_KNIFE) != HELD:
            return Turn("you need the knife in your hand.")
        if food not in _foods() or not _foods()[food].cut:
            return Turn(f"you cannot cut {food}.")
        if self._cut_of(food):
            return Turn(f"{food} is {self._cut_of(food)} already.")
        self._world.state.setdefault(food, []).insert(0, _CUT[verb])
        return self._done("cut", food, _CUT[verb], 1)

    def _done(self, verb: str, food: str, how: str, which: int) -> Turn:
        """The end where the recipe wants an ingredient otherwise."""
        if food in self._recipe and self._recipe[food][which] != how:
            return self._end(f"{how}, {food} does not fit the recipe: the meal is lost.", 0.0, False)
        return Turn(f"{food} is now {how}.", self._score(verb, food))

    def _prepare(self) -> Turn:
        world = self._world
        if world.room != "kitchen":
            return Turn("you can do that in the kitchen only.")
        if _MEAL in world.place:
            return Turn("the meal is prepared already.")
        for food, (cooked, cut) in self._recipe.items():
            if world.place[food] != HELD or self._cooked_of(food) != cooked or self._cut_of(food) != cut:
                return Turn("you do not hold all ingredients, cut and cooked as the recipe says.")
        for food in self._recipe:
            del world.place[food]
        world.place[_MEAL] = HELD
        return Turn("you prepare the meal.", self._score("prepare", _MEAL))

    def _eat(self, food: str) -> Turn:
        if food == _MEAL:
            return self._end("you eat the meal. delicious!", self._score("eat", _MEAL), True)
        if food not in _foods() or not (_foods()[food].raw or self._cooked_of(food)):
            return Turn(f"you cannot eat {food}{' raw' if food in _foods() else ''}.")
        del self._world.place[food]
        if food in self._recipe:
            return self._end(f"you eat {food}: the meal is lost.", 0.0, False)
        return Turn(f"you eat {food}.")

    def _cooked_of(self, food: str) -> str:
        return next((word for word in self._world.state.get(food, ()) if word not in _CUT.values()), "")

    def _cut_of(self, food: str) -> str:
        return next((word for word in self._world.state.get(food, ()) if word in _CUT.values()), "")

    # --- the start ---

    def _draw_foods(self, cooked: list[str], rng: np.random.Generator) -> None:
        """Draw the recipe, food -> how it is cooked and cut, and place it with other foods, like and unlike."""
        world, foods = self._world, _foods()
        places = {
            food: [place for place in facts.places if place in world.holders or place in world.exits]
            for food, facts in foods.items()
        }
        mixed = [food for food in (list(foods)[i] for i in rng.permutation(len(foods))) if places[food]]
        fit = [
            food
            for food in mixed
            if (foods[food].cook if self.cook else foods[food].raw) and (foods[food].cut or not self.cut)
        ]
        chosen = sorted(fit[: self.recipe])
        self._recipe = {
            food: (
                cooked[rng.integers(len(cooked))] if self.cook else "",
                list(_CUT.values())[rng.integers(3)] if self.cut else "",
            )
            for food in chosen
        }
        place = {}
        for number, i in enumerate(rng.permutation(self.recipe)):
            food = chosen[i]
            place[food] = places[food][rng.integers(len(places[food]))] if number < self.take else HELD
            like = [each for each in mixed if each not in (*place, *chosen) and set(each.split()) & set(food.split())]
            if like:
                own = place[food] in places[like[0]]
                place[like[0]] = place[food] if own else places[like[0]][rng.integers(len(places[like[0]]))]
        for food in [food for food in mixed if food not in (*place, *chosen)][: self.recipe]:
            place[food] = places[food][rng.integers(len(places[food]))]
        if self.cut:
            place[_KNIFE] = ("counter", "table")[rng.integers(2)]
        world.place = {thing: place[thing] for thing in (list(place)[i] for i in rng.permutation(len(place)))}

    def _directions(self) -> str:
        verbs = {_CUT[verb]: verb for verb in _CUT} | {_COOKED[device]: verb for verb, device in _TOOLS.items()}
        return "; ".join(
            f"{' and '.join(verbs[how] for how in (cut, cooked) if how) or 'take'} {food}"
            for food, (cooked, cut) in self._recipe.items()
        )


@cache
def _data() -> dict[str, Any]:
    return json.loads(files("textenvs.games.worlds").joinpath("cooking.json").read_text("utf-8"))


@cache
def _foods() -> dict[str, Food]:
    return {
        name: Food(group["cook"], group["cut"], group["raw"], tuple(group["places"]))
        for group in _data()["foods"]
        for name in group["names"]
    }


@cache
def _known() -> tuple[str, ...]:
    return tuple(sorted({word for food in _foods() for word in food.split()}))
