from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import textenvs.games.dialogue.pupil as pupils
from textenvs.games.dialogue.pupil import TURN_COST, Pupil, model
from textenvs.games.dialogue.tutor import _SUBJECTS, Tutor

CHAIN = Pupil((-1, 0), 0.35, 0.4, 0.3, 0.1, 0.2)
NONSENSE = "say explain or exercise and one skill, or test."
State = frozenset[int]
Weights = dict[State, float]


def start(pupil: Pupil, turns: int = 6, state: int = 0) -> Tutor:
    """A lesson in arithmetic for a pupil with this knowledge."""
    game = Tutor(len(pupil.needs), turns)
    game.reset(np.random.default_rng(0))
    game._subject, game._names = "arithmetic", tuple(_SUBJECTS["arithmetic"].split()[: game.skills])
    game._pupil, game._model, game._belief = pupil, model(pupil), model(pupil).start
    game._first = game._state = state
    return game


def first_weights(pupil: Pupil) -> Weights:
    """The probability of each set of skills, drawn skill by skill."""
    weights: Weights = {frozenset(): 1.0}
    for skill, need in enumerate(pupil.needs):
        after: Weights = {}
        for state, weight in weights.items():
            chance = pupil.known if need < 0 or need in state else 0.0
            for new, share in ((state | {skill}, chance), (state, 1 - chance)):
                if share:
                    after[new] = after.get(new, 0.0) + weight * share
        weights = after
    return weights


def outcomes(pupil: Pupil, weights: Weights, kind: str, skill: int) -> list[Weights]:
    """For each thing that may be seen, what is known then, times its probability."""
    seen: list[Weights] = []
    for solved in (True, False) if kind == "exercise" else (None,):
        after: Weights = {}
        for state, weight in weights.items():
            if solved is not None:
                chance = 1 - pupil.slip if skill in state else pupil.guess
                weight *= chance if solved else 1 - chance
            need = pupil.needs[skill]
            learns = (pupil.explain if solved is None else pupil.exercise) if need < 0 or need in state else 0.0
            for new, share in ((state | {skill}, learns), (state, 1 - learns)):
                after[new] = after.get(new, 0.0) + weight * share
        seen.append(after)
    return seen


def optimum(pupil: Pupil, weights: Weights, turns: int) -> float:
    """The best expected final score less the cost of the turns, by trying everything."""
    skills = len(pupil.needs)
    options = [sum(weight * len(state) / skills for state, weight in weights.items())]
    if turns:
        for kind, skill in itertools.product(("explain", "exercise"), range(skills)):
            ends = outcomes(pupil, weights, kind, skill)
            options.append(sum(optimum(pupil, end, turns - 1) - TURN_COST * sum(end.values()) for end in ends))
    return max(options)


def followed(pupil: Pupil, weights: Weights, turns: int) -> float:
    """The same for the expert."""
    score = sum(weight * len(state) / len(pupil.needs) for state, weight in weights.items())
    if not turns:
        return score
    game = start(pupil, turns)
    total = sum(weights.values())
    bits = [frozenset(s for s in range(game.skills) if state >> s & 1) for state in game._model.states]
    game._belief = np.array([weights.get(state, 0.0) / total for state in bits])
    said = game.expert_action()
    if said == "test":
        return score
    kind, name = said.split()
    ends = outcomes(pupil, weights, kind, game._names.index(name))
    return sum(followed(pupil, end, turns - 1) - TURN_COST * sum(end.values()) for end in ends)


@pytest.mark.parametrize(
    ("pupil", "turns"),
    [
        (Pupil((-1,), 0.3, 0.3, 0.3, 0.05, 0.1), 6),
        (Pupil((-1,), 0.5, 0.04, 0.03, 0.3, 0.3), 6),
        (CHAIN, 4),
        (Pupil((-1, -1), 0.5, 0.5, 0.2, 0.0, 0.0), 4),
        (Pupil((-1, 0, 0), 0.5, 0.3, 0.3, 0.05, 0.05), 3),
        (Pupil((-1, 0, 1), 0.2, 0.5, 0.1, 0.1, 0.25), 3),
    ],
)
def test_the_expert_is_optimal_on_few_skills(pupil: Pupil, turns: int) -> None:
    weights = first_weights(pupil)
    assert followed(pupil, weights, turns) == pytest.approx(optimum(pupil, weights, turns), abs=1e-9)


def test_the_script_for_many_skills_is_near_the_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pupils, "_MOST_NUMBERS", 0)
    gaps = []
    for pupil in (CHAIN, Pupil((-1, 0), 0.5, 0.3, 0.3, 0.05, 0.05), Pupil((-1, -1), 0.2, 0.4, 0.2, 0.1, 0.1)):
        weights = first_weights(pupil)
        gaps.append(optimum(pupil, weights, 4) - followed(pupil, weights, 4))
    assert all(-1e-9 < gap < 0.02 for gap in gaps)


@pytest.mark.parametrize("pupil", [CHAIN, Pupil((-1, 0, 0), 0.5, 0.3, 0.3, 0.05, 0.05)])
def test_the_pupil_is_and_learns_as_told(pupil: Pupil) -> None:
    draws, rng = 1000, np.random.default_rng(1)
    game = start(pupil)
    skills = range(game.skills)
    for state, skill in itertools.product((frozenset(), frozenset({0})), skills):
        known = sum(1 << each for each in state)
        for kind in ("explain", "exercise"):
            expected = outcomes(pupil, {state: 1.0}, kind, skill)
            learns = sum(weight for end in expected for after, weight in end.items() if skill in after)
            learned = unfailed = 0
            for _ in range(draws):
                game._rng, game._state, game._left, game._belief = rng, known, 9, model(pupil).start
                unfailed += "fails" not in game.step(f"{kind} {game._names[skill]}").text
                learned += game._state >> skill & 1
            assert abs(learned / draws - learns) < 4 * 0.5 / np.sqrt(draws)
            assert abs(unfailed / draws - sum(expected[0].values())) < 4 * 0.5 / np.sqrt(draws)


def test_first_knowledge_is_as_told() -> None:
    game, rng = Tutor(3), np.random.default_rng(2)
    surprise, draws = 0.0, 3000
    for _ in range(draws):
        game.reset(rng)
        weights = first_weights(game._pupil)
        surprise += game._first.bit_count() - sum(weight * len(state) for state, weight in weights.items())
    assert abs(surprise) < 4 * np.sqrt(draws)


def test_an_episode() -> None:
    game = start(CHAIN._replace(explain=1.0, exercise=0.0, slip=0.0, guess=0.0), turns=4)
    assert game.step("Exercise on counting") == ("the pupil fails counting.", -TURN_COST, False, {})
    assert game.step("teach it well") == (NONSENSE, -TURN_COST - 0.05, False, {})
    assert game.step("please explain counting!") == ("you explain counting.", -TURN_COST, False, {})
    end = "you explain adding. test: the pupil knows counting and adding, 2 of 2 skills; at first 0."
    assert game.step("teach adding") == (end, 1 - TURN_COST, True, {"success": True, "gain": 1.0})


def test_a_skill_is_not_learned_before_what_it_needs() -> None:
    game = start(CHAIN._replace(explain=1.0))
    game.step("explain adding")
    end = "test: the pupil knows nothing, 0 of 2 skills; at first 0."
    assert game.step("test") == (end, 0.0, True, {"success": False, "gain": 0.0})
    game = start(CHAIN, state=1)
    end = "test: the pupil knows counting, 1 of 2 skills; at first 1."
    assert game.step("finish the lesson").text == end


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("explain adding", ("explain", 1)),
        ("ADDING: show it", ("explain", 1)),
        ("Give a quiz on counting.", ("exercise", 0)),
        ("practice adding", ("exercise", 1)),
        ("test counting", ("exercise", 0)),
        ("exersise couting", ("exercise", 0)),
        ("final exam", ("test", 0)),
        ("there is no time left, so stop", ("test", 0)),
        ("don't test yet", ("", 0)),
        ("no test yet, please", ("", 0)),
        ("let's not stop here", ("", 0)),
        ("are we done?", ("", 0)),
        ("explain and practise adding", ("", 0)),
        ("explain counting and adding", ("", 0)),
        ("explain", ("", 0)),
        ("adding", ("", 0)),
        ("", ("", 0)),
    ],
)
def test_reading(said: str, meant: tuple[str, int]) -> None:
    assert start(CHAIN)._read(said) == meant


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_openings_and_actions(level: str) -> None:
    game, rng, instances = Tutor(**Tutor.levels[level]), np.random.default_rng(3), set()
    for _ in range(200):
        opening = game.reset(rng)
        instances.add(game.instance())
        assert len(opening.split()) < 110 and game.valid_actions()[-1] == "test"
        for i, action in enumerate(game.valid_actions()[:-1]):
            assert game._read(action) == ("explain" if i < game.skills else "exercise", i % game.skills)
        for skill, need in enumerate(game._pupil.needs):
            assert need < skill and (need < 0) == (f"{game._names[skill]} (needs" not in opening)
    assert len(instances) > 190


def test_the_expert_gives_a_lesson_after_mistakes() -> None:
    game, rng = Tutor(**Tutor.levels["hard"]), np.random.default_rng(4)
    gains = []
    for _ in range(25):
        game.reset(rng)
        for said in ("", f"exercise {game._names[-1]}", "explain"):
            turn = game.step(said)
        for _ in range(game.max_turns):
            turn = game.step(game.expert_action())
            assert game._belief.sum() == pytest.approx(1) and game._belief[game._model.states.index(game._state)] > 0
            if turn.terminated:
                break
        gains.append(turn.info["gain"])
    assert np.mean(gains) > 0.35


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start(CHAIN).step(text)
    assert turn.text and -0.1 < turn.reward <= 1


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"skills": 0}, "skills must be 1 to 5, not 0"),
        ({"skills": 6}, "skills must be 1 to 5, not 6"),
        ({"turns": 0}, "turns must be 1 to 100, not 0"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tutor(**knobs)


@pytest.mark.parametrize("level", ["easy", "medium"])
def test_the_search_is_exact_at_these_levels(level: str) -> None:
    game, rng = Tutor(**Tutor.levels[level]), np.random.default_rng(5)
    for _ in range(100):
        game.reset(rng)
        tree = len(game._belief) * len(game._model.steps) ** (game.max_turns - 1)
        assert tree <= pupils._MOST_NUMBERS
