"""Stable-Baselines3 policies over a language-model backbone."""

from agents.policies.actor_critic import TokenActorCriticPolicy
from agents.policies.q_network import TokenQPolicy, TokenQuantilePolicy

__all__ = ["TokenActorCriticPolicy", "TokenQPolicy", "TokenQuantilePolicy"]
