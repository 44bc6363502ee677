"""What may be done now, at token level: it stands in no observation, so a policy is told, or asks its environments."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor

from agents.memory.packed import PackedBatch
from agents.memory.packed_replay import MaskSource
from agents.policies.reader import MASKED, Candidates, TokenReader


class MaskedPolicy(BasePolicy):
    """A policy whose ``predict`` takes ``action_masks``, as sb3-contrib's MaskablePPO.

    Attributes:
        mask_source: the environments that are asked where ``predict`` is given none; ``agents.make`` sets it where they
            constrain tokens.
    """

    mask_source: MaskSource | None = None
    _given: np.ndarray | None = None

    def predict(  # type: ignore[override]
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """As ``BasePolicy.predict``, holding to ``action_masks`` ``(rows, actions)`` bool."""
        self._given = action_masks
        try:
            return super().predict(observation, state, episode_start, deterministic)
        finally:
            self._given = None

    def admissible(self, observations: Tensor) -> Tensor | None:
        """What may be done ``(rows, actions)`` bool in ``observations`` ``(rows, observation size)``, or ``None``.

        Raises:
            ValueError: the observations are not those of ``mask_source``, and no masks were given.
        """
        masks = self._given
        if masks is None and self.mask_source is not None:
            if not np.array_equal(self.mask_source.observed(), observations.cpu().numpy()):
                raise ValueError(
                    "this policy has learned among admissible tokens and cannot tell which they are here: give "
                    "predict(..., action_masks=env.action_masks()), or use agents.evaluate"
                )
            masks = self.mask_source.action_masks()
        return None if masks is None else torch.as_tensor(masks, device=observations.device)


def states_of(
    reader: TokenReader, obs: Tensor | PackedBatch, candidates: bool = True
) -> tuple[Tensor, Candidates | None, Tensor | None]:
    """Hidden states ``(steps, hidden)``, candidates (choice level, if wanted) and masks of plain or packed
    observations."""
    if isinstance(obs, PackedBatch):
        where = obs.ids, obs.segment, obs.position
        if obs.choices is None or not candidates:
            return reader.backbone.states(*where), None, obs.masks
        found = reader.branches(obs.choices)
        hidden, beyond = reader.backbone.branched(*where, found).tensor_split([len(obs)])
        return hidden, reader.candidates(obs.choices, hidden, beyond, found), obs.masks
    hidden = reader.last_hidden(obs)
    if not (reader.choice_level and candidates):
        return hidden, None, None
    choices = reader.choices(obs)
    found = reader.branches(choices)
    return hidden, reader.candidates(choices, hidden, reader.beyond(obs, found), found), None


def action_logits(reader: TokenReader, hidden: Tensor, candidates: Candidates | None, masks: Tensor | None) -> Tensor:
    """Logits ``(steps, actions)`` of tokens or candidates; what is not admissible has -1e8."""
    if candidates is not None:
        return reader.choice_logits(hidden, candidates)
    logits = reader.token_logits(hidden)
    return logits if masks is None else logits.masked_fill(~masks, MASKED)
