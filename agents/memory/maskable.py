"""The rollout buffer of MaskablePPO for token sequences: what was admissible is kept as bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer, MaskableRolloutBufferSamples
from stable_baselines3.common.type_aliases import RolloutBufferSamples

from agents.memory.rollout import PackedRolloutBuffer


class PackedMaskableRolloutBuffer(PackedRolloutBuffer, MaskableRolloutBuffer):  # type: ignore[misc]
    """Drop-in ``rollout_buffer_class`` for sb3-contrib's unmodified MaskablePPO; see ``PackedRolloutBuffer``.

    A mask takes a bit an action: 256 bytes a step for a vocabulary of 2,048, where the stock buffer takes 8,192.
    """

    def reset(self) -> None:
        """Forget the rollout."""
        super().reset()
        self.mask_dims = int(self.action_space.n)  # type: ignore[attr-defined]
        self.bits = np.full((self.buffer_size, self.n_envs, -(-self.mask_dims // 8)), 255, dtype=np.uint8)

    def add(self, *step: Any, action_masks: np.ndarray | None = None, **keywords: Any) -> None:
        """Add one step of every environment, with ``action_masks`` ``(environments, actions)`` bool."""
        if action_masks is not None:
            self.bits[self.pos] = np.packbits(action_masks.astype(bool), axis=1)
        PackedRolloutBuffer.add(self, *step, **keywords)

    def _samples(self, chosen: np.ndarray, steps_of: list[np.ndarray]) -> RolloutBufferSamples:
        samples = super()._samples(chosen, steps_of)
        bits = self.bits.reshape(-1, self.bits.shape[2])[np.concatenate(steps_of)]
        masks = self.to_torch(np.unpackbits(bits, axis=1, count=self.mask_dims).astype(bool))
        batch = replace(samples.observations, masks=masks)  # type: ignore[type-var]
        return MaskableRolloutBufferSamples(batch, *samples[1:], action_masks=masks)  # type: ignore[arg-type,return-value]
