"""Stable-Baselines3 policies over a language-model backbone."""

from agents.policies.actor_critic import TokenActorCriticPolicy
from agents.policies.maskable import TokenMaskablePolicy
from agents.policies.q_network import TokenQPolicy, TokenQuantilePolicy
from agents.policies.trust_region import TokenTrustRegionPolicy

__all__ = [
    "TokenActorCriticPolicy",
    "TokenMaskablePolicy",
    "TokenQPolicy",
    "TokenQuantilePolicy",
    "TokenTrustRegionPolicy",
]
