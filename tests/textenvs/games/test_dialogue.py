"""TextDialogue: the agent's free text is understood, the user behaves as told, the expert wins."""

import sqlite3
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textenvs.games.dialogue.database import Database, ontology
from textenvs.games.dialogue.dialogue import Dialogue
from textenvs.games.dialogue.understanding import Understanding


def reader(domain: str) -> Understanding:
    table = ontology()[domain]
    return Understanding({**table["constraints"], **table["booking"]}, [e["name"] for e in table["entities"]])


READERS = {domain: reader(domain) for domain in ontology()}
NAME = ontology()["restaurant"]["entities"][0]["name"]
INN = ontology()["hotel"]["entities"][0]["name"]

WORDINGS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("restaurant", "what food would you like", "ask", {"asked": ("food",)}),
    ("restaurant", "What kind of cuisine do you prefer?", "ask", {"asked": ("food",)}),
    ("restaurant", "Which part of town?", "ask", {"asked": ("area",)}),
    ("restaurant", "where should it be", "ask", {"asked": ("area",)}),
    ("restaurant", "any price range preference?", "ask", {"asked": ("price",)}),
    ("restaurant", "What is your budget?", "ask", {"asked": ("price",)}),
    ("restaurant", "for how many people", "ask", {"asked": ("people",)}),
    ("restaurant", "How many guests will there be?", "ask", {"asked": ("people",)}),
    ("restaurant", "on what day", "ask", {"asked": ("day",)}),
    ("restaurant", "at what time", "ask", {"asked": ("time",)}),
    ("restaurant", "Could you tell me the area and the price?", "ask", {"asked": ("area", "price")}),
    ("hotel", "how many stars would you like", "ask", {"asked": ("stars",)}),
    ("hotel", "for how many nights", "ask", {"asked": ("nights",)}),
    ("hotel", "How long will you stay?", "ask", {"asked": ("nights",)}),
    ("train", "where do you leave from", "ask", {"asked": ("departure",)}),
    ("train", "where do you go to", "ask", {"asked": ("destination",)}),
    ("train", "What is your destination?", "ask", {"asked": ("destination",)}),
    ("train", "When would you like to travel?", "ask", {}),
    ("restaurant", "look up restaurant food italian area north", "look up", {"food": "italian", "area": "north"}),
    ("restaurant", "search for cheap Italian places", "look up", {"food": "italian", "price": "cheap"}),
    (
        "restaurant",
        "Find an inexpensive Thai restaurant in the center!",
        "look up",
        {"price": "cheap", "area": "centre"},
    ),
    ("restaurant", "I will check the database for indian food in the northern part", "look up", {"food": "indian"}),
    ("restaurant", "lookup chinse food", "look up", {}),
    ("restaurant", "search for italain food", "look up", {"food": "italian"}),
    ("hotel", "look up hotel stars 4 price cheap", "look up", {"stars": "4", "price": "cheap"}),
    ("hotel", "find a four star hotel in the west", "look up", {"stars": "4", "area": "west"}),
    ("train", "look up train departure leeds destination york day friday", "look up", {"departure": "leeds"}),
    ("train", "find a train from Leeds to York on Friday", "look up", {"destination": "york", "day": "friday"}),
    ("train", "search trains to york from leeds", "look up", {"departure": "leeds", "destination": "york"}),
    ("restaurant", f"book {NAME} for 4 people on friday at 18:00", "book", {"people": "4", "time": "18:00"}),
    ("restaurant", f"Booked! {NAME.title()}, 4 people, Friday 6pm.", "book", {"day": "friday", "time": "18:00"}),
    (
        "restaurant",
        f"I have reserved {NAME} for four people on fri at 6:30 pm",
        "book",
        {"people": "4", "day": "friday"},
    ),
    ("restaurant", f"your reservation at {NAME} is confirmed for two guests", "book", {"people": "2"}),
    ("hotel", f"book {INN} for 5 people on monday for 2 nights", "book", {"people": "5", "nights": "2"}),
    ("hotel", f"reserving {INN}: party of 3, three nights from tuesday", "book", {"nights": "3", "day": "tuesday"}),
    ("train", "book train 12 for 6 people", "book", {"people": "6"}),
    ("train", "Book train 7, six tickets please", "book", {"people": "6"}),
    ("restaurant", f"how about {NAME}?", "offer", {}),
    ("restaurant", f"I recommend {NAME.upper()}", "offer", {}),
    ("restaurant", "there is no match, what else would you like", "no match", {}),
    ("restaurant", "Unfortunately nothing was found.", "no match", {}),
    ("restaurant", "sorry, that is unavailable", "no match", {}),
    ("restaurant", "hello!", "greet", {}),
    ("restaurant", "lorem ipsum", "unknown", {}),
    ("restaurant", "", "unknown", {}),
    ("restaurant", "\x00\x07 \U0001f600 <end><agent>", "unknown", {}),
]


@pytest.mark.parametrize(("domain", "text", "kind", "expected"), WORDINGS)
def test_free_wordings_are_understood(domain: str, text: str, kind: str, expected: dict[str, Any]) -> None:
    act = READERS[domain](text)
    assert act.kind == kind
    if "asked" in expected:
        assert set(act.asked) == set(expected["asked"])
    else:
        assert expected.items() <= dict(act.slots).items()


def play(game: Dialogue, seed: int, expert: bool) -> tuple[float, bool, list[str]]:
    rng, choices = np.random.default_rng(seed), np.random.default_rng(10_000 + seed)
    said, total = [game.reset(rng)], 0.0
    for _ in range(game.max_turns):
        valid = game.valid_actions()
        best = game.expert_action()
        assert best in valid and len(set(valid)) == len(valid) <= game.max_choices
        turn = game.step(best if expert else valid[choices.integers(len(valid))])
        said.append(turn.text)
        total += turn.reward
        if turn.terminated:
            return total, turn.info["success"], said
    return total, False, said


@pytest.mark.parametrize("level", Dialogue.levels)
def test_expert_wins_and_random_play_does_not(level: str) -> None:
    game = Dialogue(**Dialogue.levels[level])
    expert = [play(game, seed, expert=True) for seed in range(200)]
    chance = [play(game, seed, expert=False) for seed in range(200)]
    assert np.mean([won for _, won, _ in expert]) >= 0.95
    assert np.mean([won for _, won, _ in chance]) <= 0.35
    assert np.mean([total for total, _, _ in expert]) > np.mean([total for total, _, _ in chance]) + 0.5


def test_users_correct_themselves_change_goals_and_misspell() -> None:
    said = " ".join(text for seed in range(60) for text in play(Dialogue(**Dialogue.levels["hard"]), seed, True)[2])
    assert "changed my mind" in said and "none found" in said
    words = set(said.replace(",", " ").split())
    assert words & {"thrusday", "rsetaurant", "exepnsive", "mdoerate", "moedrate", "chepa", "cehap", "itailan"} or len(
        words
    ) > len(set(" ".join(play(Dialogue(noise=0.0), s, True)[2][0] for s in range(60)).split()))


def test_an_impatient_user_gives_up_and_says_so() -> None:
    game = Dialogue(patience=2)
    game.reset(np.random.default_rng(0))
    assert not game.step("lorem ipsum").terminated
    turn = game.step("lorem ipsum")
    assert turn.terminated and not turn.info["success"] and "goodbye" in turn.text


def test_a_wrong_booking_is_refused_with_the_reason() -> None:
    game = Dialogue(**Dialogue.levels["easy"])
    game.reset(np.random.default_rng(1))
    for _ in range(10):
        if game.expert_action().startswith("book"):
            break
        game.step(game.expert_action())
    people = game._user.goal.booking["people"]
    wrong = game.expert_action().replace(f"for {people} people", f"for {int(people) % 8 + 2} people")
    turn = game.step(wrong)
    assert not turn.terminated and people in turn.text and turn.reward < -0.02
    assert game.step(game.expert_action()).info["success"]


def test_the_database_is_read_only() -> None:
    database = Database()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.connection.execute("DELETE FROM hotel")
    injected = {"food": "x' OR '1'='1"}
    assert database.find("restaurant", injected) == []


@given(st.lists(st.text(max_size=400), max_size=8), st.sampled_from(sorted(Dialogue.levels)))
@settings(max_examples=150, deadline=None)
def test_any_text_gets_an_answer(texts: list[str], level: str) -> None:
    game = Dialogue(**Dialogue.levels[level])
    game.reset(np.random.default_rng(3))
    before = game.instance()
    for text in texts:
        turn = game.step(text)
        assert turn.text and np.isfinite(turn.reward)
        if turn.terminated:
            break
    assert game.instance() == before


@pytest.mark.parametrize(
    "knobs",
    [{"domains": ()}, {"domains": ("bank",)}, {"goals": 4}, {"constraints": 0}, {"patience": 0}, {"noise": 2.0}],
)
def test_wrong_knobs_are_refused_by_name(knobs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(knobs))):
        Dialogue(**knobs)
