"""Gymnasium spaces of token ids and of text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import CustomSpaceError
from gymnasium.vector.utils import create_shared_memory
from numpy.typing import NDArray


class TokenSpace(spaces.Box):
    """Observations: the transcript so far as token ids, right-padded; at choice level the candidates follow.

    int32 of shape ``(window + max_choices * max_utterance_tokens,)``. A ``Box`` and not a ``MultiDiscrete``, because
    learning libraries one-hot encode the latter.

    Attributes:
        window: tokens of context.
        vocab_size: ids are below it.
        pad_id: fills what is empty.
        end_id: closes every utterance.
        special_ids: ids that a policy should never emit (``end_id`` is not among them).
        max_utterance_tokens: the most tokens of one utterance, its end not counted.
        max_choices: rows of candidates; 0 except at choice level.
    """

    def __init__(
        self,
        window: int,
        vocab_size: int,
        pad_id: int,
        end_id: int,
        special_ids: Iterable[int] = (),
        max_utterance_tokens: int = 32,
        max_choices: int = 0,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.window = int(window)
        self.vocab_size = int(vocab_size)
        self.pad_id = int(pad_id)
        self.end_id = int(end_id)
        self.special_ids = tuple(int(i) for i in special_ids)
        self.max_utterance_tokens = int(max_utterance_tokens)
        self.max_choices = int(max_choices)
        length = self.window + self.max_choices * self.max_utterance_tokens
        super().__init__(0, self.vocab_size - 1, (length,), np.int32, seed)

    def context(self, observation: Any) -> Any:
        """View of the context, ``(..., window)``, of observations ``(..., length)`` (array or tensor)."""
        return observation[..., : self.window]

    def lengths(self, observations: NDArray[Any]) -> NDArray[np.int64]:
        """Tokens of each context, ``(rows,)``, of observations ``(rows, length)``; 0 where all is padding."""
        real = self.context(observations)[:, ::-1] != self.pad_id
        return np.where(real.any(axis=1), real.shape[1] - real.argmax(axis=1), 0)

    def choices(self, observation: Any) -> Any:
        """View of the candidates, ``(..., max_choices, max_utterance_tokens)``, of observations ``(..., length)``."""
        shape = (*observation.shape[:-1], self.max_choices, self.max_utterance_tokens)
        return observation[..., self.window :].reshape(shape)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is an integer array of this shape whose ids are in range."""
        if not isinstance(x, np.ndarray) or x.shape != self.shape or not np.can_cast(x.dtype, np.int32):
            return False
        return bool(x.min() >= 0 and x.max() < self.vocab_size)

    def _arguments(self) -> tuple[Any, ...]:
        return (
            self.window,
            self.vocab_size,
            self.pad_id,
            self.end_id,
            self.special_ids,
            self.max_utterance_tokens,
            self.max_choices,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenSpace) and self._arguments() == other._arguments()

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments(), {"_np_random": self._np_random}

    def __repr__(self) -> str:
        choices = f", max_choices={self.max_choices}" if self.max_choices else ""
        return f"TokenSpace(window={self.window}, vocab_size={self.vocab_size}{choices})"


class UtteranceSpace(spaces.MultiDiscrete):
    """Turn-level actions: the token ids of one utterance, int64 of shape ``(max_utterance_tokens,)``.

    What counts are the ids up to the first ``end_id`` or ``pad_id``; the rest is ignored.
    """

    def __init__(
        self,
        max_utterance_tokens: int,
        vocab_size: int,
        pad_id: int,
        end_id: int,
        special_ids: Iterable[int] = (),
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.max_utterance_tokens = int(max_utterance_tokens)
        self.vocab_size = int(vocab_size)
        self.pad_id = int(pad_id)
        self.end_id = int(end_id)
        self.special_ids = tuple(int(i) for i in special_ids)
        ordinary = np.ones(self.vocab_size, np.bool_)
        ordinary[[self.pad_id, self.end_id, *self.special_ids]] = False
        self._ordinary = np.flatnonzero(ordinary)
        super().__init__(np.full(self.max_utterance_tokens, self.vocab_size), np.int64, seed)

    def sample(self, mask: Any = None, probability: Any = None) -> NDArray[np.int64]:
        """A random utterance: a random number of ordinary tokens, the end, then padding."""
        if mask is not None or probability is not None:
            return super().sample(mask, probability)
        action = np.full(self.max_utterance_tokens, self.pad_id, np.int64)
        length = int(self.np_random.integers(self.max_utterance_tokens + 1))
        action[:length] = self.np_random.choice(self._ordinary, length)
        action[length : length + 1] = self.end_id
        return action

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is an integer array (or list) of this shape whose ids are in range."""
        if isinstance(x, (list, tuple)):
            x = np.array(x)
        if not isinstance(x, np.ndarray) or x.shape != self.shape or not np.can_cast(x.dtype, np.int64):
            return False
        return bool(x.min() >= 0 and x.max() < self.vocab_size)

    def _arguments(self) -> tuple[Any, ...]:
        return self.max_utterance_tokens, self.vocab_size, self.pad_id, self.end_id, self.special_ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UtteranceSpace) and self._arguments() == other._arguments()

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments(), {"_np_random": self._np_random}

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"UtteranceSpace(max_utterance_tokens={self.max_utterance_tokens}, vocab_size={self.vocab_size})"


class UnicodeText(spaces.Text):
    """Any string of at most ``max_length`` characters; samples are short and printable."""

    _SAMPLE_LENGTH = 64

    def __init__(self, max_length: int, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(max_length, min_length=0, charset="".join(map(chr, range(32, 127))), seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A random string of printable ASCII, at most 64 characters."""
        if mask is None and probability is None:
            length = int(self.np_random.integers(min(self.max_length, self._SAMPLE_LENGTH) + 1))
            mask = (length, None)
        return super().sample(mask, probability)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a string that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    @property
    def is_np_flattenable(self) -> bool:
        """False: the alphabet is all of Unicode."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnicodeText) and self.max_length == other.max_length

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.max_length,), {"_np_random": self._np_random}

    def __repr__(self) -> str:
        return f"UnicodeText(max_length={self.max_length})"


@create_shared_memory.register(UnicodeText)
def _refuse_shared_memory(space: UnicodeText, n: int = 1, ctx: Any = None) -> Any:
    """Gymnasium's shared memory of texts is read once and never again; its own error then names the mend."""
    raise CustomSpaceError("texts cannot be shared between processes: pass shared_memory=False")
