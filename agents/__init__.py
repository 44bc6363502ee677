"""Language-model agents for text environments, on Stable-Baselines3 learners."""

from __future__ import annotations

import importlib
import os
from typing import Any

# Between two operations OpenMP's threads spin, for milliseconds by default. Where another process holds a core, that is
# time in which nobody works: training `tiny` with two threads took 12 times as long beside one busy process. Read when
# torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

_HOMES = {
    "LEARNERS": "agents.learners",
    "make": "agents.learners",
    "make_vec_env": "agents.vec_env",
    "load_backbone": "agents.backbones",
    "PackedReplayBuffer": "agents.memory",
    "register_backbone": "agents.backbones",
    "PackedRolloutBuffer": "agents.memory",
    "PrioritizedReplayBuffer": "agents.memory",
    "TokenActorCriticPolicy": "agents.policies",
    "TokenQPolicy": "agents.policies",
    "TokenQuantilePolicy": "agents.policies",
    "save": "agents.checkpoint",
    "load": "agents.checkpoint",
    "export": "agents.checkpoint",
    "evaluate": "agents.evaluation",
    "Evaluation": "agents.evaluation",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import on first use: ``agents --help`` need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'agents' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
