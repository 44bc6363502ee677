"""Balance a pole on a cart, told in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.control.pole import FARTHEST, STEEPEST, STEP, Controller, State, advance, fallen
from textenvs.parsing import MAX_CHARACTERS, direction

_WAYS = ("left", "right")  # in CartPole-v1's order
_START = 0.05  # each quantity of the start is drawn from -0.05 to 0.05
_SCALE = np.array((FARTHEST, 1.0, STEEPEST, 1.0))  # what ``noise`` is a share of
_TOLD = np.array((0.01, 0.01, math.radians(0.1), math.radians(1)))  # what numbers are rounded to: cm, cm/s, ...
_BOUNDS = (  # where the words for a size begin
    (0.0, 0.1, 0.8, 1.6, 2.4),
    (0.0, 0.1, 0.5, 1.0, 2.0),
    (0.0, *np.radians((0.5, 3, 7, 12)).tolist()),
    (0.0, *np.radians((5, 30, 70, 140)).tolist()),
)
_WORDS = (
    ("in the middle", "near the middle on the {}", "far to the {}", "almost at the {} end"),
    ("at rest", "rolling slowly {}", "rolling {}", "rolling fast {}"),
    ("upright", "leaning a little {}", "leaning {}", "leaning far {}"),
    ("steady", "turning slowly {}", "turning {}", "turning fast {}"),
)


class CartPole(Game):
    """TextCartPole-v0: keep a pole upright on a cart that you can only push to the left or to the right.

    ## Description

    A pole stands on a cart on a track. Each turn you push the cart to one side, and the push lasts for a few steps of
    0.02 seconds. The episode is over when the pole leans by more than 12 degrees or the cart is more than 2.4 metres
    from the middle. The dynamics are those of Gymnasium's ``CartPole-v1``.

    ## Example transcript

    ```
    balance the pole on the cart: push left or right. a push lasts 0.08 seconds. over when the pole leans more than 12
    degrees or the cart is more than 240 cm from the middle. cart 0 cm, moving 5 cm/s right; pole 2.0 degrees left,
    turning 3 degrees/s right.
    > left
    cart 2 cm left, moving 73 cm/s left; pole 0.1 degrees right, turning 68 degrees/s right.
    > push right
    cart 5 cm left, moving 4 cm/s right; pole 3.5 degrees right, turning 3 degrees/s right.
    > right
    cart 3 cm left, moving 82 cm/s right; pole 1.9 degrees right, turning 60 degrees/s left.
    > left
    cart 2 cm right, moving 4 cm/s right; pole 0.9 degrees left, turning 8 degrees/s right.
    > it leans left, push right
    cart 4 cm right, moving 82 cm/s right; pole 2.3 degrees left, turning 61 degrees/s left.
    > right
    cart 13 cm right, moving 161 cm/s right; pole 9.3 degrees left, turning 133 degrees/s left.
    > right
    the pole falls to the left.
    ```

    ## Observation

    Where the cart is and how it moves, how the pole leans and turns; numbers are rounded to centimetres, tenths of a
    degree, cm/s and degrees/s. ``noise`` is added before. Words have four sizes, such as upright (below 0.5 degrees),
    leaning a little (to 3), leaning (to 7) and leaning far. The opening tells the limits too.

    ## Action

    Free text with ``left`` or ``right`` in it: ``left``, ``push the cart to the right``, ``it leans left, so push
    right`` (what follows ``push`` counts if both are named). Anything else is not understood and costs a turn in which
    time stands still.

    ## Reward

    1 for each step of 0.02 seconds, also for the one in which the pole falls; -1 for what is not understood.

    ## Episode end

    Terminated when the pole falls or the cart leaves the track; truncated after ``max_turns``. It is a ``success`` if
    the pole then stood for all ``steps``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``hold`` | 2 | 4 | 4 | steps that each push lasts (1 to 4, above which nobody can balance it for long) |
    | ``steps`` | 100 | 200 | 500 | steps to be balanced, a multiple of ``hold``; CartPole-v1 has 500 |
    | ``verbosity`` | numbers | numbers | words | ``"numbers"``, or ``"words"`` such as ``leaning a little left`` |
    | ``noise`` | 0 | 0 | 0.05 | standard deviation of what is told: a share of 2.4 m, 1 m/s, 12 degrees and 1 rad/s |
    | ``max_turns`` | 50 | 50 | 125 | truncation: ``steps / hold`` |

    ## Expert

    A script: a linear-quadratic regulator on what a Kalman filter makes of the texts, so it knows no more than the
    player. Its mean return is 100 at easy, 200 at medium and 499.4 at hard; it succeeds always at easy and medium and
    in 99.7% of the episodes at hard. Random pushes have 19.0, 15.5 and 15.5 and never succeed.

    ## Source

    Gymnasium's ``CartPole-v1`` (Barto, Sutton and Anderson 1983), which is ``hold=1, steps=500``.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"hold": 2, "steps": 100},
        "medium": {},
        "hard": {"steps": 500, "verbosity": "words", "noise": 0.05},
    }
    max_choices = 2

    def __init__(self, hold: int = 4, steps: int = 200, verbosity: str = "numbers", noise: float = 0.0) -> None:
        if not 1 <= hold <= 4:
            raise ValueError(f"hold must be 1 to 4, not {hold!r}")
        if steps < 1 or steps % hold:
            raise ValueError(f"steps must be a multiple of hold, which is {hold!r}, not {steps!r}")
        if verbosity not in ("numbers", "words"):
            raise ValueError(f"verbosity must be 'numbers' or 'words', not {verbosity!r}")
        if not 0 <= noise <= 1:
            raise ValueError(f"noise must be 0 to 1, not {noise!r}")
        self.hold, self.steps, self.verbosity, self.noise = hold, steps, verbosity, noise
        self.max_turns = steps // hold

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a state near the upright pole at rest."""
        self._rng = rng
        position, speed, angle, spin = rng.uniform(-_START, _START, 4).tolist()
        self._start = self._state = (position, speed, angle, spin)
        self._balanced = 0
        self._expert = Controller(self.hold, _START)
        return (
            f"balance the pole on the cart: push left or right. a push lasts {self.hold * STEP:.2f} seconds. over when "
            f"the pole leans more than 12 degrees or the cart is more than 240 cm from the middle. {self._tell()}"
        )

    def instance(self) -> str:
        """The state at the start."""
        return " ".join(f"{quantity:.6f}" for quantity in self._start)

    def step(self, action: str) -> Turn:
        """Push for ``hold`` steps."""
        way = _read(action)
        if way is None:
            return Turn("say left or right.", -1.0)
        push = 1.0 if way == "right" else -1.0
        for lasted in range(1, self.hold + 1):
            self._state = advance(self._state, push)
            if fallen(self._state):
                what = "the pole falls" if abs(self._state[2]) > STEEPEST else "the cart leaves the track"
                return Turn(f"{what} to the {_side(self._state)}.", float(lasted), True, {"success": False})
        self._balanced += self.hold
        self._expert.follow(push)
        return Turn(self._tell(), float(self.hold), info={"success": True} if self._balanced >= self.steps else {})

    def valid_actions(self) -> list[str]:
        """The two sides."""
        return list(_WAYS)

    def expert_action(self) -> str:
        """The side to which the regulator pushes."""
        return _WAYS[self._expert.wants_right()]

    def _tell(self) -> str:
        """The state as it is told, of which the expert hears no more than the player."""
        seen = np.array(self._state)
        if self.noise:
            seen = seen + self.noise * _SCALE * self._rng.standard_normal(4)
        if self.verbosity == "numbers":
            seen = np.round(seen / _TOLD) * _TOLD
            text, widths = _in_numbers(seen), _TOLD
        else:
            text, seen, widths = _in_words(seen)
        self._expert.hear(seen, (self.noise * _SCALE) ** 2 + widths**2 / 12)
        return text


def _read(action: str) -> str | None:
    """The side that a text names, if both only after the last ``push``."""
    named = direction(action) or direction(action[:MAX_CHARACTERS].lower().rpartition("push")[2])
    return named if named in _WAYS else None


def _side(state: State) -> str:
    return _WAYS[(state[2] if abs(state[2]) > STEEPEST else state[0]) > 0]


def _in_numbers(seen: np.ndarray) -> str:
    position, speed, angle, spin = (seen * (100, 100, 180 / math.pi, 180 / math.pi)).tolist()
    return (
        f"cart {_sided(position, 0, ' cm')}, moving {_sided(speed, 0, ' cm/s')}; "
        f"pole {_sided(angle, 1, ' degrees')}, turning {_sided(spin, 0, ' degrees/s')}."
    )


def _sided(value: float, digits: int, unit: str) -> str:
    size = f"{abs(value):.{digits}f}"
    return f"{size}{unit} {_WAYS[value > 0]}" if float(size) else f"0{unit}"


def _in_words(seen: np.ndarray) -> tuple[str, np.ndarray, np.ndarray]:
    """The words for a state, the values in the middle of what they mean, and how wide that is."""
    phrases, middles, widths = [], [], []
    for value, bounds, names in zip(seen.tolist(), _BOUNDS, _WORDS, strict=True):
        size = min(int(np.searchsorted(bounds, abs(value), side="right")), len(names)) - 1
        phrases.append(names[size].format(_WAYS[value > 0]))
        middles.append(0.0 if size == 0 else math.copysign((bounds[size] + bounds[size + 1]) / 2, value))
        widths.append(2 * bounds[1] if size == 0 else bounds[size + 1] - bounds[size])
    text = f"cart {phrases[0]}, {phrases[1]}; pole {phrases[2]}, {phrases[3]}."
    return text, np.array(middles), np.array(widths)
