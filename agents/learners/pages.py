"""A page for each learner: when to use it, its equations and source, its options with their defaults."""

from __future__ import annotations

import inspect
import re
from typing import Any

from agents.learners.table import LEARNERS, Learner, keywords

# What the classes of other packages do; ours say so themselves.
_STOCK = {
    "a2c": """
Advantage actor-critic (Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning", alg. S3), in its
synchronous form. One gradient step a rollout of ``n_steps`` in each environment descends ``-mean A_t log pi(a_t |
s_t) + vf_coef * mean (R_t - V(s_t))^2 - ent_coef * mean H(pi(. | s_t))``, with generalised advantages ``A_t``, which
at ``gae_lambda=1`` are n-step returns minus ``V``, and ``R_t = A_t + V(s_t)``.
""",
    "dqn": """
Deep Q-network (Mnih et al. 2015, "Human-level control through deep reinforcement learning", alg. 1): replay, a target
network ``Q'`` that follows every ``target_update_interval`` steps, and the Huber loss of ``Q(s, a) - (r + gamma *
max_a' Q'(s', a'))``. The class explores by nothing of its own here: the policy does, among what may be done.
""",
    "maskable_ppo": """
PPO among admissible actions only (Huang and Ontanon 2022, "A closer look at invalid action masking in policy gradient
algorithms"): the logits of the others are -1e8 when acting and when learning, so no gradient goes there. At token
level the environment holds tokens to its admissible utterances (``constrain=True``) where the game lists them.
""",
    "ppo": """
Proximal policy optimisation (Schulman et al. 2017, "Proximal policy optimization algorithms", eq. 7 and 9):
``n_epochs`` passes over a rollout ascend ``mean min(r_t A_t, clip(r_t, 1 - clip_range, 1 + clip_range) A_t)``, with
``r_t = pi(a_t | s_t) / pi_old(a_t | s_t)`` and generalised advantages ``A_t``, less ``vf_coef`` times the squared
error of the values, plus ``ent_coef`` times the entropy. ``rollout_buffer_kwargs={"kl_coef": 0.05}`` takes the
divergence from the starting model off the rewards.
""",
    "qrdqn": """
Quantile regression DQN (Dabney et al. 2018, "Distributional reinforcement learning with quantile regression", alg.
1): each action has ``n_quantiles`` quantiles of its return, which descend the quantile Huber loss to those of ``r +
gamma * Z'(s', a*)``, ``a*`` being the action with the highest mean.
""",
}
_BORING = {  # of every class, or not meant for people
    *("rollout_buffer_class", "replay_buffer_class", "verbose", "seed", "device", "tensorboard_log"),
    *("stats_window_size", "policy_kwargs", "use_sde", "sde_sample_freq", "optimize_memory_usage"),
    *("monitor_wrapper", "support_multi_env"),
}


def page(name: str) -> str:
    """The page of a learner, in Markdown.

    Raises:
        ValueError: there is no such learner.
    """
    if name not in LEARNERS:
        raise ValueError(f"learner must be one of {sorted(LEARNERS)}, not {name!r}")
    row = LEARNERS[name]
    stock = not row.algorithm.__module__.startswith("agents.")
    where = f"`{row.algorithm.__module__.split('.')[0]}.{row.algorithm.__name__}`, unmodified" if stock else (
        f"`{row.algorithm.__module__}.{row.algorithm.__name__}`"
    )  # fmt: skip
    text = _STOCK[name].strip() if stock else inspect.getdoc(row.algorithm) or ""
    # docstrings spell code as reStructuredText does
    text = re.sub(r"(?<!`)``(?!`)", "`", _arguments_as_list(text))
    about = f"Class: {where}. Action levels: {', '.join(row.levels)}."
    if row.recorded:
        about += " Learns from recorded episodes, too: `dataset=FILE`."
    parts = [f"# {name}", row.when, about, text, "## Options"]
    return "\n\n".join([*parts, _options(row)]) + "\n"


def _arguments_as_list(text: str) -> str:
    """The section ``Args:`` of a docstring as a Markdown list; what follows the text on them stays as it is."""
    before, _, after = text.partition("\nArgs:\n")
    entries = re.sub(r"\n {8,}", " ", after)
    return before + re.sub(r"(?m)^ {4}(\w[\w, ]*): ", r"- ``\1``: ", f"\n{entries}" if entries else "")


def _options(row: Learner) -> str:
    """Keywords and their defaults, those of the table before those of the class."""
    defaults: dict[str, Any] = {
        name: default for name, default in keywords(row.algorithm).items() if default is not inspect.Parameter.empty
    }
    defaults.update(row.defaults)
    shown = {name: value for name, value in sorted(defaults.items()) if name not in _BORING}
    elsewhere = {
        name: "".join(f"; {_told(own[name])} at {level} level" for level, own in row.at.items() if name in own)
        for name in shown
    }
    lines = [f"| `{name}` | {_told(shown[name])}{elsewhere[name]} |" for name in shown]
    return "\n".join(["| keyword | default |", "|---|---|", *lines])


def _told(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)
