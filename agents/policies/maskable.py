"""An actor-critic policy for sb3-contrib's unmodified MaskablePPO."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from torch import Tensor

from agents.memory.packed import PackedBatch
from agents.policies.actor_critic import TokenActorCriticPolicy
from agents.policies.masks import MaskedPolicy


class TokenMaskablePolicy(TokenActorCriticPolicy, MaskedPolicy, MaskableActorCriticPolicy):  # type: ignore[misc]
    """``TokenActorCriticPolicy`` that holds to action masks at token and choice level."""

    def forward(  # type: ignore[override]
        self, obs: Tensor, deterministic: bool = False, action_masks: np.ndarray | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As ``TokenActorCriticPolicy.forward``, among ``action_masks`` ``(environments, actions)`` bool."""
        given, self._given = self._given, action_masks if action_masks is not None else self._given
        try:
            return super().forward(obs, deterministic)
        finally:
            self._given = given

    def evaluate_actions(  # type: ignore[override]
        self, obs: Tensor | PackedBatch, actions: Tensor, action_masks: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As ``TokenActorCriticPolicy.evaluate_actions``, among ``action_masks`` ``(steps, actions)`` bool."""
        batch = obs if isinstance(obs, PackedBatch) else self.reader.single(obs)
        if action_masks is not None:
            batch = replace(
                batch, masks=torch.as_tensor(action_masks, device=batch.ids.device).bool().reshape(len(batch), -1)
            )
        return super().evaluate_actions(batch, actions)

    def _masks(self, obs: Tensor) -> Tensor | None:
        return self.admissible(obs)

    def _predict(  # type: ignore[override]
        self, observation: Tensor, deterministic: bool = False, action_masks: np.ndarray | None = None
    ) -> Tensor:
        return self(observation, deterministic, action_masks)[0]

    def get_distribution(self, obs: Any, action_masks: np.ndarray | None = None) -> Any:
        """The distribution over tokens or choices, among ``action_masks``."""
        batch = obs if isinstance(obs, PackedBatch) else self.reader.single(obs)
        if action_masks is not None:
            batch = replace(batch, masks=torch.as_tensor(action_masks, device=batch.ids.device).bool())
        return super().get_distribution(batch)
