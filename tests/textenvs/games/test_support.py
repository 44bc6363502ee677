from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.dialogue.faults import NO, UNASKED, YES, Known, Problem, best
from textenvs.games.dialogue.support import Support, _devices

MISUNDERSTOOD: tuple[str, float, bool, dict[str, Any]] = ("customer: what do you mean?", -0.1, False, {})


def start(problem: Problem, cause: int = 0, wrong: tuple[int, ...] = (), turns: int | None = None) -> Support:
    """A printer with as many causes and checks, of which ``wrong`` are answered wrongly."""
    game = Support(len(problem.priors), len(problem.signs), problem.noise)
    game.reset(np.random.default_rng(0))
    game._device = _devices()[0]
    causes = list(game._device["fixes"])[: game.causes - 1]
    game._causes = (*causes, game._device["defect"])
    game._fixes = (*(game._device["fixes"][each] for each in causes), "send a technician")
    game._checks = tuple(game._device["checks"])[: game.checks]
    game._problem, game._cause = problem, cause
    game._answers = [signs[cause] != (i in wrong) for i, signs in enumerate(problem.signs)]
    game._turns = game.max_turns if turns is None else turns
    return game


def played(problem: Problem, turns: int) -> float:
    """The expert's expected return, from all causes and all wrong answers, played out in the game."""
    total = 0.0
    checks = range(len(problem.signs))
    for cause, flips in itertools.product(range(len(problem.priors)), itertools.product((0, 1), repeat=len(checks))):
        chance = problem.priors[cause] * float(
            np.prod([problem.noise if flip else 1 - problem.noise for flip in flips])
        )
        if chance:
            game = start(problem, cause, tuple(i for i in checks if flips[i]), turns)
            for _ in range(turns):
                turn = game.step(game.expert_action())
                total += chance * turn.reward
                if turn.terminated:
                    break
    return total


def optimum(problem: Problem, turns: int) -> float:
    """The best expected return of ``turns``, by trying everything on normalised beliefs."""
    causes = len(problem.priors)

    @cache
    def value(belief: tuple[float, ...], asked: frozenset[int], tried: frozenset[int], left: int) -> float:
        if not left:
            return 0.0
        options = [value(belief, asked, tried, left - 1) - 0.1]  # to say nothing of use
        for check, signs in enumerate(problem.signs):
            if check not in asked:
                expected = -0.02
                for said in (True, False):
                    joint = [
                        p * (1 - problem.noise if sign == said else problem.noise)
                        for p, sign in zip(belief, signs, strict=True)
                    ]
                    if sum(joint):
                        after = tuple(p / sum(joint) for p in joint)
                        expected += sum(joint) * value(after, asked | {check}, tried, left - 1)
                options.append(expected)
        for cause in set(range(causes - 1)) - tried:
            chance = belief[cause]
            expected = chance - 0.2
            if chance < 1:
                after = tuple(0.0 if i == cause else p / (1 - chance) for i, p in enumerate(belief))
                expected += (1 - chance) * value(after, asked, tried | {cause}, left - 1)
            options.append(expected)
        options.append(belief[-1] - 0.5 * (1 - belief[-1]) - 0.2)
        return max(options)

    return value(problem.priors, frozenset(), frozenset(), turns)


@pytest.mark.parametrize(
    ("priors", "signs", "noise", "turns"),
    [
        ((0.6, 0.3, 0.1), ("100",), 0.0, 7),
        ((0.5, 0.3, 0.2), ("100", "011"), 0.1, 9),
        ((0.5, 0.3, 0.2), ("100", "011"), 0.1, 2),
        ((0.45, 0.45, 0.1), ("010", "110"), 0.3, 1),
        ((0.3, 0.3, 0.3, 0.1), ("1100", "1010"), 0.0, 10),
        ((0.4, 0.3, 0.2, 0.1), ("1100", "0110", "0001"), 0.15, 6),
        ((0.25, 0.25, 0.25, 0.2, 0.05), ("11000", "10100"), 0.05, 5),
    ],
)
def test_the_expert_is_optimal(priors: tuple[float, ...], signs: tuple[str, ...], noise: float, turns: int) -> None:
    problem = Problem(priors, tuple(tuple(sign == "1" for sign in row) for row in signs), noise)
    assert played(problem, turns) == pytest.approx(optimum(problem, turns), abs=1e-9)


SIGNS = ((True, True, False, False, True), (False, False, True, True, False))
FIVE = Problem((0.4, 0.3, 0.1, 0.1, 0.1), SIGNS, 0.05)


def test_an_episode() -> None:
    game = start(FIVE, cause=1)
    assert game.step("is the red light on?") == ("customer: yes.", -0.02, False, {})
    assert game.step("Is that red light on?") == ("customer: yes, as i said.", -0.1, False, {})
    assert game.step("good morning") == MISUNDERSTOOD
    assert game.step("clear the paper path") == ("customer: done, but it still does not print.", -0.2, False, {})
    assert game.expert_action() == "change the cartridge"
    assert game.step("change the cartridge") == ("customer: it works now, thank you.", 0.8, True, {"success": True})


def test_the_technician() -> None:
    turn = start(FIVE, cause=4).step("escalate")
    assert turn == ("the technician repairs the broken motor.", 0.8, True, {"success": True})
    turn = start(FIVE, cause=0).step("Send a technician, please.")
    assert turn == ("the technician only finds: paper jam. a needless visit.", -0.7, True, {"success": False})


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("does a test page come out?", ("check", 1)),
        ("Could you tell me: is the RED light on", ("check", 0)),
        ("does a test pge come out", ("check", 1)),
        ("please clear the paper path", ("fix", 0)),
        ("fix the paper jam", ("fix", 0)),
        ("is it a paper jam?", ("", 0)),
        ("change the cartrige", ("fix", 1)),
        ("we need an engineer", ("fix", 4)),
        ("it does not work, so send a technician", ("fix", 4)),
        ("do you want a technician?", ("", 0)),
        ("don't send a technician yet", ("", 0)),
        ("is a technishan needed?", ("", 0)),
        ("no technician", ("", 0)),
        ("the red light, is it on?", ("check", 0)),
        ("mend the empty ink", ("fix", 1)),
        ("is the red light on, and does a test page come out?", ("", 0)),
        ("update the driver", ("fix", 2)),
        ("printer", ("", 0)),
        ("", ("", 0)),
    ],
)
def test_reading(said: str, meant: tuple[str, int]) -> None:
    assert start(FIVE)._read(said) == meant


def test_shipped_texts_are_read_as_what_they_are() -> None:
    for level in Support.levels.values():
        game, rng, instances = Support(**level), np.random.default_rng(0), set()
        for _ in range(150):
            opening = game.reset(rng)
            instances.add(game.instance())
            assert len(opening.split()) < 165 and len(game.valid_actions()) == game.max_choices
            assert [game._read(check) for check in game._checks] == [("check", i) for i in range(game.checks)]
            assert [game._read(fix) for fix in game._fixes] == [("fix", i) for i in range(game.causes)]
            assert [game._read(f"mend {cause}") for cause in game._causes] == [("fix", i) for i in range(game.causes)]
            assert all(0 < sum(signs) < game.causes for signs in game._problem.signs)
            assert sum(game._problem.priors) == pytest.approx(1) and 0.05 <= game._problem.priors[-1] <= 0.15
        assert len(instances) == 150
    for device in _devices():
        assert len(device["fixes"]) == len(device["checks"]) == 6
        assert all({*yes} <= {*device["fixes"], device["defect"]} for yes in device["checks"].values())


def test_causes_and_wrong_answers_are_as_often_as_told() -> None:
    game, rng, draws = Support(noise=0.2), np.random.default_rng(1), 4000
    surprise, wrong = 0.0, 0
    for _ in range(draws):
        game.reset(rng)
        surprise += (game._cause == 0) - game._problem.priors[0]
        right = [signs[game._cause] for signs in game._problem.signs]
        wrong += sum(a != b for a, b in zip(right, game._answers, strict=True))
    assert abs(surprise) < 3 * 0.5 * np.sqrt(draws)
    assert abs(wrong / draws / 4 - 0.2) < 4 * 0.4 / np.sqrt(4 * draws)


def test_the_expert_comes_to_an_end_after_mistakes() -> None:
    game, rng, mended = Support(**Support.levels["hard"]), np.random.default_rng(2), 0
    for _ in range(40):
        game.reset(rng)
        turns = 0
        for mistake in ("", game._checks[0], game._checks[0], game._fixes[0]):
            turns += 1
            turn = game.step(mistake)
            if turn.terminated:
                break
        while not turn.terminated:
            turns += 1
            turn = game.step(game.expert_action())
        mended += turn.info["success"]
        assert turns <= game.max_turns
    assert mended > 35


def test_what_is_certain_is_done_at_once() -> None:
    signs = ((True, False, False), (False, True, False))
    problem = Problem((0.4, 0.4, 0.2), signs, 0.0)
    assert best(problem, Known((YES, NO), (False, False)), 9) == ("fix", 0)
    assert best(problem, Known((NO, NO), (False, False)), 9) == ("fix", 2)
    assert best(problem, Known((UNASKED, UNASKED), (True, True)), 9) == ("fix", 2)


def test_all_sizes_can_be_drawn() -> None:
    for causes, checks in itertools.product(range(3, 8), range(1, 7)):
        game = Support(causes, checks, noise=0.25)
        assert "answers are wrong in 25% of the checks" in game.reset(np.random.default_rng(0))
        assert len({*game.valid_actions()}) == causes + checks == game.max_choices


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start(FIVE).step(text)
    assert turn.text and turn.reward in (-0.1, -0.02, -0.2, -0.7, 0.8)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"causes": 2}, "causes must be 3 to 7, not 2"),
        ({"causes": 8}, "causes must be 3 to 7, not 8"),
        ({"checks": 0}, "checks must be 1 to 6, not 0"),
        ({"noise": 0.5}, "noise must be at least 0 and below 0.5, not 0.5"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Support(**knobs)
