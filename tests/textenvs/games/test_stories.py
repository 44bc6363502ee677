from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable

import numpy as np
import pytest

from textenvs.games.questions.stories import Story, draw_story

GROUND = "(?:went|walked|ran|moved) to the"
TOOK, DROPPED = "(?:took|got|picked up)", "(?:dropped|put down|left)"
PLURALS = {"bears": "bear", "cats": "cat", "foxes": "fox", "mice": "mouse", "wolves": "wolf", "sheep": "sheep"}
OFFSETS = {"above": (0, 1), "below": (0, -1), "to the right of": (1, 0), "to the left of": (-1, 0)}
OFFSETS |= {"north of": (0, 1), "south of": (0, -1), "east of": (1, 0), "west of": (-1, 0)}
RELATION = re.compile(rf"the (\w+(?: \w+)?) is ({'|'.join(OFFSETS)}) the (\w+(?: \w+)?)")

Reader = Callable[[list[str], str], tuple[str, ...]]


def groups(pattern: str, text: str) -> tuple[str, ...]:
    match = re.fullmatch(pattern, text)
    assert match is not None, (pattern, text)
    return match.groups()


def moves(sentences: list[str]) -> list[tuple[str, str]]:
    """Who went where, pronouns and pairs resolved."""
    found, antecedent = [], []
    for sentence in sentences:
        if match := re.fullmatch(rf"(?:then )?(\w+)(?: and (\w+))? {GROUND} (\w+)", sentence):
            who = [each for each in match.groups()[:2] if each]
            antecedent = antecedent if who[0] in ("he", "she", "they") else who
            found += [(each, match[3]) for each in antecedent]
    return found


def where(sentences: list[str], question: str) -> tuple[str, ...]:
    (who,) = groups(r"where is (\w+)\?", question)
    return ([place for each, place in moves(sentences) if each == who][-1],)


def whether_there(sentences: list[str], question: str) -> tuple[str, ...]:
    """The last sentence about the person decides."""
    who, place = groups(r"is (\w+) in the (\w+)\?", question)
    last = [each for each in sentences if each.startswith(who) and re.search("in the|to the", each)][-1]
    if "no longer" in last:
        assert place in last  # else the story would not tell
        return ("no",)
    if place not in last:
        return ("no",)
    return ("maybe",) if "either" in last else ("yes",)


def trace(sentences: list[str], thing: str) -> list[str]:
    """Where a thing has been, following its carriers backwards and forwards through the text."""
    seen, carrier = [], None
    for i, sentence in enumerate(sentences):
        if match := re.fullmatch(rf"(\w+) {TOOK} the {thing} there", sentence):
            carrier = match[1]
            seen.append([place for who, place in moves(sentences[:i]) if who == carrier][-1])
        elif re.fullmatch(rf"{carrier} {DROPPED} the {thing} there", sentence):
            carrier = None
        elif match := re.fullmatch(rf"{carrier} {GROUND} (\w+)", sentence):
            seen.append(match[1])
    return [place for place, before in zip(seen, [None, *seen], strict=False) if place != before]


def where_thing(sentences: list[str], question: str) -> tuple[str, ...]:
    return (trace(sentences, *groups(r"where is the (\w+)\?", question))[-1],)


def where_before(sentences: list[str], question: str) -> tuple[str, ...]:
    thing, after = groups(r"where was the (\w+) before the (\w+)\?", question)
    places = trace(sentences, thing)
    assert places.count(after) == 1
    return (places[places.index(after) - 1],)


def carried(sentences: list[str], who: str) -> set[str]:
    """Taken and not dropped since."""
    balance: Counter[str] = Counter()
    for sentence in sentences:
        if match := re.fullmatch(rf"{who} ({TOOK}|{DROPPED}) the (\w+) there", sentence):
            balance[match[2]] += 1 if re.fullmatch(TOOK, match[1]) else -1
    assert {*balance.values()} <= {0, 1}
    return {thing for thing, count in balance.items() if count}


def how_many(sentences: list[str], question: str) -> tuple[str, ...]:
    count = len(carried(sentences, *groups(r"how many things is (\w+) carrying\?", question)))
    return (["none", "one", "two", "three"][count],)


def what_carried(sentences: list[str], question: str) -> tuple[str, ...]:
    return (*sorted(carried(sentences, *groups(r"what is (\w+) carrying\?", question))),) or ("nothing",)


def layout(sentences: list[str]) -> tuple[dict[str, tuple[int, int]], list[tuple[str, str, str]]]:
    """Coordinates of all things, and the relations that were told."""
    told = [match.groups() for sentence in sentences if (match := RELATION.fullmatch(sentence))]
    cells = {told[0][2]: (0, 0)}
    while any({one, other} - {*cells} for one, _, other in told):
        for one, way, other in told:
            x, y = OFFSETS[way]
            if other in cells:
                cells[one] = cells[other][0] + x, cells[other][1] + y
            elif one in cells:
                cells[other] = cells[one][0] - x, cells[one][1] - y
    assert len({*cells.values()}) == len(cells)
    return cells, told


def neighbour(sentences: list[str], question: str) -> tuple[str, ...]:
    cells, _ = layout(sentences)
    if match := re.fullmatch(r"what is (\w+ of) the (\w+)\?", question):
        (x, y), (a, b) = cells[match[2]], OFFSETS[match[1]]
        cell = x + a, y + b
    else:
        room, way = groups(r"what is the (\w+) (\w+ of)\?", question)
        (x, y), (a, b) = cells[room], OFFSETS[way]
        cell = x - a, y - b
    return tuple(room for room, place in cells.items() if place == cell)


def position(sentences: list[str], question: str) -> tuple[str, ...]:
    cells, _ = layout(sentences)
    one, way, other = groups(rf"is the (\w+ \w+) ({'|'.join(OFFSETS)}) the (\w+ \w+)\?", question)
    (x, y), (a, b) = cells[one], cells[other]
    held = {"above": y > b, "below": y < b, "to the right of": x > a, "to the left of": x < a}[way]
    return ("yes" if held else "no",)


def path(sentences: list[str], question: str) -> tuple[str, ...]:
    """All shortest ways by the relations told; there has to be one only."""
    _, told = layout(sentences)
    exits = [(other, way.split()[0], one) for one, way, other in told]
    back = {"north": "south", "south": "north", "east": "west", "west": "east"}
    exits += [(one, back[way], other) for other, way, one in exits]
    start, goal = groups(r"how do you go from the (\w+) to the (\w+)\?", question)
    queue: deque[tuple[str, tuple[str, ...]]] = deque([(start, ())])
    found: list[tuple[str, ...]] = []
    while queue and not (found and len(queue[0][1]) > len(found[0])):
        room, way = queue.popleft()
        if room == goal:
            found.append(way)
        queue += [(after, (*way, step)) for before, step, after in exits if before == room and len(way) < 4]
    assert len(found) == 1
    return found[0]


def gift(sentences: list[str], question: str) -> tuple[str, ...]:
    gifts = [match.groups() for each in sentences if (match := re.fullmatch(r"(\w+) gave the (\w+) to (\w+)", each))]
    held: dict[str, str] = {}
    for sentence in sentences:
        if match := re.fullmatch(r"(\w+) gave the (\w+) to (\w+)", sentence):
            assert held[match[2]] == match[1] != match[3]
            held[match[2]] = match[3]
        elif match := re.fullmatch(rf"(\w+) {TOOK} the (\w+)", sentence):
            assert match[2] not in held
            held[match[2]] = match[1]
        elif match := re.fullmatch(rf"(\w+) {DROPPED} the (\w+)", sentence):
            assert held.pop(match[2]) == match[1]
    for pattern, asked in (
        (r"who gave the (?P<t>\w+) to (?P<r>\w+)\?", 0),
        (r"who gave the (?P<t>\w+)\?", 0),
        (r"what did (?P<g>\w+) give to (?P<r>\w+)\?", 1),
        (r"who did (?P<g>\w+) give the (?P<t>\w+) to\?", 2),
        (r"who was given the (?P<t>\w+)\?", 2),
    ):
        if match := re.fullmatch(pattern, question):
            said = match.groupdict()
            fitting = {each[asked] for each in gifts if all(each["gtr".index(key)] == said[key] for key in said)}
            return tuple(fitting)
    raise AssertionError(question)


def where_at_time(sentences: list[str], question: str) -> tuple[str, ...]:
    who, after = groups(r"where was (\w+) before the (\w+)\?", question)
    times = ["yesterday", "this morning", "this afternoon", "this evening"]
    pattern = rf"({'|'.join(times)}) {who} {GROUND} (\w+)"
    visits = [match.groups() for sentence in sentences if (match := re.fullmatch(pattern, sentence))]
    places = [place for _, place in sorted(visits, key=lambda visit: times.index(visit[0]))]
    return (places[places.index(after) - 1],)


def fear(sentences: list[str], question: str) -> tuple[str, ...]:
    (who,) = groups(r"what is (\w+) afraid of\?", question)
    kind = next(match[1] for each in sentences if (match := re.fullmatch(rf"{who} is a (\w+)", each)))
    pairs = [match.groups() for each in sentences if (match := re.fullmatch(r"(\w+) are afraid of (\w+)", each))]
    return tuple(PLURALS[feared] for kinds, feared in pairs if PLURALS[kinds] == kind)


def colour(sentences: list[str], question: str) -> tuple[str, ...]:
    (who,) = groups(r"what colour is (\w+)\?", question)
    kinds = dict(match.groups() for each in sentences if (match := re.fullmatch(r"(\w+) is a (\w+)", each)))
    colours = dict(match.groups() for each in sentences if (match := re.fullmatch(r"(\w+) is (\w+)", each)))
    assert who not in colours
    return tuple(colours[other] for other, kind in kinds.items() if kind == kinds[who] and other in colours)


def size(sentences: list[str], question: str) -> tuple[str, ...]:
    smaller = {match.groups() for each in sentences if (match := re.fullmatch(r"the (\w+) fits in the (\w+)", each))}
    bigger = {
        match.groups() for each in sentences if (match := re.fullmatch(r"the (\w+) is bigger than the (\w+)", each))
    }
    smaller |= {(one, other) for other, one in bigger}
    while more := {(a, d) for a, b in smaller for c, d in smaller if b == c} - smaller:
        smaller |= more
    if match := re.fullmatch(r"does the (\w+) fit in the (\w+)\?", question):
        one, other = match.groups()
    else:
        other, one = groups(r"is the (\w+) bigger than the (\w+)\?", question)
    assert ((one, other) in smaller) != ((other, one) in smaller)
    return ("yes" if (one, other) in smaller else "no",)


def motive(sentences: list[str], question: str) -> tuple[str, ...]:
    rules = {"bored": ("garden", "football"), "cold": ("hallway", "coat")}
    rules |= {"hungry": ("kitchen", "apple"), "tired": ("bedroom", "pillow")}
    states = dict(match.groups() for each in sentences if (match := re.fullmatch(r"(\w+) is (\w+)", each)))
    gone = dict(moves(sentences))
    assert all(rules[states[who]][0] == place for who, place in gone.items())
    if match := re.fullmatch(r"where will (\w+) go\?", question):
        assert match[1] not in gone
        return (rules[states[match[1]]][0],)
    who, place, thing = groups(r"why did (\w+) (?:go to the (\w+)|take the (\w+))\?", question)
    assert (place or gone[who]) == gone[who]
    assert not thing or any(re.fullmatch(rf"{who} {TOOK} the {thing} there", each) for each in sentences)
    return (states[who],)


READERS: dict[int, Reader] = {
    **dict.fromkeys((1, 11, 12, 13), where),
    **dict.fromkeys((6, 9, 10), whether_there),
    2: where_thing,
    3: where_before,
    4: neighbour,
    5: gift,
    7: how_many,
    8: what_carried,
    14: where_at_time,
    15: fear,
    16: colour,
    17: position,
    18: size,
    19: path,
    20: motive,
}


def split(story: Story) -> list[str]:
    return story.text.removesuffix(".").split(". ")


@pytest.mark.parametrize("task", range(1, 21))
@pytest.mark.parametrize(("length", "distractors"), [(4, 0), (10, 2), (24, 12)])
def test_the_answers_are_what_another_reader_finds(task: int, length: int, distractors: int) -> None:
    rng = np.random.default_rng(task)
    for _ in range(20):
        story = draw_story(task, length, distractors, 8, rng)
        assert 1 <= len(story.questions) <= 8
        assert len({question.text for question in story.questions}) == len(story.questions)
        for question in story.questions:
            assert READERS[task](split(story), question.text) == question.answer


@pytest.mark.parametrize("task", range(1, 21))
def test_the_length_and_the_distractors_are_as_asked(task: int) -> None:
    most = {4: 11, 18: 36, 19: 11}.get(task, 24)
    rng = np.random.default_rng(0)
    for length in (4, 9, 12):
        told = len(split(draw_story(task, length, 0, 3, rng)))
        assert abs(min(length, most) - told) <= 2
        assert len(split(draw_story(task, length, 5, 3, rng))) - 5 - told in range(-1, 2)


@pytest.mark.parametrize("task", [6, 9, 10, 17, 18])
def test_each_answer_is_as_probable(task: int) -> None:
    rng, counts = np.random.default_rng(0), Counter[str]()
    for _ in range(300):
        story = draw_story(task, 10, 0, 1, rng)
        counts[story.questions[0].answer[0]] += 1
    assert len(counts) == 2 + (task == 10)
    assert min(counts.values()) > 300 / len(counts) * 0.7


def test_paths_have_two_or_three_steps_and_lists_up_to_three_things() -> None:
    rng = np.random.default_rng(0)
    lengths = {task: Counter[int]() for task in (8, 19)}
    for task, counts in lengths.items():
        for _ in range(100):
            for question in draw_story(task, 14, 0, 4, rng).questions:
                counts[len(question.answer) if question.answer != ("nothing",) else 0] += 1
    assert {*lengths[19]} == {2, 3}
    assert {*lengths[8]} == {0, 1, 2, 3}
