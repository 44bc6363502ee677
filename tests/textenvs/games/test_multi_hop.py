from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.questions.encyclopedia import Encyclopedia, Page, Question, kinds, share_out
from textenvs.games.questions.multi_hop import MultiHop

HELP = "say search and words, read and a title, or answer and the answer."

# What is asked for -> how a page tells it.
TOLD = {
    "birthplace of": r"from ([\w ]+)",
    "birth year of": r"born in (\d+)",
    "employer of": r"working for ([\w ]+)",
    "country of": r"a city in ([\w ]+)",
    "mayor of": r"with the mayor ([\w ]+)",
    "river at": r"on the river ([\w ]+)",
    "director of": r"directed by ([\w ]+)",
    "setting of": r"set in ([\w ]+)",
    "author of": r"written by ([\w ]+)",
    "topic of": r"about ([\w ]+)",
    "seat of": r"based in ([\w ]+)",
    "head of": r"run by ([\w ]+)",
    "product of": r"making ([\w ]+)",
    "founding year of": r"founded in (\d+)",
    "capital of": r"with the capital ([\w ]+)",
    "ruler of": r"ruled by ([\w ]+)",
    "currency of": r"paying in ([\w ]+)",
    "year of": r"(?:made|printed) in (\d+)",
}


class Reader:
    """A player that knows nothing but what it is told, and counts its calls."""

    def __init__(self, game: MultiHop) -> None:
        self.game, self.pages, self.calls = game, dict[str, str](), 0

    def call(self, text: str) -> str:
        self.calls += 1
        turn = self.game.step(text)
        assert turn.reward == -self.game.cost and not turn.terminated
        return turn.text

    def page(self, title: str) -> str:
        if title not in self.pages:
            self.pages[title] = self.call(f"read {title}")
        return self.pages[title]

    def value(self, phrase: str) -> str:
        """What ``the mayor of the seat of x`` is; it reads from the inside out."""
        for asked, told in TOLD.items():
            if phrase.startswith(f"the {asked} "):
                match = re.search(rf"\b{told}[,.]", self.page(self.value(phrase.removeprefix(f"the {asked} "))))
                assert match is not None
                return match[1]
        if match := re.fullmatch(r"the (film|person|book|company) (.*) and (.*)", phrase):
            asked = re.sub(r"\b(set in|made in|directed by|from|born in|working for)\b", "", " ".join(match.groups()))
            asked = re.sub(r"\b(written by|about|printed in|based in|run by|making|founded in)\b", "", asked)
            title = self.call(f"search {asked}").removeprefix("found: ").rstrip(".").split("; ")[0]
            assert match[2] in self.page(title) and match[3] in self.page(title)
            return title
        return phrase

    def answer(self, question: str) -> str:
        if match := re.fullmatch(r"(?:who|what) is (.*)\?", question):
            return self.value(match[1])
        match = re.fullmatch(r"(?:who was|which film|which book|which company).* first, (.*) or (.*)\?", question)
        assert match is not None
        titles = [self.value(side) for side in match.groups()]
        years = [re.search(r"(?:born|made|printed|founded) in (\d+)", self.page(title)) for title in titles]
        return titles[int(years[0][1]) > int(years[1][1])]


@pytest.mark.parametrize(
    "knobs", [*MultiHop.levels.values(), {"hops": 1, "comparisons": 0.5}, {"hops": 3, "pages": 60}]
)
def test_the_expert_answers_as_a_reader_of_the_text_does_with_no_more_calls(knobs: dict[str, Any]) -> None:
    game, rng, compared = MultiHop(**knobs), np.random.default_rng(0), 0
    for _ in range(40):
        state = rng.bit_generator.state
        reader = Reader(game)
        opening = game.reset(rng)
        answer = reader.answer(opening.split("the answer. ")[1])
        assert game.step(f"answer {answer}") == ("right.", 1.0, True, {"success": True})
        again = np.random.default_rng()
        again.bit_generator.state = state
        game.reset(again)
        calls, total, done = 0, 0.0, False
        while not done:
            assert game.expert_action() in game.valid_actions()
            assert len(game.valid_actions()) == len({*game.valid_actions()}) <= game.max_choices
            _, reward, done, info = game.step(game.expert_action())
            calls, total = calls + 1, total + reward
        compared += len(game._question.chains) > 1
        assert info["success"] and calls == reader.calls + 1 <= game.max_turns / 3
        assert total == pytest.approx(1 - game.cost * reader.calls)
    assert (compared > 0) == (game.comparisons > 0)


def start(*pages: Page, question: Question) -> MultiHop:
    game = MultiHop()
    game.reset(np.random.default_rng(0))
    game._book = Encyclopedia(15, np.random.default_rng(0))
    game._book.pages = {page.title: page for page in pages}
    game._book._words = {page.title: {*re.findall(r"\w+", page.text())} for page in pages}
    game._question, game._seen, game._read, game._searched = question, {}, set(), not question.search
    return game


FILM = Page("the silent door", "film", {"director": "mara stone", "setting": "tormora", "year": "1980"})
MARA = Page("mara stone", "person", {"birthplace": "tormora", "year": "1950", "employer": "belco"})
OTHER = Page("ivo stone", "person", {"birthplace": "tormora", "year": "1980", "employer": "belco"})
CITY = Page("tormora", "city", {"country": "vania", "mayor": "ivo stone", "river": "rega"})
WHO = Question("who is the mayor of ...?", "person", "ivo stone", (("the silent door", "tormora"),), "film 1980")


def test_an_episode() -> None:
    game = start(OTHER, MARA, FILM, CITY, question=WHO)
    assert game.valid_actions()[:2] == ["search film 1980", "search person"]
    assert game.expert_action() == "search film 1980"
    assert game.step("hello") == (HELP, -0.05, False, {})
    assert game.step("search the") == (HELP, -0.05, False, {})
    assert game.step("Search for zebras") == ("nothing found.", -0.05, False, {})
    assert game.step("please look up tormora") == ("found: tormora; ivo stone; mara stone.", -0.05, False, {})
    assert game.expert_action() == "search film 1980"
    assert game.step("search 1980 FILM").text == "found: the silent door; ivo stone."
    assert game.expert_action() == "read the silent door"
    text = "the silent door: a film directed by mara stone, set in tormora, made in 1980."
    assert game.step("open Silent Door!") == (text, -0.05, False, {})
    assert game.step("read stone") == ("there is no such page.", -0.05, False, {})
    assert game.step("read the page of mara").text.startswith("mara stone: a person from tormora, born in 1950")
    assert game.expert_action() == "read tormora"
    assert game.step("view tormora").text == "tormora: a city in vania, with the mayor ivo stone, on the river rega."
    assert game.valid_actions()[-2:] == ["answer ivo stone", "answer mara stone"]
    assert game.expert_action() == "answer ivo stone"
    assert game.step("answer: mara stone") == ("no, ivo stone.", 0.5, True, {"success": False})


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("answer ivo stone", 1.0),
        ("the answer is Stone, Ivo.", 1.0),
        ("answer it is ivo", 2 / 3),
        ("answer ivo stone or mara stone", 4 / 5),
        ("answer nobody", 0.0),
    ],
)
def test_answers(text: str, score: float) -> None:
    turn = start(OTHER, question=WHO).step(text)
    assert turn.terminated and turn.reward == pytest.approx(score) and turn.info["success"] == (score == 1)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert start(OTHER, MARA, FILM, CITY, question=WHO).step(text).text


@pytest.mark.parametrize("pages", [15, 30, 47, 60])
def test_an_encyclopedia_is_consistent(pages: int) -> None:
    for seed in range(20):
        book = Encyclopedia(pages, np.random.default_rng(seed))
        assert len(book.pages) == pages == sum(share_out(pages).values())
        values: dict[str, set[str]] = {}
        for title, page in book.pages.items():
            assert book.find(title) == title == book.search(title)[0] and len(page.text()) < 200
            for value, kind in zip(page.facts.values(), page.kinds(), strict=True):
                assert (value in book.pages) == (kind in share_out(pages))
                assert value not in book.pages or book.pages[value].type == kind
                values.setdefault(kind, set()).add(value)
        assert all(len(those) <= kinds(pages)[kind] for kind, those in values.items())
        for country in (page for page in book.pages.values() if page.type == "country"):
            assert book.pages[country.facts["capital"]].facts["country"] == country.title


@pytest.mark.parametrize("level", MultiHop.levels)
def test_episodes_differ(level: str) -> None:
    game, rng = MultiHop(**MultiHop.levels[level]), np.random.default_rng(0)
    instances = set()
    for _ in range(30):
        game.reset(rng)
        instances.add(game.instance())
    assert len(instances) == 30


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"hops": 0}, "hops must be 1 to 4, not 0"),
        ({"pages": 14}, "pages must be 15 to 60, not 14"),
        ({"comparisons": 2}, "comparisons is a probability"),
        ({"cost": 1}, "cost must be 0 to 0.1, not 1"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiHop(**knobs)
