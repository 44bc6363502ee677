"""What a contributor writes: one class, strings in, strings out.

A game knows nothing of tokens, spaces or learners; ``textenvs.env`` turns it into a Gymnasium environment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np

_NO_INFO: Mapping[str, Any] = MappingProxyType({})


class Turn(NamedTuple):
    """What a game answers to one utterance.

    Attributes:
        text: what the player reads next.
        reward: reward of this turn.
        terminated: the game is over by its own rules (a turn limit is not one: see ``Game.max_turns``).
        info: figures for people and metrics, never needed to play. ``info["success"]`` (bool) is set on
            the last turn by every game that can be won.
    """

    text: str
    reward: float = 0.0
    terminated: bool = False
    info: Mapping[str, Any] = _NO_INFO


class Game(ABC):
    """One text game. Constructor keywords are its knobs; ``levels`` names useful sets of them.

    All randomness comes from the generator that ``reset`` is given, so that a seed and a list of utterances fix
    the episode. The class docstring is the game's documentation page.

    Attributes:
        levels: level name -> constructor keywords; ``"medium"`` is the default of ``gymnasium.make``.
        max_turns: the environment truncates an episode after this many turns.
        max_choices: an upper bound of ``len(valid_actions())`` at any time and level; 0 where the game lists none.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {"medium": {}}
    max_turns: int = 20
    max_choices: int = 0

    @abstractmethod
    def reset(self, rng: np.random.Generator) -> str:
        """Start a new episode and return its opening text; nothing of the episode before may remain."""

    @abstractmethod
    def step(self, action: str) -> Turn:
        """Play one utterance. Any string is allowed: an unusable one gets a reply that says so, never an error."""

    def valid_actions(self) -> list[str]:
        """The admissible utterances now, distinct, in a fixed order; empty where the game has no finite set."""
        return []

    def expert_action(self) -> str:
        """The utterance of the best known player now; the class docstring says how good that player is."""
        raise NotImplementedError(f"{type(self).__name__} has no expert player: define expert_action()")

    def instance(self) -> str | None:
        """What is to be solved in this episode, as text, or ``None`` where all episodes are the same task.

        Train and test splits are made from it: instances whose text hashes to one fifth of the range are kept for
        testing, so the two are disjoint whatever the seeds. What no observation tells of is no instance: a learner
        would find out what never occurs in training.
        """
        return None
