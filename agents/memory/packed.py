"""Many observations in few sequences: what a packed buffer hands to a policy instead of an observation tensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class PackedBatch:
    """``steps`` observations that lie along ``segments`` token sequences.

    Inside an episode each observation begins with the last one, so the longest of them holds them all and one
    forward pass gives the hidden state of every step.

    Attributes:
        ids: ``(segments, tokens)`` int64, right-padded; holds the agent's own tokens too.
        segment: ``(steps,)`` int64, the sequence on which a step lies.
        position: ``(steps,)`` int64, the last token of the step's observation.
        choices: ``(steps, choices, tokens)`` int64 candidates at choice level, else ``None``.
        masks: ``(steps, vocabulary)`` bool at token level where the environment says what is admissible, else ``None``.
    """

    ids: Tensor
    segment: Tensor
    position: Tensor
    choices: Tensor | None = None
    masks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.segment)

    def __getitem__(self, steps: slice | Tensor) -> PackedBatch:
        """Some of the steps, along the same sequences."""
        choices, masks = (None if each is None else each[steps] for each in (self.choices, self.masks))
        return PackedBatch(self.ids, self.segment[steps], self.position[steps], choices, masks)


def pad_sequences(sequences: list[np.ndarray], pad_id: int, device: torch.device | str) -> Tensor:
    """Stack id arrays of unequal length into ``(sequences, longest)`` int64, right-padded with ``pad_id``."""
    padded = np.full((len(sequences), max(map(len, sequences))), pad_id, dtype=np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.as_tensor(padded, device=device)
