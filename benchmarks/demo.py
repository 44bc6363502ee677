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
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import LinearSchedule

import agents
from agents.callbacks import CurveCallback, Point
from agents.evaluation import METRICS, Estimate, Evaluation, cells, comparison_table, evaluate, paired_difference, pool
from agents.players import ExpertPlayer, Player, PolicyPlayer, RandomPlayer
from benchmarks.provenance import machine_line, write_between, write_text
from textenvs.env import load_game
from textenvs.registration import spec

ENV_ID = "TextDialogue-v0"
WINDOW = 320
TIMESTEPS = 100_000
PPO: dict[str, Any] = {
    "num_envs": 32,
    "n_steps": 128,
    "batch_size": 1024,
    "n_epochs": 1,
    "learning_rate": 5e-4,
    "clip_range": 0.2,
    "gae_lambda": 0.9,
    "gamma": 1.0,
    "rollout_buffer_kwargs": {"kl_coef": 0.02},
    "ent_coef": 0.0,
    "vf_coef": 0.5,
}
_INSTANCES_SEED = 1  # of the test episodes, the same for every player and training seed
_TEMPLATE = Path(__file__).parent / "templates" / "demo.html"
_README = Path(__file__).parent.parent / "README.md"
_WAYS = ("sampled", "greedy")
_LIGHT = {"ink": "#5b6675", "grid": "#dde2e9", "curves": ("#2563c9", "#c2570c", "#14804a")}
_DARK = {"ink": "#9aa5b4", "grid": "#303a47", "curves": ("#7fb0ff", "#f5a05c", "#4cc38a")}


@dataclass
class Run:
    """One training run: its seed, learning curve, seconds, and the evaluations of the model after it, by way."""

    seed: int
    curve: list[Point]
    seconds: float
    after: dict[str, Evaluation]


class _Bar(BaseCallback):
    """A progress bar with the return and success of the last rollout."""

    def __init__(self, progress: Progress, title: str, total: int, curve: CurveCallback) -> None:
        super().__init__()
        self.progress = progress
        self.curve = curve
        self.task = progress.add_task(title, total=total, status="")

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        last = self.curve.points[-1] if self.curve.points else None
        status = f"return {last.mean_return:+.2f}  success {last.success:.2f}" if last else ""
        self.progress.update(self.task, completed=self.num_timesteps, status=status)


def make(seed: int, level: str) -> Any:
    """PPO on the shipped model, at token level."""
    settings = {**PPO, "learning_rate": LinearSchedule(PPO["learning_rate"], 0.0, 1.0)}
    return agents.make("ppo", ENV_ID, seed=seed, env_kwargs={"level": level, "window": WINDOW}, **settings)


def train(seed: int, options: argparse.Namespace, console: Console, out: Path) -> Run:
    """Train and evaluate one seed; the model goes to ``out`` as a Hugging Face folder."""
    model = make(seed, options.level)
    curve = CurveCallback()
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} tokens"),
    )
    times = (TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[status]}"))
    start = time.perf_counter()
    with Progress(*columns, *times, console=console) as progress:
        model.learn(options.timesteps, callback=[curve, _Bar(progress, f"PPO, seed {seed}", options.timesteps, curve)])
    seconds = time.perf_counter() - start
    agents.export(model, out)
    return Run(seed, curve.points, seconds, both_ways(model, "after", options))


def both_ways(model: Any, when: str, options: argparse.Namespace) -> dict[str, Evaluation]:
    """The model sampled and greedy."""
    players = {way: PolicyPlayer(model, way == "greedy", f"tiny {when}, {way}") for way in _WAYS}
    return {way: on_test_split(player, options) for way, player in players.items()}


def on_test_split(player: Player, options: argparse.Namespace) -> Evaluation:
    """Play the test episodes; all transcripts are kept."""
    return evaluate(
        player,
        ENV_ID,
        options.episodes,
        level=options.level,
        seed=_INSTANCES_SEED,
        num_envs=64,
        progress=True,
        keep=options.episodes,
    )


def rows_of(random: Evaluation, before: dict[str, Evaluation], runs: Sequence[Run], expert: Evaluation) -> list[Any]:
    """The table's rows; of several runs each one and, below them, their means over the same instances."""
    rows = [random, *before.values()]
    for way in _WAYS:
        results = [run.after[way] for run in runs]
        if len(runs) == 1:
            rows += results
            continue
        rows += [replace(each, name=f"{each.name}, seed {run.seed}") for each, run in zip(results, runs, strict=True)]
        rows.append(pool(results, f"tiny after, {way}, all seeds"))
    return [*rows, expert]


def gains(before: dict[str, Evaluation], runs: Sequence[Run]) -> dict[str, dict[str, Estimate]]:
    """After minus before on the same instances, by way and metric."""
    return {way: paired_difference(pool([run.after[way] for run in runs], "after"), before[way]) for way in _WAYS}


def picture(runs: Sequence[Run], against: str, random: Evaluation, expert: Evaluation, dark: bool) -> str:
    """Return and success while training against ``"tokens"`` or ``"seconds"``, as an SVG data address."""
    from matplotlib.figure import Figure

    colours: dict[str, Any] = _DARK if dark else _LIGHT
    figure = Figure(figsize=(5, 5), layout="constrained")
    figure.patch.set_alpha(0)
    references = {"random": random.summary(), "expert": expert.summary()}
    panels = figure.subplots(2, 1, sharex=True)
    for axis, title, field, metric in (
        (panels[0], "return", "mean_return", "return"),
        (panels[1], "success rate", "success", "success"),
    ):
        for run, colour in zip(runs, colours["curves"], strict=False):
            at = [point.timesteps / 1000 if against == "tokens" else point.seconds for point in run.curve]
            heights = [getattr(point, field) for point in run.curve]
            label = f"seed {run.seed}" if len(runs) > 1 else None
            axis.plot(at, heights, lw=1.8, color=colour, label=label, marker="." if len(at) < 3 else None)
        for name, summary in references.items():
            if metric in summary:
                height = summary[metric].mean
                axis.axhline(height, color=colours["ink"], lw=1, ls=(0, (4, 3)))
                place = {"x": 0.01, "y": height, "transform": axis.get_yaxis_transform(), "color": colours["ink"]}
                axis.text(s=name, va="bottom", fontsize=9, **place)
        axis.set_title(title, fontsize=11, color=colours["ink"], loc="left")
        axis.set_facecolor("none")
        axis.margins(y=0.15)
        axis.grid(color=colours["grid"], lw=0.7)
        axis.tick_params(colors=colours["ink"], length=0)
        for spine in axis.spines.values():
            spine.set_visible(False)
    panels[1].set_xlabel("thousand tokens" if against == "tokens" else "seconds of training", color=colours["ink"])
    if len(runs) > 1:
        panels[0].legend(frameon=False, fontsize=9, labelcolor=colours["ink"], loc="best")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def pairs(before: Evaluation, after: Evaluation, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Instances played before and after: two that were lost and then won, and one drawn from all at random."""
    assert before.successes is not None and after.successes is not None
    at_random = int(rng.integers(len(before.returns)))
    gained = np.flatnonzero(~before.successes & after.successes)
    picked = rng.permutation(gained)[:2].tolist()
    note = f"picked: one of {len(gained)} of {len(before.returns)} episodes that were lost before and won after"
    chosen = [*((index, note) for index in picked), (at_random, "drawn at random from all test episodes")]
    return [
        {
            "title": f"Test episode {index}",
            "note": note,
            "sides": [
                {
                    "name": each.name,
                    "return": each.returns[index],
                    "won": bool(each.successes[index]),  # type: ignore[index]
                    "lines": each.transcripts[index],
                }
                for each in (before, after)
            ],
        }
        for index, note in chosen
    ]


def markdown(rows: Sequence[Evaluation]) -> str:
    """The table for the README."""
    lines = ["| player | return | success | turns | score |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join([row.name, *cells(row)])} |" for row in rows]
    return "\n".join(lines)


def report(
    rows: Sequence[Evaluation], before: dict[str, Evaluation], runs: Sequence[Run], options: argparse.Namespace
) -> Path:
    """Write ``report.html`` and ``results.json``; the report's path."""
    out, command = Path(options.out), _command(options)
    gained = gains(before, runs)
    pooled = {way: pool([run.after[way] for run in runs], way).summary() for way in _WAYS}
    html = (
        jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        .from_string(_TEMPLATE.read_text("utf-8"))
        .render(
            env_id=ENV_ID,
            about=_first_sentence(),
            options=options,
            metrics=METRICS,
            rows=[(row.name, row.summary()) for row in rows],
            digits={"return": 2, "success": 2, "turns": 1, "score": 0},
            before={way: evaluation.summary() for way, evaluation in before.items()},
            after=pooled,
            gains=gained,
            runs=runs,
            pictures=[
                (against, *(picture(runs, against, rows[0], rows[-1], dark) for dark in (False, True)))
                for against in ("tokens", "seconds")
            ],
            pairs=pairs(before["sampled"], runs[0].after["sampled"], np.random.default_rng(options.seed)),
            machine=machine_line(),
            command=command,
            settings=PPO,
            window=WINDOW,
            instances_seed=_INSTANCES_SEED,
        )
    )
    results = {
        "command": command,
        "machine": machine_line(),
        "settings": {**PPO, "window": WINDOW, "timesteps": options.timesteps, "level": options.level},
        "rows": [{"name": row.name, **{k: v._asdict() for k, v in row.summary().items()}} for row in rows],
        "after_minus_before": {way: {k: v._asdict() for k, v in found.items()} for way, found in gained.items()},
        "runs": [
            {"seed": run.seed, "seconds": run.seconds, "curve": [point._asdict() for point in run.curve]}
            for run in runs
        ],
        "episodes": [json.loads(replace(row, transcripts=[]).to_json()) for row in rows],
    }
    write_text(out / "results.json", json.dumps(results, indent=1))
    return write_text(out / "report.html", html)


def _command(options: argparse.Namespace) -> str:
    """What makes the figures again; where the report went is nothing to them."""
    elsewhere = argparse.ArgumentParser(add_help=False)
    elsewhere.add_argument("--out")
    return f"python -m benchmarks.demo {shlex.join(elsewhere.parse_known_args(options.given)[1])}".strip()


def update_readme(rows: Sequence[Evaluation], options: argparse.Namespace) -> None:
    """Put the table between the README's marks."""
    counts = f"level {options.level}, {options.episodes} test episodes for each player, 95% intervals."
    caption = f"`{_command(options)}`: {counts}"
    write_between(_README, "demo", f"{caption}\n\n{markdown(rows)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0, or 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    count = _at_least(1)
    parser.add_argument("--seeds", type=count, default=1, choices=(1, 2, 3), help="number of training runs (1)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--level", default="easy", choices=tuple(load_game(spec(ENV_ID).entry).levels))
    parser.add_argument("--episodes", type=_at_least(2), default=300, help="test episodes for each player (300)")
    parser.add_argument("--timesteps", type=count, default=TIMESTEPS, help=f"tokens of training ({TIMESTEPS})")
    parser.add_argument("--out", default="runs/demo", help="folder of the report (runs/demo)")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    options = parser.parse_args(arguments)
    options.given = sys.argv[1:] if arguments is None else list(arguments)
    console = Console()
    try:
        path = demo(options, console)
    except KeyboardInterrupt:
        console.print(f"interrupted: {options.out} is as it was before")
        return 130
    console.print(f"report: {path.resolve()}", soft_wrap=True, highlight=False)
    return 0


def demo(options: argparse.Namespace, console: Console) -> Path:
    """Train, evaluate, print, write; the report's path. Nothing of ``out`` changes before all is done."""
    console.print(
        f"[bold]{ENV_ID}[/bold], level {options.level}: PPO on the shipped model, {options.timesteps:,} tokens, "
        f"then {options.episodes} test episodes for each player"
    )
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".demo-") as scratch:
        random = on_test_split(RandomPlayer(), options)
        expert = on_test_split(ExpertPlayer(), options)
        before = both_ways(make(options.seed, options.level), "before", options)
        seeds = range(options.seed, options.seed + options.seeds)
        runs = [train(seed, options, console, Path(scratch) / f"tiny-{seed}") for seed in seeds]
        rows = rows_of(random, before, runs, expert)
        console.print(comparison_table({row.name: row for row in rows}), soft_wrap=True)  # no column is cut off
        for way, found in gains(before, runs).items():
            console.print(f"after - before, {way}: return {found['return']:+.2f}, success {found['success']:+.2f}")
        console.print(f"training took {', '.join(f'{run.seconds:.0f} s' for run in runs)}")
        path = report(rows, before, runs, options)
        for folder in Path(scratch).iterdir():
            shutil.rmtree(out / folder.name, ignore_errors=True)
            os.replace(folder, out / folder.name)
    if options.readme:
        update_readme(rows, options)
    return path


def _first_sentence() -> str:
    """What the game is, from its page."""
    page = load_game(spec(ENV_ID).entry).__doc__ or ""
    return page.partition("\n")[0].partition(": ")[2]


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"it must be at least {least}")
        return int(text)

    return number


if __name__ == "__main__":
    sys.exit(main())
