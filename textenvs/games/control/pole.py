"""The pole of ``cart_pole``: its dynamics, and a controller that acts on what it is told."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

FARTHEST = 2.4  # metres from the middle
STEEPEST = math.radians(12)
STEP = 0.02  # seconds
_FORCE, _GRAVITY, _CART, _POLE, _HALF_LENGTH = 10.0, 9.8, 1.0, 0.1, 0.5  # newtons, m/s^2, kg, kg, metres
_COSTS = np.diag((0.1, 0.1, 100.0, 1.0))  # of the squares of a state
_PUSH_COST = 1.0
_SWAY = np.diag((1e-6, 1e-4, 1e-6, 1e-3))  # variance that the linear model of a push leaves out

State = tuple[float, float, float, float]  # metres right of the middle, m/s, radians right of upright, rad/s


def advance(state: State, push: float) -> State:
    """One step of ``STEP`` seconds: explicit Euler; ``push`` is 1 to the right and -1 to the left."""
    position, speed, angle, spin = state
    mass, moment = _CART + _POLE, _POLE * _HALF_LENGTH
    sine, cosine = math.sin(angle), math.cos(angle)
    drive = (_FORCE * push + moment * spin**2 * sine) / mass
    turning = (_GRAVITY * sine - cosine * drive) / (_HALF_LENGTH * (4 / 3 - _POLE * cosine**2 / mass))
    gain = drive - moment * turning * cosine / mass
    return position + STEP * speed, speed + STEP * gain, angle + STEP * spin, spin + STEP * turning


def fallen(state: State) -> bool:
    """Whether the cart or the pole is beyond its limit."""
    return abs(state[0]) > FARTHEST or abs(state[2]) > STEEPEST


def pushed(state: State, push: float, steps: int) -> State:
    """Where ``steps`` steps of one push lead, falls disregarded."""
    for _ in range(steps):
        state = advance(state, push)
    return state


@lru_cache(maxsize=16)
def linear(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The model of a push near the upright pole: next state = ``(4, 4)`` @ state + ``(4,)`` * push."""
    small = 1e-5
    still: State = (0.0, 0.0, 0.0, 0.0)
    columns = [
        np.subtract(pushed((*row,), 0, steps), pushed((*-row,), 0, steps)) / (2 * small) for row in small * np.eye(4)
    ]
    effect = np.subtract(pushed(still, small, steps), pushed(still, -small, steps)) / (2 * small)
    return np.array(columns).T, effect


@lru_cache(maxsize=16)
def gain(steps: int) -> np.ndarray:
    """The linear-quadratic regulator ``(4,)`` for pushes of ``steps`` steps: push = -gain @ state."""
    matrix, effect = linear(steps)
    worth = _COSTS
    while True:
        best = effect @ worth @ matrix / (_PUSH_COST + effect @ worth @ effect)
        rest = matrix - np.outer(effect, best)
        better = _COSTS + _PUSH_COST * np.outer(best, best) + rest.T @ worth @ rest
        if np.allclose(better, worth, rtol=1e-10, atol=0):
            return best
        worth = better


class Controller:
    """Guesses the state from what is told (a Kalman filter) and pushes as the regulator has it.

    Args:
        steps: how many steps a push lasts.
        spread: how far the start is from upright rest at most, in each quantity.
    """

    def __init__(self, steps: int, spread: float) -> None:
        self.steps = steps
        self.guess: State = (0.0, 0.0, 0.0, 0.0)
        self._variance = np.eye(4) * spread**2 / 3

    def hear(self, told: np.ndarray, variance: np.ndarray) -> None:
        """Take in a state ``(4,)`` that was told, each quantity with an error of this variance ``(4,)``."""
        trust = self._variance @ np.linalg.inv(self._variance + np.diag(variance))
        guess = np.add(self.guess, trust @ np.subtract(told, self.guess))
        self.guess = (float(guess[0]), float(guess[1]), float(guess[2]), float(guess[3]))
        self._variance = (np.eye(4) - trust) @ self._variance

    def follow(self, push: float) -> None:
        """Take in that the cart was pushed."""
        matrix, _ = linear(self.steps)
        self.guess = pushed(self.guess, push, self.steps)
        self._variance = matrix @ self._variance @ matrix.T + _SWAY

    def wants_right(self) -> bool:
        """Whether to push to the right."""
        return float(gain(self.steps) @ np.array(self.guess)) < 0
