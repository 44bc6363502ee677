"""The main job, end to end: ``python -m benchmarks.demo`` (or ``make demo``).

The shipped, pretrained ``tiny`` model learns TextDialogue-v0 with Stable-Baselines3's PPO; a report on test episodes
holds it against itself before, a random player and the expert.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import LinearSchedule

import agents
from agents.callbacks import CurveCallback, Point
from agents.evaluation import Evaluation, comparison_table, evaluate, write_text
from agents.players import ExpertPlayer, PolicyPlayer, RandomPlayer

ENV_ID = "TextDialogue-v0"
WINDOW = 384
TIMESTEPS = 160_000
PPO: dict[str, Any] = {
    "num_envs": 32,
    "n_steps": 128,
    "batch_size": 1024,
    "n_epochs": 2,
    "learning_rate": 3e-4,
    "clip_range": 0.2,
    "gae_lambda": 0.95,
    "gamma": 1.0,
    "ent_coef": 0.0,
    "vf_coef": 0.5,
}


class _Bar(BaseCallback):
    """A progress bar with the return and success of the last rollout."""

    def __init__(self, progress: Progress, total: int, curve: CurveCallback) -> None:
        super().__init__()
        self.progress = progress
        self.curve = curve
        self.task = progress.add_task("PPO", total=total, status="")

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        last = self.curve.points[-1] if self.curve.points else None
        status = f"return {last.mean_return:+.2f}  success {last.success:.2f}" if last else ""
        self.progress.update(self.task, completed=self.num_timesteps, status=status)


def run(seed: int, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Train one seed; evaluations before and after, the learning curve and seconds of training."""
    settings = {**PPO, "learning_rate": LinearSchedule(PPO["learning_rate"], 0.0, 1.0)}
    env_kwargs = {"level": options.level, "window": WINDOW}
    model = agents.make("ppo", ENV_ID, seed=seed, env_kwargs=env_kwargs, **settings)

    def measure(when: str) -> list[Evaluation]:
        players = [
            PolicyPlayer(model, deterministic=False, name=f"tiny {when}, sampled"),
            PolicyPlayer(model, deterministic=True, name=f"tiny {when}, greedy"),
        ]
        return [on_test_split(player, options) for player in players]

    torch.manual_seed(seed)
    before = measure("before")
    curve = CurveCallback()
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} tokens"),
    )
    times = (TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[status]}"))
    start = time.perf_counter()
    with Progress(*columns, *times, console=console) as progress:
        model.learn(options.timesteps, callback=[curve, _Bar(progress, options.timesteps, curve)])
    seconds = time.perf_counter() - start
    after = measure("after")
    agents.export(model, Path(options.out) / f"tiny-{seed}")
    return {"seed": seed, "before": before, "after": after, "curve": curve.points, "seconds": seconds}


def on_test_split(player: Any, options: argparse.Namespace) -> Evaluation:
    """Play the test episodes."""
    window = {"window": WINDOW} if isinstance(player, PolicyPlayer) else {}
    return evaluate(player, ENV_ID, options.episodes, level=options.level, seed=1, num_envs=64, **window)


def picture(curves: list[list[Point]]) -> str:
    """The learning curves as an SVG data address."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axis, (title, field) in zip(
        figure.subplots(1, 2), (("return", "mean_return"), ("success rate", "success")), strict=True
    ):
        for points in curves:
            axis.plot([point.timesteps / 1000 for point in points], [getattr(point, field) for point in points], lw=1.6)
        axis.set_xlabel("thousand tokens")
        axis.set_title(f"{title} while training (sampled, train split)", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def pairs(before: Evaluation, after: Evaluation, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Two instances played before and after: one that was lost and then won, and one drawn at random."""
    gained = np.flatnonzero(~np.array(before.successes) & np.array(after.successes))
    chosen = [("lost before, won after", int(rng.choice(gained)))] if len(gained) else []
    chosen.append(("drawn at random", int(rng.integers(len(before.returns)))))
    return [
        {
            "title": f"Test episode {index}, {title}",
            "sides": [
                {"name": e.name, "return": e.returns[index], "won": e.successes[index], "lines": e.transcripts[index]}
                for e in (before, after)
            ],
        }
        for title, index in chosen
    ]


def machine() -> str:
    """What this ran on."""
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "transformers", "stable-baselines3", "gymnasium")
    )
    return f"Python {platform.python_version()}, {packages}; {platform.machine()}, {os.cpu_count()} cores"


def markdown(rows: list[Evaluation]) -> str:
    """The table for the README."""
    lines = ["| player | return | success | turns | score |", "|---|---|---|---|---|"]
    for row in rows:
        found = row.intervals()
        lines.append(
            "| " + " | ".join([row.name, *(str(found[k]) for k in ("return", "success", "turns", "score"))]) + " |"
        )
    return "\n".join(lines)


def report(rows: list[Evaluation], runs: list[dict[str, Any]], options: argparse.Namespace) -> Path:
    """Write the HTML report and ``results.json``; the report's path."""
    template = jinja2.Environment(autoescape=True).from_string(
        (Path(__file__).parent / "templates" / "demo.html").read_text("utf-8")
    )
    table = [(row.name, {key: str(value) for key, value in row.intervals().items()}) for row in rows]
    html = template.render(
        env_id=ENV_ID,
        options=options,
        table=table,
        runs=runs,
        picture=picture([each["curve"] for each in runs]),
        pairs=pairs(runs[0]["before"][0], runs[0]["after"][0], np.random.default_rng(0)),
        machine=machine(),
        command=f"python -m benchmarks.demo {' '.join(sys.argv[1:])}".strip(),
        settings=PPO,
    )
    out = Path(options.out)
    results = {
        "command": sys.argv,
        "machine": machine(),
        "settings": PPO,
        "seconds": {each["seed"]: each["seconds"] for each in runs},
        "rows": [{"name": row.name, **{k: tuple(v) for k, v in row.intervals().items()}} for row in rows],
        "curves": {each["seed"]: [point._asdict() for point in each["curve"]] for each in runs},
    }
    write_text(out / "results.json", json.dumps(results, indent=1))
    return write_text(out / "report.html", html)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="number of training runs")
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument("--level", default="medium")
    parser.add_argument("--episodes", type=int, default=300, help="test episodes for each player")
    parser.add_argument("--timesteps", type=int, default=TIMESTEPS, help="tokens of training")
    parser.add_argument("--out", default="runs/demo", help="folder of the report")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    options = parser.parse_args(arguments)
    console = Console()
    console.print(
        f"[bold]{ENV_ID}[/bold], level {options.level}: PPO on the shipped model, {options.timesteps:,} tokens"
    )
    runs = [run(seed, options, console) for seed in range(options.seed, options.seed + options.seeds)]
    rows = [on_test_split(RandomPlayer(), options), *runs[0]["before"]]
    for each in runs:
        suffix = f", seed {each['seed']}" if len(runs) > 1 else ""
        rows += [named(evaluation, evaluation.name + suffix) for evaluation in each["after"]]
    rows.append(on_test_split(ExpertPlayer(), options))
    console.print(comparison_table(rows))
    console.print("each with its 95% interval; training took " + ", ".join(f"{each['seconds']:.0f} s" for each in runs))
    if options.readme:
        readme = Path(__file__).parent.parent / "README.md"
        head, _, rest = readme.read_text("utf-8").partition("<!-- demo:start -->")
        tail = rest.partition("<!-- demo:end -->")[2]
        command = f"python -m benchmarks.demo {' '.join(sys.argv[1:])}"
        caption = f"`{command}`: {options.episodes} test episodes for each player, 95% intervals."
        write_text(readme, f"{head}<!-- demo:start -->\n{caption}\n\n{markdown(rows)}\n<!-- demo:end -->{tail}")
    path = report(rows, runs, options)
    console.print(f"report: [bold]{path.resolve()}[/bold]", soft_wrap=True)
    return 0


def named(evaluation: Evaluation, name: str) -> Evaluation:
    """The same evaluation under another name."""
    from dataclasses import replace

    return replace(evaluation, name=name)


if __name__ == "__main__":
    sys.exit(main())
