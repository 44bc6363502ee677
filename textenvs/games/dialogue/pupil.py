"""A pupil whose knowledge is hidden, by Bayesian knowledge tracing with prerequisites, and how to teach one."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TURN_COST = 0.015
_MOST_NUMBERS = 500_000  # of the exact search; with more to compute the estimate comes in
_AHEAD = 2  # turns that are searched before the estimate


class Pupil(NamedTuple):
    """What is known of a pupil.

    Attributes:
        needs: for each skill the earlier one that it needs, or -1.
        known: probability that a skill is known at first, given that what it needs is known.
        explain: probability that an explanation teaches a skill whose need is known.
        exercise: the same for an exercise, after it was answered.
        slip: probability of failing an exercise on a known skill.
        guess: probability of solving an exercise on an unknown one.
    """

    needs: tuple[int, ...]
    known: float
    explain: float
    exercise: float
    slip: float
    guess: float


class Model(NamedTuple):
    """The pupil as a partially observable process over what it may know.

    Attributes:
        states: sets of known skills as bits; a skill is in one only with what it needs.
        start: probability of each state at first, shape ``(states,)``.
        score: share of the skills known in each state.
        steps: what a turn does to a row of probabilities, shape ``(3 * skills, states, states)``: for each skill an
            explanation, then a solved and a failed exercise, where the chance of the answer is multiplied in.
    """

    states: tuple[int, ...]
    start: Array
    score: Array
    steps: Array


@lru_cache(maxsize=256)
def model(pupil: Pupil) -> Model:
    """The process of a pupil."""
    skills = range(len(pupil.needs))
    states = tuple(state for state in range(1 << len(skills)) if all(_allowed(pupil, state, s) for s in skills))
    start = np.array([_prior(pupil, state) for state in states])
    score = np.array([state.bit_count() / len(skills) for state in states])
    steps = np.zeros((3 * len(skills), len(states), len(states)))
    for skill in skills:
        for i, state in enumerate(states):
            knows = bool(state >> skill & 1)
            solves = 1 - pupil.slip if knows else pupil.guess
            after = i if knows or not _allowed(pupil, state | 1 << skill, skill) else states.index(state | 1 << skill)
            for row, (chance, learns) in enumerate(
                ((1.0, pupil.explain), (solves, pupil.exercise), (1 - solves, pupil.exercise))
            ):
                steps[3 * skill + row, i, i] += chance * (1 - learns)
                steps[3 * skill + row, i, after] += chance * learns
    return Model(states, start, score, steps)


def plan(pupil: Pupil, belief: Array, turns: int) -> tuple[str, int]:
    """What to do with ``turns`` left: ``"explain"`` or ``"exercise"`` and the skill, or ``"test"`` and 0.

    Exact where the tree of all that may happen is small enough, else a search a few turns deep, beyond which
    explanations only are reckoned with. Of equally good ones the first, the test before all.
    """
    pupils = model(pupil)
    choices = len(pupils.steps)
    depth = turns
    if len(belief) * choices ** (turns - 1) > _MOST_NUMBERS:
        depth = _AHEAD
    values = _values(pupil, _after(pupils, belief[None]), depth - 1, turns - 1).reshape(-1, 3)
    options = [("test", 0, float(belief @ pupils.score) + TURN_COST * float(belief.sum()))]
    for skill, (explained, solved, failed) in enumerate(values):
        options += [("explain", skill, float(explained)), ("exercise", skill, float(solved + failed))]
    best = max(value for *_, value in options)
    return next((kind, skill) for kind, skill, value in options if value > best - 1e-12)


def _values(pupil: Pupil, rows: Array, depth: int, turns: int) -> Array:
    """The value of each unnormalised belief: the expected final score less the cost of the turns, times its mass."""
    pupils = model(pupil)
    if depth == 0 < turns:
        return _estimate(pupil, rows, turns)
    stop = np.asarray(rows @ pupils.score)
    if turns == 0:
        return stop
    if depth == 1 == turns:
        after = rows @ (pupils.steps @ pupils.score).T
    else:
        children = _after(pupils, rows)
        after = _values(pupil, children, depth - 1, turns - 1)
    after = after.reshape(len(rows), -1, 3)
    best = np.maximum(after[..., 0], after[..., 1] + after[..., 2]).max(-1)
    return np.maximum(stop, best - TURN_COST * rows.sum(-1))


def _after(pupils: Model, rows: Array) -> Array:
    """What each row of probabilities may become, by all steps in order: shape ``(rows * steps, states)``."""
    count, states, _ = pupils.steps.shape
    return np.asarray(rows @ pupils.steps.transpose(1, 0, 2).reshape(states, count * states)).reshape(-1, states)


def _estimate(pupil: Pupil, rows: Array, turns: int) -> Array:
    """The value of going on with the explanation that teaches most, as long as it is worth its cost."""
    pupils = model(pupil)
    explained = pupils.steps[::3]
    gains = ((explained - np.eye(len(pupils.score))) @ pupils.score).T
    mass, rows = rows.sum(-1), rows.copy()
    paid = np.zeros(len(rows))
    for _ in range(turns):
        gain = rows @ gains
        skill = gain.argmax(-1)
        going = gain.max(-1) > TURN_COST * mass
        if not going.any():
            break
        paid += TURN_COST * mass * going
        for each in range(len(explained)):
            chosen = going & (skill == each)
            rows[chosen] = rows[chosen] @ explained[each]
    return np.asarray(rows @ pupils.score - paid)


def _allowed(pupil: Pupil, state: int, skill: int) -> bool:
    """Whether a state in which the skill is known has what it needs."""
    need = pupil.needs[skill]
    return need < 0 or not state >> skill & 1 or bool(state >> need & 1)


def _prior(pupil: Pupil, state: int) -> float:
    chance = 1.0
    for skill, need in enumerate(pupil.needs):
        if need < 0 or state >> need & 1:
            chance *= pupil.known if state >> skill & 1 else 1 - pupil.known
    return chance
