"""TextDialogue: the agent's free text is understood, the user behaves as told, the expert wins."""

import gc
import inspect
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
    ("train", "where do you want to go?", "ask", {"asked": ("destination",)}),
    ("train", "Where would you like to go on Friday?", "ask", {"asked": ("destination",)}),
    ("train", "where are you headed?", "ask", {"asked": ("destination",)}),
    ("train", "where are you traveling?", "ask", {"asked": ("destination",)}),
    ("train", "from where do you want to go?", "ask", {"asked": ("departure",)}),
    ("train", "do you want to go on friday?", "ask", {"asked": ("day",)}),
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
    ("restaurant", "Which part of town do you want?", "ask", {"asked": ("area",)}),
    ("restaurant", "sorry, which area was that?", "ask", {"asked": ("area",)}),
    ("restaurant", "No problem. What day?", "ask", {"asked": ("day",)}),
    ("restaurant", "I need to know the day", "ask", {"asked": ("day",)}),
    ("restaurant", "let me know how many of you are coming", "ask", {"asked": ("people",)}),
    ("restaurant", "cheap or expensive?", "ask", {"asked": ("price",)}),
    ("restaurant", "what price are you looking for", "ask", {"asked": ("price",)}),
    ("restaurant", "when would you like to eat?", "ask", {"asked": ("day", "time")}),
    ("restaurant", "what time should i book the table for?", "ask", {"asked": ("time",)}),
    ("train", "which day do you travel", "ask", {"asked": ("day",)}),
    ("train", "when do you want to leave", "ask", {"asked": ("day",)}),
    ("restaurant", "search for cheap italian places in the north", "look up", {"price": "cheap", "area": "north"}),
    ("restaurant", "looking for cheap chinese food in the west", "look up", {"food": "chinese", "area": "west"}),
    ("restaurant", "select food=greek area=north", "look up", {"food": "greek", "area": "north"}),
    ("restaurant", "no problem, searching for thai food", "look up", {"food": "thai"}),
    ("train", "find trains leeds york friday", "look up", {"departure": "leeds", "destination": "york"}),
    ("restaurant", f"Booked! {NAME.title()}, 4 people, Friday 18:00.", "book", {"people": "4", "time": "18:00"}),
    ("restaurant", f"i have booked {NAME} for 4 at 7 on friday", "book", {"people": "4", "time": "19:00"}),
    ("restaurant", f"book {NAME} at 6 p.m. on friday", "book", {"time": "18:00", "day": "friday"}),
    ("restaurant", f"book {NAME} for 4 people at seven o'clock", "book", {"people": "4", "time": "19:00"}),
    ("train", "train twelve is booked for 3", "book", {"people": "3"}),
    ("restaurant", f"shall I book {NAME}?", "offer", {}),
    ("restaurant", "sorry, i could not find any matching restaurants", "no match", {}),
    ("restaurant", "We don't have any match", "no match", {}),
    ("restaurant", "I couldn\u2019t find anything like that", "no match", {}),
    ("restaurant", "hello!", "greet", {}),
    ("restaurant", "good evening, how may i help you", "greet", {}),
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


def opened(seed: int = 0, **knobs: Any) -> Dialogue:
    game = Dialogue(**knobs)
    game.reset(np.random.default_rng(seed))
    return game


@pytest.mark.parametrize("level", Dialogue.levels)
def test_expert_wins_and_random_play_does_not(level: str) -> None:
    game = Dialogue(**Dialogue.levels[level])
    expert = [play(game, seed, expert=True) for seed in range(200)]
    chance = [play(game, seed, expert=False) for seed in range(200)]
    assert np.mean([won for _, won, _ in expert]) >= (0.97 if level in ("easy", "medium") else 0.95)
    assert np.mean([won for _, won, _ in chance]) <= 0.3
    assert 0.85 < np.mean([total for total, _, _ in expert]) < 0.95
    assert np.mean([total for total, _, _ in chance]) < 0


@pytest.mark.parametrize("level", Dialogue.levels)
def test_a_seed_fixes_the_episode_and_nothing_of_the_last_one_remains(level: str) -> None:
    used, fresh = Dialogue(**Dialogue.levels[level]), Dialogue(**Dialogue.levels[level])
    for seed in range(10):
        play(used, 500 + seed, expert=False)
        assert play(used, seed, expert=False) == play(Dialogue(**Dialogue.levels[level]), seed, expert=False)
        assert used.reset(np.random.default_rng(seed)) == fresh.reset(np.random.default_rng(seed))
        assert (used.instance(), used.valid_actions()) == (fresh.instance(), fresh.valid_actions())


def test_texts_are_short() -> None:
    game = Dialogue()
    for seed in range(200):
        said = play(game, seed, expert=seed % 2 == 0)[2]
        assert all(len(text.split()) <= 25 and text == text.lower() for text in said)


@pytest.mark.parametrize("level", Dialogue.levels)
def test_every_valid_action_is_understood(level: str) -> None:
    game = Dialogue(**Dialogue.levels[level])
    for seed in range(20):
        game.reset(np.random.default_rng(seed))
        for _ in range(game.max_turns):
            read = game._readers[game._user.goal.domain]
            for action in game.valid_actions():
                act = read(action)
                assert act.kind == ("no match" if "no match" in action else act.kind)
                assert act.kind in ("ask", "look up", "book", "no match"), action
                assert len(act.asked) == 1 if act.kind == "ask" else True, action
            if game.step(game.expert_action()).terminated:
                break


def test_actions_come_from_what_was_said_and_not_from_the_goal_or_the_database() -> None:
    game = Dialogue(**Dialogue.levels["hard"])
    for seed in range(30):
        game.reset(np.random.default_rng(seed))
        for _ in range(6):
            offered = game.valid_actions(), game.expert_action()
            goal, database = game._user.goal, game._database
            wishes = dict(goal.constraints), dict(goal.booking)
            goal.constraints = dict.fromkeys(wishes[0], "secret")
            goal.booking = dict.fromkeys(wishes[1], "secret")
            del game._database
            assert (game.valid_actions(), game.expert_action()) == offered
            game._database, (goal.constraints, goal.booking) = database, wishes
            if game.step(game.expert_action()).terminated:
                break


def test_users_correct_themselves() -> None:
    said = [" ".join(play(Dialogue(correction=1.0, goal_change=0.0), seed, True)[2]) for seed in range(60)]
    changed = [any(words in text for words in ("i meant", "changed my mind", "no wait")) for text in said]
    assert np.mean(changed) > 0.5 and not any("none found" in text for text in said)


def test_users_change_their_goal_when_nothing_matches() -> None:
    for seed in range(200):
        game = opened(seed, goal_change=1.0)
        if not game._user.goal.blocked:
            continue
        before, total, said = game.instance(), 0.0, [""]
        while not said[-1].endswith(("goodbye", "thanks")):
            turn = game.step(game.expert_action())
            said, total = [*said, turn.text], total + turn.reward
        assert "database: none found" in said and total > 0.7 and game.instance() == before


def test_users_misspell() -> None:
    for seed in range(20):
        clean = Dialogue().reset(np.random.default_rng(seed))
        noisy = Dialogue(noise=1.0).reset(np.random.default_rng(seed))
        assert noisy != clean and sorted(noisy) == sorted(clean)


def test_an_impatient_user_gives_up_and_says_so() -> None:
    game = opened(patience=2)
    turn = game.step("lorem ipsum")
    assert not turn.terminated and turn.reward == pytest.approx(-0.07)
    turn = game.step("lorem ipsum")
    assert turn.terminated and not turn.info["success"] and "goodbye" in turn.text


def test_what_tells_nothing_new_costs_more() -> None:
    game = opened(1, **Dialogue.levels["easy"])
    assert game.step("look up food thai").reward == pytest.approx(-0.02)
    assert game.step("search for thai food").reward == pytest.approx(-0.07)
    assert game.step("hello").reward == pytest.approx(-0.07)
    game.step("what food would you like")
    assert game.step("what food would you like").reward == pytest.approx(-0.07)


def test_a_wrong_booking_is_refused_with_the_reason_and_counts_when_the_user_gives_up() -> None:
    game = opened(1, **{**Dialogue.levels["easy"], "patience": 2})
    while not game.expert_action().startswith("book"):
        game.step(game.expert_action())
    people = game._user.goal.booking["people"]
    wrong = game.expert_action().replace(f"for {people} people", f"for {int(people) % 8 + 2} people")
    turn = game.step(wrong)
    assert not turn.terminated and people in turn.text and turn.reward == pytest.approx(-0.07)
    turn = game.step(wrong)
    assert turn.info == {"success": False, "constraints_met": pytest.approx(2 / 3)}
    assert turn.reward == pytest.approx(0.3 * 2 / 3 - 0.07)


def test_an_offer_is_judged_by_the_user() -> None:
    game = opened(1, **Dialogue.levels["easy"])
    while not game.expert_action().startswith("book"):
        game.step(game.expert_action())
    assert game.step(f"how about {game._found[0]}?").text == "user: yes, book it"
    assert game.step(game.expert_action()).info["success"]


def test_a_connection_ends_with_its_database() -> None:
    database = Database()
    connection = database.connection
    del database
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_the_database_is_read_only() -> None:
    database = Database()
    for statement in ("DELETE FROM hotel", "DROP TABLE hotel", "INSERT INTO hotel (name) VALUES ('x')"):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            database.connection.execute(statement)
    assert database.find("restaurant", {"food": "x' OR '1'='1"}) == []
    assert database.find("restaurant", {"1=1; --": "x"}) == database.find("restaurant", {})


def test_entities_have_distinct_two_word_names_and_known_values() -> None:
    for table in ontology().values():
        names = [entity["name"] for entity in table["entities"]]
        assert 20 <= len(names) == len(set(names)) and all(len(name.split()) == 2 for name in names)
        assert all(
            entity[slot] in known for entity in table["entities"] for slot, known in table["constraints"].items()
        )


@given(st.lists(st.text(max_size=400), max_size=8), st.sampled_from(sorted(Dialogue.levels)))
@settings(max_examples=150)
def test_any_text_gets_an_answer(texts: list[str], level: str) -> None:
    game = opened(3, **Dialogue.levels[level])
    before = game.instance()
    for text in texts:
        turn = game.step(text)
        assert turn.text and np.isfinite(turn.reward)
        if turn.terminated:
            break
    assert game.instance() == before


WORDS = sorted({*" ".join(text for _, text, _, _ in WORDINGS).split(), NAME, "24:99", "at 99", "to", "0", "12am"})


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), st.sampled_from(sorted(READERS)))
@settings(max_examples=300)
def test_any_order_of_known_words_is_read(text: str, domain: str) -> None:
    reader = READERS[domain]
    act = reader(text)
    assert {*act.slots, *act.asked} <= set(reader.values)
    assert act.name is None or act.name in reader.names


@pytest.mark.parametrize(
    "text",
    ["", " ", "x" * 10_000, "book " * 2_000, "\ud800", "\x00\x1b[2J", "<end>", "\u0663 \u00b2", "\ufdfa" * 300, "'"],
)
def test_unusable_text_is_not_understood(text: str) -> None:
    turn = opened().step(text)
    assert turn.text.startswith("user: ") and turn.reward == pytest.approx(-0.07) and not turn.terminated


@pytest.mark.parametrize(
    "knobs",
    [
        {"domains": ()},
        {"domains": ("bank",)},
        {"domains": "hotel"},
        {"domains": ("hotel", "hotel")},
        {"goals": 4},
        {"goals": 1.0},
        {"constraints": 0},
        {"booking": 4},
        {"patience": 0},
        {"volunteer": -0.1},
        {"correction": float("nan")},
        {"goal_change": 1.5},
        {"noise": 2.0},
    ],
)
def test_wrong_knobs_are_refused_by_name(knobs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(knobs))):
        Dialogue(**knobs)


def test_the_page_shows_a_real_transcript() -> None:
    game = Dialogue()
    lines = [game.reset(np.random.default_rng(5))]
    while not lines[-1].endswith("goodbye"):
        action = game.expert_action()
        lines += [f"> {action}", game.step(action).text]
    assert "\n".join(lines) in str(inspect.getdoc(Dialogue))


def test_domains_may_come_as_a_list() -> None:
    assert Dialogue(domains=["restaurant"]).max_turns == Dialogue(domains=("restaurant",)).max_turns == 10
