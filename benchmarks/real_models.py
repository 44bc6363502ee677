"""Does a real language model get better at a game in minutes? ``python -m benchmarks real_models --model PATH``.

Each learner trains low-rank adapters of SmolLM2-135M-Instruct on one game for so many minutes, at token level, and
plays the same test episodes before and after. Nothing but the rewards tells it what to say.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from stable_baselines3.common.callbacks import BaseCallback

import agents
from agents.callbacks import CurveCallback, Point
from agents.evaluation import METRICS, Estimate, Evaluation, cells, evaluate, paired_difference, pool
from agents.players import ExpertPlayer, PolicyPlayer, RandomPlayer
from benchmarks.models import real_model
from benchmarks.provenance import machine, versions, write_text

ENV_ID = "TextClassification-v0"
LEVEL = "easy"
OUT = Path("runs") / "real_models.json"
_ENV = {"level": LEVEL, "action_level": "token", "window": 384, "max_utterance_tokens": 8}
_SHORT = {"max_turns": 1}  # of training: many episodes; those of the test are the game's own
_LORA = {"lora": {"r": 8}}
_INSTANCES_SEED = 7
_ROWS = 32  # of an evaluation
_PLAYS = {"sampled": False, "greedy": True}  # the first is what is trained

SETTINGS: dict[str, dict[str, Any]] = {
    "ppo": {
        "num_envs": 16,
        "n_steps": 32,
        "batch_size": 128,
        "n_epochs": 2,
        "learning_rate": 1e-3,
        "gamma": 0.5,  # what the end of a short episode is said to be worth counts half
        "env_kwargs": _SHORT,
        "policy_kwargs": _LORA,
    },
    "grpo": {
        "num_envs": 32,
        "n_starts": 8,
        "group_size": 8,
        "n_epochs": 1,
        "clip_range": 0.2,
        "advantage": "normalized",
        "batch_size": 128,
        "learning_rate": 1e-3,
        "env_kwargs": _SHORT,
        "policy_kwargs": _LORA,
    },
}


@dataclass
class Trained:
    """What came of training one learner with one seed.

    Attributes:
        before, after: the test episodes, by way of playing (``"sampled"``, ``"greedy"``).
        timesteps: tokens that were said while training.
        seconds: of training.
        curve: returns while training.
    """

    learner: str
    seed: int
    before: dict[str, Evaluation]
    after: dict[str, Evaluation]
    timesteps: int
    seconds: float
    curve: list[Point] = field(default_factory=list)


class _Minutes(BaseCallback):
    """Stops when the time is over."""

    def __init__(self, minutes: float) -> None:
        super().__init__()
        self.end = time.perf_counter() + 60 * minutes

    def _on_step(self) -> bool:
        return time.perf_counter() < self.end


def train(
    learner: str,
    model_path: str,
    minutes: float,
    seed: int = 0,
    episodes: int = 200,
    settings: Mapping[str, Any] | None = None,
    tell: Any = print,
) -> Trained:
    """Train ``learner`` for ``minutes`` and let it play the same test ``episodes`` before and after.

    Args:
        learner: a name of ``SETTINGS``.
        model_path: what ``agents.load_backbone`` takes.
        minutes: of training; the episodes come on top.
        seed: of training.
        episodes: how many.
        settings: keywords of ``agents.make`` in place of those of ``SETTINGS``.
        tell: gets a line of progress now and then.
    """
    keywords = {**SETTINGS[learner], **(settings or {})}
    keywords["env_kwargs"] = {**_ENV, **keywords.get("env_kwargs", {})}
    model: Any = agents.make(learner, ENV_ID, model_path, seed=seed, **keywords)
    curve = CurveCallback()
    before = play(model, episodes)
    tell(f"{learner}, seed {seed}, before: {_told(before)}")
    start = time.perf_counter()
    model.learn(sys.maxsize, [curve, _Minutes(minutes)])
    seconds = time.perf_counter() - start
    after = play(model, episodes)
    tell(f"{learner}, seed {seed}, after {seconds:.0f} s and {model.num_timesteps} tokens: {_told(after)}")
    return Trained(learner, seed, before, after, model.num_timesteps, seconds, curve.points)


def play(model: Any, episodes: int) -> dict[str, Evaluation]:
    """The test episodes, in each way of playing."""
    return {
        name: evaluate(
            PolicyPlayer(model, deterministic, name),
            ENV_ID,
            episodes,
            level=LEVEL,
            seed=_INSTANCES_SEED,
            num_envs=_ROWS,
            keep=5,
        )
        for name, deterministic in _PLAYS.items()
    }


def _told(evaluations: Mapping[str, Evaluation]) -> str:
    return "; ".join(f"{name} return {each.summary()['return']:.2f}" for name, each in evaluations.items())


def table(found: Sequence[Trained], baselines: Mapping[str, Evaluation]) -> Table:
    """Before, after and the paired difference of each learner and way of playing, its seeds taken together."""
    title = f"{ENV_ID}, {LEVEL}: before and after"
    shown = Table(title=title, caption="mean [95% interval]; difference over the same episodes")
    for column in ("learner", "play", "when", *METRICS, "minutes", "tokens"):
        shown.add_column(column, no_wrap=column in ("learner", "play"))
    for name, evaluation in baselines.items():
        shown.add_row(name, "", "", *cells(evaluation), "", "")
    for learner in dict.fromkeys(each.learner for each in found):
        own = [each for each in found if each.learner == learner]
        minutes = f"{sum(each.seconds for each in own) / len(own) / 60:.1f}"
        tokens = f"{sum(each.timesteps for each in own) / len(own):,.0f}"
        for play_name in _PLAYS:
            before, after = (pooled(own, when, play_name) for when in ("before", "after"))
            difference = paired_difference(after, before)
            differs = [f"{difference[name]:+.2f}" if name in difference else "–" for name in METRICS]
            shown.add_row(learner, play_name, "before", *cells(before), "", "")
            shown.add_row("", "", "after", *cells(after), minutes, tokens)
            shown.add_row("", "", "difference", *differs, "", "", end_section=True)
    return shown


def pooled(found: Sequence[Trained], when: str, play_name: str) -> Evaluation:
    """The test episodes of several seeds as one; of one seed its own."""
    evaluations = [getattr(each, when)[play_name] for each in found]
    return evaluations[0] if len(evaluations) == 1 else pool(evaluations, play_name)


def as_json(each: Trained) -> dict[str, Any]:
    """A run for the file: settings, summaries, differences and every episode."""

    def estimates(summary: Mapping[str, Estimate]) -> dict[str, Any]:
        return {name: estimate._asdict() for name, estimate in summary.items()}

    plays = {}
    for name in _PLAYS:
        before, after = each.before[name], each.after[name]
        plays[name] = {
            "before": estimates(before.summary()),
            "after": estimates(after.summary()),
            "difference": estimates(paired_difference(after, before)),
            "episodes": {"before": json.loads(before.to_json()), "after": json.loads(after.to_json())},
        }
    return {
        "learner": each.learner,
        "seed": each.seed,
        "settings": SETTINGS[each.learner],
        "timesteps": each.timesteps,
        "seconds": each.seconds,
        "curve": [point._asdict() for point in each.curve],
        "plays": plays,
    }


def run(
    model: str | None,
    learners: Sequence[str],
    minutes: float,
    seeds: int,
    episodes: int,
    out: Path,
    console: Console,
) -> int:
    """Train, write the file after each run, and print the table; 0.

    Args:
        model: what ``agents.load_backbone`` takes; ``None`` looks for SmolLM2-135M-Instruct.
        learners: names of ``SETTINGS``.
        minutes: of training, for each learner and seed.
        seeds: runs of each learner.
        episodes: test episodes.
        out: the file.
        console: where the table goes.

    Raises:
        ValueError: a number or a name that makes no sense.
        FileNotFoundError: there is no such model.
    """
    for name in learners:
        if name not in SETTINGS:
            raise ValueError(f"--learners must be of {', '.join(SETTINGS)}, not {name!r}")
    for option, value, least in (("--seeds", seeds, 1), ("--episodes", episodes, 2)):
        if value < least:
            raise ValueError(f"{option} must be at least {least}, not {value}")
    if not minutes > 0:
        raise ValueError(f"--minutes must be above 0, not {minutes:g}")
    model_path = model or str(real_model("smollm2"))
    baselines = {
        player.name: evaluate(player, ENV_ID, episodes, level=LEVEL, seed=_INSTANCES_SEED, keep=0)
        for player in (RandomPlayer(), ExpertPlayer())
    }
    found: list[Trained] = []
    for learner in learners:
        for seed in range(seeds):
            found.append(train(learner, model_path, minutes, seed, episodes, tell=console.print))
            document = {
                "environment": {"id": ENV_ID, **_ENV},
                "model": Path(model_path).name,
                "minutes": minutes,
                "machine": machine(),
                "versions": versions(),
                "baselines": {name: json.loads(each.to_json()) for name, each in baselines.items()},
                "runs": [as_json(each) for each in found],
            }
            write_text(out, json.dumps(document, indent=1, ensure_ascii=False))
    console.print(table(found, baselines))
    console.print(f"results: {out}")
    return 0
