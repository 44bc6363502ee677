"""Where the time of PPO goes, before and after: ``python -m benchmarks.speed_profile``.

``tiny`` on 32 dialogues, at token level. "Before" is the same code with the layers, the cache and the normalisation of
``transformers`` and samples drawn by ``torch.multinomial``. Processor milliseconds of one thread, by torch's profiler,
which itself costs a few.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

import agents
from agents.policies import actor_critic
from agents.policies.chosen import pick
from agents.policies.reader import MASKED
from benchmarks.provenance import machine_line
from benchmarks.speed_training import by_transformers

_ROWS, _STEPS, _BATCH = 32, 32, 512
_COMPILED, _DRAWING = "compiled layers", "drawing"
# What torch calls them; the time of each without what it calls.
PARTS = {
    "products of linear layers": ("aten::mm", "aten::addmm", "mkldnn::_linear_pointwise"),
    "attention": (
        "aten::bmm",
        "aten::baddbmm",
        "aten::_softmax",
        "aten::_scaled_dot_product_flash_attention_for_cpu",
        "aten::_scaled_dot_product_flash_attention_for_cpu_backward",
    ),
    "moving and writing": (
        "aten::copy_",
        "aten::cat",
        "aten::index",
        "aten::index_select",
        "aten::index_copy_",
        "aten::_index_put_impl_",
    ),
    "element by element": ("aten::mul", "aten::mul_", "aten::add", "aten::add_", "aten::addcmul_", "aten::pow"),
    "all layers, compiled": (_COMPILED, "_Read", "_ReadBackward"),
    "drawing": ("aten::multinomial", "aten::exponential_", _DRAWING),
}


def learner(before: bool) -> Any:
    """PPO as it is, or with the model's own forward pass."""
    model: Any = agents.make(
        "ppo",
        "TextDialogue-v0",
        num_envs=_ROWS,
        env_kwargs={"window": 256, "max_utterance_tokens": 16},
        n_steps=_STEPS,
        batch_size=_BATCH,
        n_epochs=1,
    )
    if before:
        return by_transformers(model)
    decoder = model.policy.reader.backbone.decoder
    advance = decoder.advance

    def recorded(*given: Any) -> Any:
        with record_function(_COMPILED):
            return advance(*given)

    decoder.advance = recorded
    return model


def drawing(before: bool) -> AbstractContextManager[Any]:
    """Samples as they are drawn, or as ``Categorical.sample`` draws them."""

    def multinomial(logits: Tensor, deterministic: bool, forbidden: Tensor) -> tuple[Tensor, Tensor]:
        log_probs = logits.masked_fill(forbidden, MASKED).log_softmax(dim=1)
        actions = torch.multinomial(log_probs.exp(), 1)
        return actions[:, 0], log_probs.gather(1, actions)[:, 0]

    def recorded(*given: Any) -> Any:
        with record_function(_DRAWING):
            return pick(*given)

    return patch.object(actor_critic, "pick", multinomial if before else recorded)


def measure(before: bool, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of a step of the rollout and of a gradient step, by part."""
    with drawing(before):
        model = learner(before)
        train: Callable[[], None] = model.train
        steps = _ROWS * _STEPS
        model.learn(steps)  # sets everything up
        model.train = model.policy.reader.forget
        with profile(activities=[ProfilerActivity.CPU]) as rollout:
            model.learn(rounds * steps, reset_num_timesteps=False)
        with profile(activities=[ProfilerActivity.CPU]) as gradient:
            for _ in range(rounds):
                train()
    updates = rounds * steps // _BATCH
    return {"a step of the rollout": _parts(rollout, rounds * _STEPS), "a gradient step": _parts(gradient, updates)}


def _parts(found: Any, times: int) -> dict[str, float]:
    own = {event.key: event.self_cpu_time_total / 1000 / times for event in found.key_averages()}
    parts = {name: sum(own.get(key, 0.0) for key in keys) for name, keys in PARTS.items()}
    return {"all of torch": sum(own.values()), **parts}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed_profile", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="rollouts and passes over them (4)")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    both = [measure(before, options.rounds) for before in (True, False)]
    console = Console()
    for what, parts in both[1].items():
        table = Table(what, "before", "after", title=f"Milliseconds of {what}")
        for name, after in parts.items():
            table.add_row(name, f"{both[0][what][name]:.1f}", f"{after:.1f}")
        console.print(table)
    console.print(machine_line())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
