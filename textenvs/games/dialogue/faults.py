"""Finding a fault at least cost: a small partially observable decision problem, solved exactly."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CHECK_COST = 0.02
FIX_COST = 0.2
IDLE_COST = 0.1
NEEDLESS_VISIT = 0.5
UNASKED, YES, NO = 0, 1, 2


class Problem(NamedTuple):
    """What is known before anything is asked; the last cause is the defect that needs a technician.

    Attributes:
        priors: probability of each cause.
        signs: for each check, for each cause whether the right answer is yes.
        noise: probability that the answer to a check is wrong, which it then always is.
    """

    priors: tuple[float, ...]
    signs: tuple[tuple[bool, ...], ...]
    noise: float


class Known(NamedTuple):
    """What has been found out.

    Attributes:
        answers: for each check ``UNASKED``, ``YES`` or ``NO``.
        tried: for each cause but the last whether its fix was tried in vain.
    """

    answers: tuple[int, ...]
    tried: tuple[bool, ...]


def best(problem: Problem, known: Known, turns: int) -> tuple[str, int]:
    """What to do next with ``turns`` left, by expected return: ``"check"`` or ``"fix"``, and its number.

    The fix of the last cause is the technician. Of equally good ones the first, checks before fixes.
    """
    solved = _solve(problem)
    after = solved.values[min(turns - 1, len(solved.values) - 1)]
    mass = solved.mass
    at = tuple(int(each) for each in (*known.answers, *known.tried))
    options: list[tuple[float, str, int]] = []
    for check, answer in enumerate(known.answers):
        if answer == UNASKED:
            then = float(after[_put(at, check, YES)] + after[_put(at, check, NO)])
            options.append((then - CHECK_COST * mass[at].sum(), "check", check))
        else:
            options.append((float(after[at]) - IDLE_COST * mass[at].sum(), "check", check))
    for cause, tried in enumerate(known.tried):
        if not tried:
            then = float(after[_put(at, len(known.answers) + cause, 1)])
            options.append((then + mass[at][cause] - FIX_COST * mass[at].sum(), "fix", cause))
    options.append((float(_visit(mass[at])), "fix", len(known.tried)))
    value = max(option[0] for option in options)
    return next(option[1:] for option in options if option[0] > value - 1e-12)


class _Solution(NamedTuple):
    """For each state (an axis for each check and each cause but the last) what is to be known of it.

    Attributes:
        mass: prior probability of the state together with each cause, shape ``(3, ..., 2, ..., causes)``.
        values: for each number of turns left the expected return times the probability of the state.
    """

    mass: NDArray[np.float64]
    values: list[NDArray[np.float64]]


@lru_cache(maxsize=64)
def _solve(problem: Problem) -> _Solution:
    """Backward induction over the turns left; more of them than there are checks and fixes change nothing."""
    causes, checks = len(problem.priors), len(problem.signs)
    mass = np.ones((3,) * checks + (2,) * (causes - 1) + (causes,)) * problem.priors
    for axis, signs in enumerate(problem.signs):
        yes = np.where(signs, 1 - problem.noise, problem.noise)
        mass *= _along(np.stack([np.ones(causes), yes, 1 - yes]), axis, mass.ndim)
    for cause in range(causes - 1):
        left = np.ones((2, causes))
        left[1, cause] = 0.0
        mass *= _along(left, checks + cause, mass.ndim)
    total = mass.sum(-1)
    values = [np.zeros(total.shape)]
    for _ in range(checks + causes):
        after = values[-1]
        value = np.maximum(after - IDLE_COST * total, _visit(mass))
        for axis in range(total.ndim):
            before, one, other = (_put((slice(None),) * total.ndim, axis, index) for index in (0, 1, -1))
            if axis < checks:
                option = after[one] + after[other] - CHECK_COST * total[before]
            else:
                option = after[one] + mass[before][..., axis - checks] - FIX_COST * total[before]
            value[before] = np.maximum(value[before], option)
        values.append(value)
    return _Solution(mass, values)


def _visit(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """The return of a technician's visit, times the probability of the state."""
    return np.asarray(mass[..., -1] * (1 + NEEDLESS_VISIT) - (NEEDLESS_VISIT + FIX_COST) * mass.sum(-1))


def _along(table: NDArray[np.float64], axis: int, dimensions: int) -> NDArray[np.float64]:
    """A table of index and cause as an array that broadcasts along ``axis`` and the last one."""
    shape = [1] * dimensions
    shape[axis], shape[-1] = table.shape
    return table.reshape(shape)


def _put(at: tuple, axis: int, index: int) -> tuple:  # type: ignore[type-arg]
    return (*at[:axis], index, *at[axis + 1 :])
