"""Stories with questions of the twenty types of bAbI, told while a small world is simulated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from importlib.resources import files
from itertools import combinations, pairwise, permutations, product
from typing import Any, NamedTuple, TypeVar

import numpy as np

COUNTS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MOST_HELD = 3
LONGEST_PATH = 3
STEPS = {"north": (0, 1), "east": (1, 0), "south": (0, -1), "west": (-1, 0)}
OPPOSITE = {"north": "south", "east": "west", "south": "north", "west": "east"}
_BESIDE = {"north": "above", "east": "to the right of", "south": "below", "west": "to the left of"}
_TRIES = 10

T = TypeVar("T")


class Question(NamedTuple):
    """A question, its answer item by item, and of what kind those are.

    A kind is a list of ``stories.json``, ``"person"``, ``"yes"`` (yes, no or maybe), ``"count"``, ``"things"`` (some of
    them, or nothing) or ``"path"`` (directions in their order).
    """

    text: str
    answer: tuple[str, ...]
    kind: str


class Story(NamedTuple):
    """What is told, and questions that it answers."""

    text: str
    questions: list[Question]


class _Told(NamedTuple):
    """Sentences that may be told apart, and all questions that they answer."""

    sentences: list[str]
    questions: list[Question]


def draw_story(task: int, length: int, distractors: int, questions: int, rng: np.random.Generator) -> Story:
    """A story of about ``length`` sentences, ``distractors`` that tell nothing among them, with questions of one type.

    Args:
        task: the type, as bAbI numbers them.
        length: sentences that tell something; where the type has not as many, fewer.
        distractors: sentences that tell nothing.
        questions: how many at the most. Each answer that there is to give is as probable, not each question.
        rng: the source of all randomness.
    """
    told, tries = _Told([], []), 0
    while len(told.questions) < questions and (tries < _TRIES or not told.questions):
        other, tries = _TASKS[task](length, rng), tries + 1
        told = max(told, other, key=lambda each: len(each.questions))
    for _ in range(distractors):
        sentence = f"{_pick(_people(), rng)} {_pick(shipped()['beside'], rng)}."
        told.sentences.insert(int(rng.integers(len(told.sentences) + 1)), sentence)
    return Story(" ".join(told.sentences), _sample(told.questions, questions, rng))


@cache
def shipped() -> dict[str, Any]:
    """The shipped names, grouped by what they name."""
    text = files("textenvs.games.questions").joinpath("stories.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


@cache
def forms(kind: str) -> dict[str, str]:
    """All words for answers of a kind, each with the answer that it stands for."""
    if kind in ("yes", "things"):
        answers = ("yes", "no", "maybe") if kind == "yes" else ("nothing",)
        things = {} if kind == "yes" else forms("thing")
        return things | {word: answer for answer in answers for word in shipped()["synonyms"][answer]}
    if kind == "animal":
        return {word: one for one, many in shipped()["animal"].items() for word in (one, many)}
    return {name: name for name in (_people() if kind == "person" else shipped()[kind])}


# --- 1, 6, 9 to 13: where people are ---


def _whereabouts(task: int, length: int, rng: np.random.Generator) -> _Told:
    people, places = _some(_people(), 4, rng), _some(shipped()["place"], 6, rng)
    where: dict[str, tuple[str, tuple[str, ...]]] = {}  # person -> "in", "either" or "not", and places
    sentences: list[str] = []
    while sum(text.count(".") for text in sentences) < length:
        one, other = _some(people, 2, rng)
        first, second = _some([place for place in places if where.get(one) != ("in", (place,))], 2, rng)
        group = [one, other] if task in (12, 13) else [one]
        known: tuple[str, tuple[str, ...]] = "in", (first,)
        text = f"{' and '.join(group)} {_went(rng)} the {first}."
        if task == 9 and rng.random() < 0.4 and one in where and where[one][0] == "in":
            known = "not", where[one][1]
            text = f"{one} is no longer in the {known[1][0]}."
        elif task == 10 and rng.random() < 0.5:
            known = "either", (first, second)
            text = f"{one} is either in the {first} or in the {second}."
        elif task in (11, 13):
            known = "in", (second,)
            pronoun = "they" if task == 13 else "he" if one in shipped()["he"] else "she"
            text += f" then {pronoun} {_went(rng)} the {second}."
        where.update(dict.fromkeys(group, known))
        sentences.append(text)
    if task not in (6, 9, 10):
        return _Told(sentences, [Question(f"where is {each}?", at, "place") for each, (_, at) in where.items()])
    questions = []
    for (person, (how, those)), place in product(where.items(), places):
        truth = {"in": ("no", "yes"), "either": ("no", "maybe"), "not": (None, "no")}[how][place in those]
        if truth:
            questions.append(Question(f"is {person} in the {place}?", (truth,), "yes"))
    return _Told(sentences, questions)


# --- 2, 3, 7, 8: what people carry about ---


def _carrying(task: int, length: int, rng: np.random.Generator) -> _Told:
    people, places = _some(_people(), 3, rng), _some(shipped()["place"], 5, rng)
    things = _some(shipped()["thing"], 4 if task in (7, 8) else 3, rng)
    at: dict[str, str] = {}
    held: dict[str, list[str]] = {}
    spots: dict[str, list[str]] = {}  # thing -> the places where it has been, as far as was told
    sentences = []
    for _ in range(length):
        who, chance = _pick(people, rng), rng.random()
        mine, taken = held.setdefault(who, []), {thing for those in held.values() for thing in those}
        free = [each for each in things if each not in taken and spots.get(each, [at.get(who)])[-1] == at.get(who)]
        if who in at and chance < (0.55 if task in (7, 8) else 0.4) and free and len(mine) < MOST_HELD:
            mine.append(_pick(free, rng))
            spots.setdefault(mine[-1], [at[who]])
            sentences.append(f"{who} {_pick(shipped()['took'], rng)} the {mine[-1]} there.")
        elif chance > 0.85 and mine:
            thing = mine.pop(int(rng.integers(len(mine))))
            sentences.append(f"{who} {_pick(shipped()['dropped'], rng)} the {thing} there.")
        else:
            at[who] = _pick([place for place in places if place != at.get(who)], rng)
            for thing in mine:
                spots[thing].append(at[who])
            sentences.append(f"{who} {_went(rng)} the {at[who]}.")
    questions = {
        2: [Question(f"where is the {each}?", (seen[-1],), "place") for each, seen in spots.items()],
        3: [
            Question(f"where was the {each} before the {after}?", (before,), "place")
            for each, seen in spots.items()
            for before, after in pairwise(seen)
            if seen.count(after) == 1
        ],
        7: [Question(f"how many things is {each} carrying?", (COUNTS[len(held[each])],), "count") for each in held],
        8: [Question(f"what is {each} carrying?", (*sorted(held[each]),) or ("nothing",), "things") for each in held],
    }
    return _Told(sentences, questions[task])


# --- 4, 17, 19: where things lie ---


def _grid(names: Sequence[T], rng: np.random.Generator) -> tuple[dict[T, tuple[int, int]], list[tuple[T, str, T]]]:
    """Places of ``names`` on a grid, each but the first beside just one before it, and which that is and where."""
    cells = {names[0]: (0, 0)}
    joined = []
    while len(cells) < len(names):
        new, old, way = names[len(cells)], _pick(list(cells), rng), _pick(list(STEPS), rng)
        x, y = _beside(cells[old], way)
        if (x, y) not in cells.values() and sum(_beside((x, y), each) in cells.values() for each in STEPS) == 1:
            cells[new] = x, y
            joined.append((new, way, old))
    return cells, joined


def _beside(cell: tuple[int, int], way: str) -> tuple[int, int]:
    return cell[0] + STEPS[way][0], cell[1] + STEPS[way][1]


def _either_way(joined: Iterable[tuple[T, str, T]], rng: np.random.Generator) -> list[tuple[T, str, T]]:
    """The same relations, about half of them told from the other end."""
    return [(old, OPPOSITE[way], new) if rng.random() < 0.5 else (new, way, old) for new, way, old in joined]


def _two_arguments(length: int, rng: np.random.Generator) -> _Told:
    _, sentences, exits = _rooms(length, rng)
    questions = []
    for room, neighbours in exits.items():
        for way, neighbour in neighbours.items():
            questions.append(Question(f"what is {way} of the {room}?", (neighbour,), "place"))
            questions.append(Question(f"what is the {neighbour} {way} of?", (room,), "place"))
    return _Told(sentences, questions)


def _paths(length: int, rng: np.random.Generator) -> _Told:
    rooms, sentences, exits = _rooms(length, rng)
    questions = []
    for start in rooms:
        ways: dict[str, tuple[str, ...]] = {start: ()}
        queue = [start]
        for room in queue:
            for way, neighbour in exits[room].items():
                if neighbour not in ways:
                    ways[neighbour] = (*ways[room], way)
                    queue.append(neighbour)
        for goal, path in ways.items():
            if 2 <= len(path) <= LONGEST_PATH:
                questions.append(Question(f"how do you go from the {start} to the {goal}?", path, "path"))
    return _Told(sentences, questions)


def _rooms(length: int, rng: np.random.Generator) -> tuple[list[str], list[str], dict[str, dict[str, str]]]:
    """Rooms, sentences that tell where they are, and room -> direction -> neighbour."""
    rooms = _some(shipped()["place"], length + 1, rng)
    _, joined = _grid(rooms, rng)
    exits: dict[str, dict[str, str]] = {room: {} for room in rooms}
    for new, way, old in joined:
        exits[old][way], exits[new][OPPOSITE[way]] = new, old
    told = [f"the {new} is {way} of the {old}." for new, way, old in _either_way(joined, rng)]
    return rooms, _some(told, len(told), rng), exits


def _positions(length: int, rng: np.random.Generator) -> _Told:
    every = [f"{colour} {shape}" for colour in shipped()["colour"] for shape in shipped()["shape"]]
    cells, joined = _grid(_some(every, length + 1, rng), rng)
    told = [f"the {new} is {_BESIDE[way]} the {old}." for new, way, old in _either_way(joined, rng)]
    questions = []
    for (one, a), (other, b) in permutations(cells.items(), 2):
        for way, (x, y) in STEPS.items():
            truth = "yes" if (a[0] - b[0]) * x + (a[1] - b[1]) * y > 0 else "no"
            questions.append(Question(f"is the {one} {_BESIDE[way]} the {other}?", (truth,), "yes"))
    return _Told(_some(told, len(told), rng), questions)


# --- 5: who gave what to whom ---


def _gifts(length: int, rng: np.random.Generator) -> _Told:
    people, things = _some(_people(), 4, rng), _some(shipped()["thing"], 3, rng)
    holder: dict[str, str] = {}
    gifts: list[tuple[str, str, str]] = []
    sentences = []
    for _ in range(length):
        thing, who = _pick(things, rng), _pick(people, rng)
        if thing not in holder:
            sentences.append(f"{who} {_pick(shipped()['took'], rng)} the {thing}.")
            holder[thing] = who
        elif holder[thing] != who:
            sentences.append(f"{holder[thing]} gave the {thing} to {who}.")
            gifts.append((holder[thing], thing, who))
            holder[thing] = who
        else:
            sentences.append(f"{who} {_pick(shipped()['dropped'], rng)} the {thing}.")
            del holder[thing]
    asked: dict[str, tuple[int, set[str]]] = {}  # question -> which part of a gift it asks for, and all that fit
    for gift in gifts:
        for part, question in (
            (0, "who gave the {1} to {2}?"),
            (0, "who gave the {1}?"),
            (1, "what did {0} give to {2}?"),
            (2, "who did {0} give the {1} to?"),
            (2, "who was given the {1}?"),
        ):
            asked.setdefault(question.format(*gift), (part, set()))[1].add(gift[part])
    return _Told(
        sentences,
        [
            Question(question, (*fitting,), "thing" if part == 1 else "person")
            for question, (part, fitting) in asked.items()
            if len(fitting) == 1
        ],
    )


# --- 14: when people were where ---


def _times(length: int, rng: np.random.Generator) -> _Told:
    times = shipped()["time"]
    people = _some(_people(), -(-length // 3), rng)
    visits = sorted(_some(list(product(people, range(len(times)))), length, rng))
    sentences, questions = [], []
    for person in people:
        when = [time for who, time in visits if who == person]
        places = _some(shipped()["place"], len(when), rng)
        sentences += [f"{times[i]} {person} {_went(rng)} the {place}." for i, place in zip(when, places, strict=True)]
        questions += [
            Question(f"where was {person} before the {after}?", (before,), "place")
            for before, after in pairwise(places)
        ]
    return _Told(_some(sentences, len(sentences), rng), questions)


# --- 15, 16, 18, 20: deduction, induction, size, motives ---


def _deduction(length: int, rng: np.random.Generator) -> _Told:
    animals = shipped()["animal"]
    kinds = _some(list(animals), max(length // 2, 2), rng)
    people = _some(_people(), length - len(kinds), rng)
    feared = {kind: _pick([each for each in kinds if each != kind], rng) for kind in kinds}
    sentences = [f"{animals[kind]} are afraid of {animals[feared[kind]]}." for kind in kinds]
    questions = []
    for person in people:
        kind = _pick(kinds, rng)
        sentences.append(f"{person} is a {kind}.")
        questions.append(Question(f"what is {person} afraid of?", (feared[kind],), "animal"))
    return _Told(_some(sentences, len(sentences), rng), questions)


def _induction(length: int, rng: np.random.Generator) -> _Told:
    kinds = _some(shipped()["kind"], max(length // 3, 1), rng)
    people = _some(_people(), 2 * len(kinds), rng)
    sentences, questions = [], []
    for kind, known, asked in zip(kinds, people[::2], people[1::2], strict=True):
        colour = _pick(shipped()["colour"], rng)
        sentences += [f"{known} is a {kind}.", f"{known} is {colour}.", f"{asked} is a {kind}."]
        questions.append(Question(f"what colour is {asked}?", (colour,), "colour"))
    return _Told(_some(sentences, len(sentences), rng), questions)


def _sizes(length: int, rng: np.random.Generator) -> _Told:
    order = _some(shipped()["container"], length + 1, rng)  # the smallest first
    pairs = list(pairwise(order))
    further = [pair for pair in combinations(order, 2) if pair not in pairs]
    pairs += _some(further, length - len(pairs), rng)
    patterns = ("the {0} fits in the {1}.", "the {1} is bigger than the {0}.")
    sentences = [_pick(patterns, rng).format(*pair) for pair in pairs]
    questions = []
    for (i, one), (j, other) in permutations(enumerate(order), 2):
        questions.append(Question(f"does the {one} fit in the {other}?", ("yes" if i < j else "no",), "yes"))
        questions.append(Question(f"is the {one} bigger than the {other}?", ("yes" if i > j else "no",), "yes"))
    return _Told(_some(sentences, len(sentences), rng), questions)


def _motives(length: int, rng: np.random.Generator) -> _Told:
    motives = shipped()["motive"]
    moved = {person: _pick(list(motives), rng) for person in _some(_people(), (length + 1) // 2, rng)}
    done = dict.fromkeys(moved, 0)
    sentences, questions = [], []
    for _ in range(length):
        who = _pick([person for person in moved if done[person] < 3], rng)
        place, thing = motives[moved[who]]
        told = (f"is {moved[who]}", f"{_went(rng)} the {place}", f"{_pick(shipped()['took'], rng)} the {thing} there")
        sentences.append(f"{who} {told[done[who]]}.")
        done[who] += 1
    for who, motive in moved.items():
        place, thing = motives[motive]
        if done[who] == 1:
            questions.append(Question(f"where will {who} go?", (place,), "place"))
        if done[who] >= 2:
            questions.append(Question(f"why did {who} go to the {place}?", (motive,), "motive"))
        if done[who] == 3:
            questions.append(Question(f"why did {who} take the {thing}?", (motive,), "motive"))
    return _Told(sentences, questions)


def rule(task: int) -> str:
    """What a player has to know to understand stories of a type."""
    if task == 17:
        return "all things lie on a grid, each one step beside the other it is told with."
    if task == 20:
        return f"{', '.join(f'the {motive} go to the {place}' for motive, (place, _) in shipped()['motive'].items())}."
    return ""


# --- what all share ---


def _people() -> list[str]:
    return [*shipped()["he"], *shipped()["she"]]


def _went(rng: np.random.Generator) -> str:
    return _pick(shipped()["went"], rng)


def _pick(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]


def _some(options: Sequence[T], count: int, rng: np.random.Generator) -> list[T]:
    """As many different options, or all if there are fewer, in a random order."""
    return [options[int(i)] for i in rng.permutation(len(options))[:count]]


def _sample(questions: Iterable[Question], count: int, rng: np.random.Generator) -> list[Question]:
    """At most ``count`` questions; each time each answer that is left is as probable."""
    by_answer: dict[tuple[str, ...], list[Question]] = {}
    for question in questions:
        by_answer.setdefault(question.answer, []).append(question)
    sample: list[Question] = []
    while by_answer and len(sample) < count:
        answer = _pick(list(by_answer), rng)
        left = by_answer[answer]
        sample.append(left.pop(int(rng.integers(len(left)))))
        if not left:
            del by_answer[answer]
    return sample


_TASKS: dict[int, Callable[[int, np.random.Generator], _Told]] = {
    **{task: partial(_whereabouts, task) for task in (1, 6, 9, 10, 11, 12, 13)},
    **{task: partial(_carrying, task) for task in (2, 3, 7, 8)},
    4: _two_arguments,
    5: _gifts,
    14: _times,
    15: _deduction,
    16: _induction,
    17: _positions,
    18: _sizes,
    19: _paths,
    20: _motives,
}
