"""The cases of ``benchmarks.learning``: for every learner a small game, a model and settings with which it learns.

Settings are those of ``agents.learners.table`` where nothing is given here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Random weights, drawn anew for each seed.
READER: Mapping[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Case:
    """What a learner has to learn, and how.

    Attributes:
        learner: a name of ``agents.learners.LEARNERS``.
        steps: environment steps of training.
        settings: keywords of the learner in place of its defaults.
        knobs: keywords of the game.
        env_id, level, action_level, tokens: what is played; ``tokens`` are the keywords of its token environment.
        backbone: the model.
    """

    learner: str
    steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    env_id: str = "TextGuessNumber-v0"
    level: str = "easy"
    action_level: str = "choice"
    tokens: Mapping[str, Any] = field(default_factory=lambda: {"window": 160, "max_utterance_tokens": 4})
    backbone: Any = field(default_factory=lambda: READER)

    @property
    def env_kwargs(self) -> dict[str, Any]:
        """All keywords of ``gym.make``."""
        return {"level": self.level, "action_level": self.action_level, **self.tokens, **self.knobs}

    def as_json(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {
            **{name: getattr(self, name) for name in ("learner", "env_id", "level", "action_level", "steps")},
            **{name: dict(getattr(self, name)) for name in ("settings", "knobs", "env_kwargs")},
            "backbone": self.backbone if isinstance(self.backbone, str) else dict(self.backbone),
        }


_OFF_POLICY = {"batch_size": 64, "train_freq": 1, "gradient_steps": 1}
_FROM_SCRATCH: dict[str, Any] = {
    **_OFF_POLICY,
    "learning_rate": 1e-3,
    "learning_starts": 200,
    "replay_buffer_kwargs": {"per_sequence": 4},
}
_SPEAKING: dict[str, Any] = {
    **_OFF_POLICY,
    "learning_rate": 5e-4,
    "learning_starts": 400,
    "replay_buffer_kwargs": {"per_sequence": 8, "n_steps": 3},
    "target_update_interval": 500,
    "policy_kwargs": {"temperature": (0.1, 0.02, 6000)},
    "prioritized": False,
    "dueling": False,
}
_GREEDY = {"target_update_interval": 500, "policy_kwargs": {"epsilon": (1.0, 0.05, 3000)}}

_FOUR = {"high": 4}
# Two disks: three moves from the one start, or as many or fewer from each of several.
_HANOI: dict[str, Any] = {
    "env_id": "TextHanoi-v0",
    "knobs": {"disks": 2},
    "tokens": {"window": 192, "max_utterance_tokens": 8},
}
_ONE_HANOI: dict[str, Any] = {**_HANOI, "knobs": {"disks": 2, "start": "standard"}}

CASES: dict[str, Case] = {
    "a2c, choice": Case("a2c", 96_000, {"learning_rate": 1e-3, "ent_coef": 0.01}),
    "ac, choice": Case(
        "ac",
        32_000,
        {"learning_rate": 1e-3, "n_steps": 16, "ent_coef": 0.02, "vf_coef": 0.5, "target_tau": 0.02},
        _FOUR,
    ),
    "bc, choice": Case("bc", 8000),
    "dpo, choice": Case("dpo", 4000, {"learning_rate": 3e-4, "n_starts": 16, "beta": 0.1}, **_ONE_HANOI),
    "dqn, choice": Case("dqn", 8000, {**_FROM_SCRATCH, **_GREEDY, "n_steps": 1}, _FOUR),
    "ddqn, choice": Case("ddqn", 8000, {**_FROM_SCRATCH, **_GREEDY, "prioritized": False}, _FOUR),
    "ddqn, token": Case(
        "ddqn",
        9000,
        _SPEAKING,
        _FOUR,
        action_level="token",
        backbone="tiny",
    ),
    "ddqn, token, whole moves": Case(
        "ddqn",
        7500,
        {**_SPEAKING, "policy_kwargs": {**_SPEAKING["policy_kwargs"], "value_rate": 1.0}},
        action_level="token",
        backbone="tiny",
        **{**_HANOI, "tokens": {**_HANOI["tokens"], "constrain": True}},
    ),
    "expert_iteration, choice": Case("expert_iteration", 4000, **_ONE_HANOI),
    "filtered_bc, choice": Case("filtered_bc", 24_000, {"n_starts": 8, "group_size": 8, "n_epochs": 4}, **_HANOI),
    "grpo, choice": Case("grpo", 4000, **_ONE_HANOI),
    "ilql, choice": Case("ilql", 12_000, {**_FROM_SCRATCH, "tau": 0.02}),
    "maskable_ppo, choice": Case("maskable_ppo", 80_000),
    "ppo, choice": Case("ppo", 80_000),
    "qrdqn, choice": Case("qrdqn", 8000, {**_FROM_SCRATCH, **_GREEDY, "n_steps": 1}, _FOUR),
    "reinforce, choice": Case("reinforce", 8000, {"ent_coef": 0.1}, **_ONE_HANOI),
    "rloo, choice": Case("rloo", 12_000, {"learning_rate": 5e-4, "ent_coef": 0.1}, **_HANOI),
    "sac_discrete, choice": Case("sac_discrete", 8000, {**_FROM_SCRATCH, "tau": 0.02, "gradient_steps": 2}, _FOUR),
    "trpo, choice": Case("trpo", 4096, {"n_steps": 16, "target_kl": 0.05}, _FOUR),
}
