"""What ``python -m benchmarks tune`` searches: for each learner its keywords and their ranges.

A name with a dot is a keyword within a keyword: ``"rollout_buffer_kwargs.kl_coef"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Between(NamedTuple):
    """Any number from ``low`` to ``high``; where ``log``, each order of magnitude is as probable as any other."""

    low: float
    high: float
    log: bool = False


class Among(NamedTuple):
    """One of some values."""

    values: tuple[Any, ...]


Space = Mapping[str, Between | Among]

_RATE: Space = {"learning_rate": Between(1e-4, 5e-3, log=True)}
_SLOW: Space = {"learning_rate": Between(1e-4, 1e-3, log=True)}  # larger ones make a pretrained model unlearn to speak
_ENTROPY: Space = {"ent_coef": Among((0.0, 0.001, 0.003, 0.01, 0.03))}
_KEPT: Space = {"rollout_buffer_kwargs.kl_coef": Among((0.0, 0.01, 0.03, 0.1))}
_VALUES: Space = {"vf_coef": Among((0.1, 0.25, 0.5, 1.0))}
_ROLLOUT: Space = {"n_steps": Among((16, 32, 64, 128, 256))}
_TRACE: Space = {"gae_lambda": Between(0.8, 1.0)}
_CLIP: Space = {"clip_range": Among((0.1, 0.2, 0.3))}
_EPOCHS: Space = {"n_epochs": Among((1, 2, 4, 8))}
_PASSES: Space = {"n_epochs": Among((1, 2, 4))}
_BATCH: Space = {"batch_size": Among((64, 128, 256, 512, 1024))}
_STARTS: Space = {"n_starts": Among((8, 16, 32, 64))}
_GROUPS: Space = {"n_starts": Among((2, 4, 8, 16)), "group_size": Among((4, 8, 16))}
_PPO: Space = {
    **_SLOW,
    "n_steps": Among((64, 128, 256)),
    "batch_size": Among((256, 512, 1024)),
    **_PASSES,
    **_CLIP,
    **_TRACE,
    **_ENTROPY,
    **_VALUES,
}
_GROUP: Space = {**_SLOW, **_GROUPS, **_ENTROPY, "kl_coef": Among((0.0, 0.01, 0.03, 0.1))}
_REPLAY: Space = {
    "learning_rate": Between(1e-5, 5e-3, log=True),  # at token level smaller ones than elsewhere
    "batch_size": Among((16, 32, 64, 128)),
    "gradient_steps": Among((1, 4, 8, 16)),
}
_Q: Space = {
    **_REPLAY,
    "target_update_interval": Among((250, 500, 1000, 2000)),
    "gamma": Among((0.95, 0.99, 1.0)),
}
_SOFT: Space = {**_REPLAY, "tau": Among((0.005, 0.01, 0.02, 0.05)), "gamma": Among((0.95, 0.99, 1.0))}
_IMITATION: Space = {**_RATE, **_STARTS, **_EPOCHS, **_BATCH, **_ENTROPY}

SPACES: dict[str, Space] = {
    "a2c": {**_RATE, **_ROLLOUT, **_TRACE, **_ENTROPY, **_VALUES, **_KEPT},
    "ac": {**_RATE, **_ROLLOUT, **_ENTROPY, **_VALUES, "target_tau": Among((None, 0.01, 0.05))},
    "bc": _IMITATION,
    "ddqn": {
        **_Q,
        "n_steps": Among((1, 3, 5, 32)),
        "dueling": Among((True, False)),
        "prioritized": Among((True, False)),
    },
    "dpo": {**_SLOW, **_GROUPS, **_EPOCHS, "beta": Among((0.03, 0.1, 0.3)), "pairs": Among((4, 8, 16))},
    "dqn": _Q,
    "expert_iteration": {**_SLOW, **_GROUPS, **_EPOCHS, **_BATCH, **_ENTROPY, "top": Among((0.125, 0.25, 0.5))},
    "filtered_bc": {**_IMITATION, "error": Among((0.25, 0.5, 0.75)), "top": Among((0.125, 0.25, 0.5))},
    "grpo": {
        **_GROUP,
        **_PASSES,
        **_CLIP,
        "advantage": Among(("normalized", "mean", "leave_one_out")),
    },
    "ilql": {
        **_SOFT,
        "expectile": Among((0.7, 0.8, 0.9)),
        "cql_coef": Among((0.0, 0.01, 0.1)),
        "policy_kwargs.beta": Among((4.0, 8.0, 16.0)),
    },
    "maskable_ppo": _PPO,
    "ppo": {**_PPO, **_KEPT},
    "qrdqn": {**_Q, "policy_kwargs.n_quantiles": Among((8, 16, 32))},
    "reinforce": {**_SLOW, **_STARTS, **_ENTROPY, "baseline": Among(("value", "mean", "none"))},
    "rloo": {**_GROUP, "batch_size": Among((None, 256, 512))},
    "sac_discrete": {**_SOFT, "target_entropy": Among((0.03, 0.1, 0.3, 0.5))},
    "trpo": {
        **_RATE,
        **_ROLLOUT,
        **_TRACE,
        "target_kl": Among((0.003, 0.01, 0.03)),
        "n_critic_updates": Among((2, 4, 8)),
    },
}

# What keywords within keywords are where nobody gives them.
NESTED_DEFAULTS: dict[str, Any] = {
    "policy_kwargs.beta": 8.0,
    "policy_kwargs.n_quantiles": 16,
    "rollout_buffer_kwargs.kl_coef": 0.0,
}
