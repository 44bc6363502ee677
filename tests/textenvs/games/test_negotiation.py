from __future__ import annotations

import copy
from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.dialogue.division import read
from textenvs.games.dialogue.negotiation import Negotiation
from textenvs.games.dialogue.partners import PARTNERS, Plan, pools

POOL = (3, 1, 2)
WORDS = ("i", "you", "take", "give", "the", "2", "3", "books", "hat", "balls", "all", "rest", "not", "no", "for")


def start(partner: str = "firm", patience: int = 8, values: tuple[Any, ...] | None = None) -> Negotiation:
    """An episode with a pool and both sides' values as given."""
    game = Negotiation(partner, patience=patience)
    game.reset(np.random.default_rng(0))
    pool, own, theirs = values or ((2, 1, 3), (2, 0, 2), (1, 2, 2))
    game._pool, game._plan = pool, Plan(pool, own, theirs, PARTNERS[partner])
    game._best = game._plan.value(patience, PARTNERS[partner].opening, 0)
    return game


def most_by_trying(game: Negotiation) -> float:
    """The best return over all sequences of admissible utterances, by playing them."""
    best = 0.0
    for action in game.valid_actions():
        after = copy.copy(game)
        turn = after.step(action)
        best = max(best, turn.reward if turn.terminated else most_by_trying(after))
    return best


def test_an_episode() -> None:
    game = start()
    assert game._counter() == "i take 1 book, 1 hat and 3 balls, you get 1 book."
    assert game.step("i want 2 books and 2 balls") == (
        "no. i take 1 book and 3 balls, you get 1 book and 1 hat.",
        0.0,
        False,
        {},
    )
    assert game.step("hm") == ("say what you take, or deal.", -0.05, False, {})
    assert game.step("4 hats") == ("there is only 1 hat.", -0.05, False, {})
    assert game.step("no!").text == "no. i take 1 book and 3 balls, you get 1 book and 1 hat."
    assert game.step("the books for me, the rest for you").text == "deal. you have 4 points, i have 8."
    turn = start().step("ok")
    assert turn.text == "deal. you have 2 points, i have 9."
    assert turn.reward == pytest.approx(2 / 6) and turn.terminated
    assert turn.info == {"success": False, "agreed": True, "points": 2, "partner_points": 9}
    assert start().step("i walk away")[:3] == ("no deal. goodbye.", 0.0, True)


def test_the_partner_leaves_when_its_time_is_up() -> None:
    game = start(patience=2)
    assert game.step("everything").text.endswith("you get 1 book. this is your last turn.")
    turn = game.step("everything")
    assert turn[:3] == ("no. i have no more time. no deal.", 0.0, True) and not turn.info["agreed"]


@pytest.mark.parametrize(
    ("partner", "proposals", "demands"),
    [
        ("fair", ["everything", "everything", "1 book for you", "1 ball for you"], [7, 6, 5, 4]),
        ("firm", ["everything", "1 book for you", "i keep the balls", "i keep the balls"], [9, 8, 6, 6]),
        ("greedy", ["everything", "1 ball for you", "i keep the balls", "what?"], [10, 9, 8, 8]),
    ],
)
def test_how_partners_give_way(partner: str, proposals: list[str], demands: list[int]) -> None:
    game, seen = start(partner), []
    for said in proposals:
        game.step(said)
        seen.append(game._demand)
    assert seen == demands


@pytest.mark.parametrize(
    ("said", "split"),
    [
        ("i take two books and the hat", (2, 1, 0)),
        ("You get the balls.", (3, 1, 0)),
        ("I'll take the hat, you can have the rest", (0, 1, 0)),
        ("i can give you the ball and one book", (2, 1, 1)),
        ("i give you the hat and keep the balls and the books", (3, 0, 2)),
        ("give me the balls and keep the books and the hat", (0, 0, 2)),
        ("the hat for me and the rest for you", (0, 1, 0)),
        ("books for me, hat and balls for you", (3, 0, 0)),
        ("for me the books and for you the balls and the hat", (3, 0, 0)),
        ("the books are mine and the rest is yours", (3, 0, 0)),
        ("i don't want the hat", (3, 0, 2)),
        ("i do not want to give you the hat", (0, 1, 0)),
        ("everything but one book", (2, 1, 2)),
        ("You take everything!", (0, 0, 0)),
        ("i want nothing", (0, 0, 0)),
        ("all three books and both balls", (3, 0, 2)),
        ("one of each for me", (1, 1, 1)),
        ("half the balls", (0, 0, 1)),
        ("book=2 hat=1 ball=0", (2, 1, 0)),
        ("how about you take the books, i take the rest", (0, 1, 2)),
        ("no i need the balls and you can take the rest", (0, 0, 2)),
        ("i can't make a deal without the hat", (0, 1, 0)),
        ("you can have the hat if i get the balls and the books", (3, 0, 2)),
        ("i'd like to keep my hat and you take what's left", (0, 1, 0)),
    ],
)
def test_reading_proposals(said: str, split: tuple[int, ...]) -> None:
    assert read(said, POOL) == ("propose", split, "")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Deal!", "accept"),
        ("ok, sounds good", "accept"),
        ("no problem, deal", "accept"),
        ("why not", "accept"),
        ("no deal", "refuse"),
        ("i can't accept that", "refuse"),
        ("what do you want?", "refuse"),
        ("that is too little", "refuse"),
        ("good evening, what do you want?", "refuse"),
        ("ok, what works for you?", "refuse"),
        ("are you sure?", "refuse"),
        ("let us find a fair deal", "refuse"),
        ("please don't leave", "refuse"),
        ("i do not want to walk away", "refuse"),
        ("will you leave after 8 turns?", "refuse"),
        ("don't go on, i leave", "leave"),
        ("if you don't agree i walk away", "leave"),
        ("good morning, deal", "accept"),
        ("deal! are you happy?", "accept"),
        ("do we have a deal?", "accept"),
        ("let's make this deal", "accept"),
        ("goodbye, i'm out", "leave"),
        ("i walk away", "leave"),
        ("lorem ipsum", "unknown"),
        ("i take 4 books", "unknown"),
        ("i take the hat, you take the balls", "unknown"),
        ("i take 2 books, you take 2 books", "unknown"),
        ("half the books", "unknown"),
    ],
)
def test_reading_the_rest(said: str, kind: str) -> None:
    assert read(said, POOL)[:2] == (kind, None)


@pytest.mark.parametrize("pool", pools(7))
def test_every_listed_proposal_is_read_as_what_it_says(pool: tuple[int, ...]) -> None:
    game = start(values=(pool, *(next(v for v in values(pool)),) * 2))
    splits = [read(said, pool).split or () for said in game.valid_actions()[1:-1]]
    assert sorted([*splits, game._standing()]) == list(product(*(range(most + 1) for most in pool)))
    for split in splits:
        yours = tuple(most - n for most, n in zip(pool, split, strict=True))
        counter = f"you get {game_spell(yours)}, i take {game_spell(split)}"
        assert read(counter, pool).split == split


def values(pool: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [v for v in product(range(11), repeat=3) if np.dot(pool, v) == 10]


def game_spell(split: tuple[int, ...]) -> str:
    return " ".join(f"{n} {name}" for n, name in zip(split, ("books", "hats", "balls"), strict=True))


def pareto(game: Negotiation, own: int, theirs: int) -> bool:
    plan = game._plan
    for split in product(*(range(most + 1) for most in game._pool)):
        mine = int(np.dot(split, plan.own))
        yours = 10 - int(np.dot(split, plan.theirs))
        if mine >= own and yours >= theirs and (mine, yours) != (own, theirs):
            return False
    return True


@pytest.mark.parametrize("partner", PARTNERS)
def test_the_expert_gets_the_most_of_all_sequences_of_utterances(partner: str) -> None:
    for seed in range(3):
        game = Negotiation(partner, items=5, patience=3)
        game.reset(np.random.default_rng(seed))
        assert most_by_trying(game) == 1.0
        game.step(game.valid_actions()[3 + seed])  # also after a mistake
        best, total, done = most_by_trying(game), 0.0, False
        while not done:
            turn = game.step(game.expert_action())
            total, done = total + turn.reward, turn.terminated
        assert total == best


@pytest.mark.parametrize("level", Negotiation.levels)
def test_expert_deals_are_the_best_and_pareto_optimal(level: str) -> None:
    game, rng, seen, kinds = Negotiation(**Negotiation.levels[level]), np.random.default_rng(1), [], Counter[str]()
    for episode in range(1000):
        opening = game.reset(rng)
        plan, pool = game._plan, game._pool
        seen.append(game.instance())
        kinds[game._kind] += 1
        assert np.dot(pool, plan.own) == np.dot(pool, plan.theirs) == 10 and sum(pool) <= game.items
        assert all(a or b for a, b in zip(plan.own, plan.theirs, strict=True))
        assert len(opening.split()) < 80 and len(game.valid_actions()) <= 31
        if episode % 4:
            continue
        turn = game.step("hello")
        while not turn.terminated:
            turn = game.step(game.expert_action())
        if game.patience == 5:
            continue  # the lost turn may have cost points
        assert turn.info["agreed"] and pareto(game, turn.info["points"], turn.info["partner_points"])
    assert len(set(seen)) > 700
    assert level == "easy" or min(kinds.values()) > 250


def test_the_expert_always_gets_all_there_is() -> None:
    game, rng = Negotiation(items=7, patience=5), np.random.default_rng(2)
    for _ in range(200):
        game.reset(rng)
        turn = game.step(game.expert_action())
        while not turn.terminated:
            turn = game.step(game.expert_action())
        assert turn.reward == 1.0 and turn.info["success"]
        assert pareto(game, turn.info["points"], turn.info["partner_points"])


@given(st.text() | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and -0.05 <= turn.reward <= 1


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"partner": "kind"}, "partner must be 'fair', 'firm', 'greedy' or 'any', not 'kind'"),
        ({"items": 4}, "items must be 5 to 7, not 4"),
        ({"items": 8}, "items must be 5 to 7, not 8"),
        ({"patience": 0}, "patience must be 1 to 12, not 0"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Negotiation(**knobs)
