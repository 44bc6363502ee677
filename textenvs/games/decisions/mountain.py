"""Climb a mountain whose summit alone pays: deep exploration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.parsing import direction, nearest, words

_CLIMB_COST = 0.01  # of a whole climb
_UNUSABLE_COST = 0.01
_TRAILS = ("left", "right")
_WAYS = ("down", "up")
_SYNONYMS = {"ascend": "up", "climb": "up", "higher": "up", "descend": "down", "lower": "down"}


class Mountain(Game):
    """TextMountain-v0: find out which trails lead up a mountain whose summit alone pays.

    ## Description

    The summit of a mountain is at height ``size``, and there are ``size`` hours of daylight. In each hour you take a
    trail up, which costs a little, or one down, which costs nothing. So only who climbs in every single hour reaches
    the summit, and whoever learns from single steps learns to go down. This is bsuite's deep sea, upside down.

    At each place (an hour and a height) one of two trails, left and right, leads up and the other down, and you are not
    told which. It is drawn from the seed ``mapping`` and so is the same in all episodes: it can be learned from one to
    the next. Without a mapping the ways are called up and down.

    ## Example transcript

    ```
    a mountain: the summit is at height 5, night falls in 5 hours. in each hour one of two trails, left and right,
    leads up by 1, the other down; which one depends on the place. a climb costs a little, only the summit pays.
    hour 1, height 0. left or right?
    > left
    you climb. hour 2, height 1. left or right?
    > right
    you climb. hour 3, height 2. left or right?
    > right
    you climb. hour 4, height 3. left or right?
    > right
    you climb. hour 5, height 4. left or right?
    > right
    you climb to the summit.
    ```

    ## Observation

    The opening gives the size and the rules; each reply says what became of the step, the hour and the height.

    ## Action

    Free text with one of the two trails in it: ``left``, ``I take the right trail``, ``go west``; without a mapping
    ``up`` or ``down``, also as ``climb`` or ``descend``. Both, or neither, are not understood.

    ## Reward

    1 at the summit; each climb costs 0.01 / ``size``, whatever it leads to. What is not understood costs 0.01 and takes
    no time.

    ## Episode end

    Terminated after the last hour (``success``: at the summit); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``size`` | 5 | 10 | 20 | height of the summit and hours of daylight (2 to 100) |
    | ``mapping`` | - | 9 | 9 | seed of the trails; ``None`` for ways that are called up and down |
    | ``wind`` | false | false | false | whether a climb fails with probability 1 / ``size`` (but for the last step) |
    | ``max_turns`` | 10 | 20 | 40 | truncation: twice the size |

    All episodes are the same task. With ``wind``, as in bsuite, the last step adds standard normal noise to the reward
    if it starts at the foot or just below the summit.

    ## Expert

    Exact: it knows the trails, climbs as long as the summit can be reached, and else goes down. Its return is 0.99 at
    all levels. Random steps have 0.026, -0.004 and -0.005 on average at easy, medium and hard, and reach the summit in
    one of ``2 ** size`` episodes.

    ## Source

    The deep sea of bsuite (Osband et al. 2020) and, with ``wind``, its stochastic version: the same dynamics, rewards
    and random mapping of actions, told in words. There the sizes are 5 to 50.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"size": 5, "mapping": None},
        "medium": {},
        "hard": {"size": 20},
    }
    max_choices = 2

    def __init__(self, size: int = 10, mapping: int | None = 9, wind: bool = False) -> None:
        if not 2 <= size <= 100:
            raise ValueError(f"size must be 2 to 100, not {size!r}")
        if mapping is not None and not mapping >= 0:
            raise ValueError(f"mapping must be a seed from 0 on, or None, not {mapping!r}")
        if wind not in (True, False):
            raise ValueError(f"wind must be True or False, not {wind!r}")
        self.size, self.mapping, self.wind = size, mapping, bool(wind)
        self.max_turns = 2 * size
        self._names = _WAYS if mapping is None else _TRAILS
        # (size, size): which of the two names leads up, by hour and height
        self._up = np.ones((size, size), np.int64)
        if mapping is not None:
            self._up = np.random.default_rng(mapping).integers(2, size=(size, size))

    def reset(self, rng: np.random.Generator) -> str:
        """Stand at the foot."""
        self._rng = rng
        self._hour = self._height = 0
        each = "you go up or down by 1"
        if self.mapping is not None:
            each = "one of two trails, left and right, leads up by 1, the other down; which one depends on the place"
        wind = " wind may stop a climb." if self.wind else ""
        return (
            f"a mountain: the summit is at height {self.size}, night falls in {self.size} hours. in each hour {each}. "
            f"a climb costs a little, only the summit pays.{wind} {self._shown()}"
        )

    def step(self, action: str) -> Turn:
        """Take a trail."""
        named = self._read(action)
        if named is None:
            return Turn(f"say {self._names[0]} or {self._names[1]}.", -_UNUSABLE_COST)
        climbs = self._names.index(named) == self._up[self._hour, self._height]
        last, top = self._hour == self.size - 1, self.size - 1
        reward = float(climbs and self._height == top) - (_CLIMB_COST / self.size if climbs else 0.0)
        if self.wind and last and self._height in (0, top):
            reward += float(self._rng.standard_normal())
        if climbs and self._height == top:
            return Turn("you climb to the summit.", reward, True, {"success": True})
        told = self._walk(climbs)
        self._hour += 1
        if last:
            return Turn(f"{told} night falls at height {self._height}.", reward, True, {"success": False})
        return Turn(f"{told} {self._shown()}", reward)

    def valid_actions(self) -> list[str]:
        """The two trails."""
        return list(self._names)

    def expert_action(self) -> str:
        """Up as long as the summit can be reached."""
        up = int(self._up[self._hour, self._height])
        return self._names[up if self._height == self._hour else 1 - up]

    def _walk(self, climbs: bool) -> str:
        """Go up or down; what there is to tell."""
        if not climbs:
            told = "you go down." if self._height else "you stay at the foot."
            self._height = max(self._height - 1, 0)
            return told
        if self.wind and self._rng.random() <= 1 / self.size:
            return "the wind stops you."
        self._height += 1
        return "you climb."

    def _shown(self) -> str:
        return f"hour {self._hour + 1}, height {self._height}. {self._names[0]} or {self._names[1]}?"

    def _read(self, action: str) -> str | None:
        """The one trail that an utterance names."""
        said = (nearest(word, tuple(_SYNONYMS)) for word in words(action))
        named = direction(" ".join(_SYNONYMS.get(word, word) for word in said))
        return named if named in self._names else None
