"""The learners: Stable-Baselines3's own, unmodified, and pretraining."""

from agents.learners.table import LEARNERS, Learner, make

__all__ = ["LEARNERS", "Learner", "make"]
