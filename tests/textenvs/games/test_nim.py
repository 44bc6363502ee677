from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.board import nim
from textenvs.games.board.nim import Nim

Heaps = tuple[int, ...]


class Scripted:
    """In place of a generator: the opponent makes these moves, which its policy must admit."""

    def __init__(self, game: Nim, *replies: str) -> None:
        self.game, self.replies = game, list(replies)

    def choice(self, count: int, p: list[float]) -> int:
        valid = self.game.valid_actions()
        move = valid.index(self.replies.pop(0))
        assert len(valid) == count == len(p) and p[move] > 0
        return move


def start(heaps: Heaps, *replies: str, **knobs: Any) -> Nim:
    """A game from these heaps against an opponent who makes these moves."""
    game = Nim(**{"heaps": len(heaps), "opponent": "random", **knobs})
    game.reset(np.random.default_rng(0))
    game._heaps, game._rng = heaps, Scripted(game, *replies)  # type: ignore[assignment]
    return game


def successors(heaps: Heaps) -> list[Heaps]:
    return [(*heaps[:i], left, *heaps[i + 1 :]) for i, stones in enumerate(heaps) for left in range(stones - 1, -1, -1)]


@cache
def wins(heaps: Heaps, misere: bool) -> bool:
    """Whether the mover can force a win, by plain search."""
    if not any(heaps):
        return misere  # the one who moved last took the last stone
    return any(not wins(after, misere) for after in successors(heaps))


@cache
def expected(heaps: Heaps, misere: bool, skill: float, best: bool) -> float:
    """The mover's expected result against such an opponent, with the best moves or with the expert's."""
    if not any(heaps):
        return 1.0 if misere else -1.0
    chosen = successors(heaps)
    if not best:
        game = start(heaps, misere=misere, opponent=skill)
        chosen = [chosen[game.valid_actions().index(game.expert_action())]]
    return max(replied(after, misere, skill, best) for after in chosen)


@cache
def replied(heaps: Heaps, misere: bool, skill: float, best: bool) -> float:
    if not any(heaps):
        return -1.0 if misere else 1.0
    replies = successors(heaps)
    keeping = [after for after in replies if not wins(after, misere)] or replies
    return sum(
        ((1 - skill) / len(replies) + skill * (after in keeping) / len(keeping)) * expected(after, misere, skill, best)
        for after in replies
    )


@pytest.mark.parametrize("misere", [False, True])
def test_the_nim_sum_agrees_with_plain_search(misere: bool) -> None:
    starts = [*itertools.product(range(7), repeat=3), *itertools.product(range(4), repeat=4)]
    for heaps in starts:
        assert nim.won(heaps, misere) == wins(heaps, misere)


@pytest.mark.parametrize("misere", [False, True])
@pytest.mark.parametrize("skill", [0.0, 0.6, 1.0])
def test_no_player_has_a_better_expected_result_than_the_expert_from_any_position(skill: float, misere: bool) -> None:
    lost = 0
    for heaps in itertools.product(range(5), repeat=3):
        if any(heaps):
            ours, theirs = (expected(heaps, misere, skill, best) for best in (False, True))
            assert ours == pytest.approx(theirs)
            lost += theirs < 1
            assert wins(heaps, misere) <= (theirs == pytest.approx(1))
    assert lost > 15


@pytest.mark.parametrize("level", Nim.levels)
def test_every_start_is_won(level: str) -> None:
    game, rng, starts = Nim(**Nim.levels[level]), np.random.default_rng(0), set()
    for _ in range(1000):
        game.reset(rng)
        assert wins(tuple(sorted(game._heaps)), game.misere)
        starts.add(game.instance())
        assert len(game.valid_actions()) <= game.max_choices
    every = itertools.product(range(1, game.most + 1), repeat=game.heaps)
    count = sum(wins(tuple(sorted(heaps)), game.misere) for heaps in every)
    assert count == {"easy": 113, "medium": 301, "hard": 2101}[level]  # as the page says
    assert len(starts) > count * 0.35


def test_the_opponent_moves_by_its_policy() -> None:
    assert nim.policy((1, 3), False, 0.6) == pytest.approx([0.1, 0.1, 0.7, 0.1])
    assert nim.policy((1, 3), True, 0.6) == pytest.approx([0.1, 0.1, 0.1, 0.7])
    assert nim.policy((1, 2, 3), False, 0.6) == pytest.approx([1 / 6] * 6)  # lost: any move
    game, counts, draws = Nim(heaps=2, opponent=0.6), np.zeros(4), 2000
    game._rng = np.random.default_rng(0)
    for _ in range(draws):
        game._heaps = (1, 3)
        counts[nim.moves((1, 3)).index(game._reply())] += 1
    assert abs(counts / draws - [0.1, 0.1, 0.7, 0.1]).max() < 0.04


def test_a_win() -> None:
    game = start((3, 0, 2), "take 1 green", "take 1 green")
    assert game.valid_actions() == ["take 1 red", "take 2 red", "take 3 red", "take 1 green", "take 2 green"]
    assert game.step("take 1 blue") == ("say how many stones of which colour: red, green.", -0.1, False, {})
    assert game.step("take 4 red") == ("say how many red stones, 1 to 3.", -0.1, False, {})
    assert game.expert_action() == "take 1 red"
    assert game.step("take 1 red") == ("i take 1 green: red 2, green 1.", 0.0, False, {})
    assert game.step("take 1 red") == ("i take 1 green: red 1.", 0.0, False, {})
    assert game.step("one red") == ("you take the last stone, you win.", 1.0, True, {"success": True})


def test_a_loss() -> None:
    game = start((2, 2), "take 2 blue")
    assert game.step("take all red") == ("i take 2 blue, the last stones. you lose.", -1.0, True, {"success": False})


def test_misere() -> None:
    opening = Nim(misere=True).reset(np.random.default_rng(0))
    assert opening.endswith("who takes the last stone of all loses. you begin.")
    game = start((2, 1), "take 1 blue", misere=True)
    assert game.expert_action() == "take 2 red"
    assert game.step("take 2 red") == ("i take 1 blue, the last stone. you win.", 1.0, True, {"success": True})
    game = start((2, 0), misere=True)
    assert game.step("both").reward == -0.1
    assert game.step("take 2 red") == ("you take the last stone, you lose.", -1.0, True, {"success": False})


@pytest.mark.parametrize("level", Nim.levels)
def test_to_stall_costs_more_than_to_lose(level: str) -> None:
    game = Nim(**Nim.levels[level])
    longest = (game.heaps * game.most + 1) // 2
    game.reset(np.random.default_rng(0))
    assert sum(game.step("i resign").reward for _ in range(game.max_turns - longest)) < -1


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("take 2 red", (1, 3, 4)),
        ("RED: 2!", (1, 3, 4)),
        ("I'd like to take two stones from the red heap.", (1, 3, 4)),
        ("three of the green ones", (3, 3, 1)),
        ("two of the green one", (3, 3, 2)),
        ("one blue stone", (3, 2, 4)),
        ("all the blue stones", (3, 0, 4)),
        ("all 3 blue", (3, 0, 4)),
        ("take the whole gren heap", (3, 3, 0)),
        ("all but one blue", None),
        ("take 2 or 3 red", None),
        ("take 0 red", None),
        ("take 4 red", None),
        ("take -1 red", None),
        ("take 2 red and 1 blue", None),
        ("take 1 white", None),
        ("red", None),
        ("2", None),
        ("", None),
    ],
)
def test_what_is_understood(text: str, left: Heaps | None) -> None:
    game = start((3, 3, 4))
    game._reply = lambda: (0, 0)  # type: ignore[method-assign]
    turn = game.step(text)
    assert game._heaps == (left or (3, 3, 4))
    assert turn.reward == (0.0 if left else -0.1)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    game = Nim()
    game.reset(np.random.default_rng(0))
    assert game.step(text).text


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"heaps": 1}, "heaps must be 2 to 5, not 1"),
        ({"most": 11}, "most must be 2 to 10, not 11"),
        ({"misere": "yes"}, "misere must be True or False, not 'yes'"),
        ({"opponent": "strong"}, "opponent must be 'random' or 'perfect', or the probability"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Nim(**knobs)
