"""Does a pretrained sentence encoder learn a game from fewer steps than a recurrent network from scratch?

``python -m benchmarks.encoders`` trains DQN at choice level on TextClassification-v0, level easy, with all-MiniLM-L6-v2
frozen, the same fine-tuned, and a GRU, and plays the test episodes after so many steps of training.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import agents
from agents.evaluation import Evaluation, evaluate, pool
from agents.players import ExpertPlayer, PolicyPlayer, RandomPlayer
from benchmarks.models import real_model
from benchmarks.provenance import machine_line, write_text

ENV_ID = "TextClassification-v0"
LEVEL = "easy"
_ENV = {"level": LEVEL, "action_level": "choice", "window": 128, "max_utterance_tokens": 8}
_DQN = {"num_envs": 8, "train_freq": 1, "learning_starts": 96, "batch_size": 32, "target_update_interval": 200}
_EXPLORATION = (1.0, 0.05, 500)  # first and last epsilon, steps in between
_INSTANCES_SEED = 7


@dataclass(frozen=True)
class Arm:
    """A model and how it learns.

    Attributes:
        backbone: what ``agents.make`` takes; ``"minilm"`` is looked for.
        frozen: whether only the heads learn.
        settings: keywords of DQN beside the shared ones.
        steps: numbers of environment steps after which it plays the test episodes.
    """

    backbone: str
    frozen: bool
    settings: dict[str, Any]
    steps: tuple[int, ...]


def arms(long: int) -> dict[str, Arm]:
    """The three models; the GRU goes on to ``long`` steps. Updates for each step are as many as the processor can
    afford: four gradient steps of 32 every eight environment steps, one of 16 where all of MiniLM learns."""
    cheap = {"learning_rate": 1e-3, "gradient_steps": 4}
    dear = {"learning_rate": 1e-4, "gradient_steps": 1, "batch_size": 16}
    further = [steps for steps in (2000, 4000, 8000, 16_000, 32_000) if steps <= long]
    return {
        "MiniLM, frozen": Arm("minilm", True, cheap, (250, 500, 1000)),
        "MiniLM, fine-tuned": Arm("minilm", False, dear, (250, 500, 1000)),
        "GRU, from scratch": Arm("gru", False, cheap, (250, 500, 1000, *further)),
    }


def run(arm: Arm, seed: int, episodes: int) -> list[tuple[int, float, Evaluation]]:
    """Steps, seconds of training and the test episodes, at each of the arm's numbers of steps."""
    backbone = str(real_model("minilm")) if arm.backbone == "minilm" else arm.backbone
    policy = {"frozen": arm.frozen, "epsilon": _EXPLORATION}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*has no masked-language-model head")
        model: Any = agents.make(
            "dqn", ENV_ID, backbone, seed=seed, env_kwargs=_ENV, policy_kwargs=policy, **{**_DQN, **arm.settings}
        )
    points, seconds = [], 0.0
    for steps in arm.steps:
        start = time.perf_counter()
        model.learn(steps - model.num_timesteps, reset_num_timesteps=False)
        seconds += time.perf_counter() - start
        points.append((steps, seconds, play(PolicyPlayer(model), episodes)))
        print(f"{arm.backbone}, seed {seed}: {steps} steps in {seconds:.0f} s", file=sys.stderr)
    return points


def play(player: Any, episodes: int) -> Evaluation:
    """The test episodes, greedily."""
    return evaluate(player, ENV_ID, episodes, level=LEVEL, seed=_INSTANCES_SEED, keep=0)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoders", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="training runs of each model (3)")
    parser.add_argument("--episodes", type=int, default=200, help="test episodes at each point (200)")
    parser.add_argument("--only", nargs="+", default=None, help="words of the models to run, such as frozen (all)")
    parser.add_argument("--long", type=int, default=4000, help="steps to which the GRU goes on (4000)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/encoders"), help="folder of results.json (runs/encoders)"
    )
    options = parser.parse_args(arguments)
    chosen = {
        name: arm
        for name, arm in arms(options.long).items()
        if options.only is None or any(word in name for word in options.only)
    }
    rows: list[dict[str, Any]] = []
    lines = ["| model | steps | return | success | of each seed | minutes |", "|---|---|---|---|---|---|"]
    for name, player in (("random", RandomPlayer()), ("expert", ExpertPlayer())):
        found = play(player, options.episodes).summary()
        lines.append(f"| {name} | | {found['return']:.2f} | {found['success']:.2f} | | |")
    print("\n".join(lines), flush=True)
    for name, arm in chosen.items():
        runs = [run(arm, seed, options.episodes) for seed in range(options.seeds)]
        for points in zip(*runs, strict=True):
            steps, minutes = points[0][0], sum(seconds for _, seconds, _ in points) / len(points) / 60
            pooled = pool([found for _, _, found in points], name).summary()
            each = [float(found.successes.mean()) for _, _, found in points]  # type: ignore[union-attr]
            shown = ", ".join(f"{success:.2f}" for success in each)
            lines.append(
                f"| {name} | {steps} | {pooled['return']:.2f} | {pooled['success']:.2f} | {shown} | {minutes:.1f} |"
            )
            print(lines[-1], flush=True)
            summary = {metric: estimate._asdict() for metric, estimate in pooled.items()}
            rows.append({"model": name, "steps": steps, "minutes": minutes, "successes": each, **summary})
    given = sys.argv[1:] if arguments is None else list(arguments)
    results = {"command": " ".join(["python -m benchmarks.encoders", *given]), "machine": machine_line(), "rows": rows}
    write_text(options.out / "results.json", json.dumps(results, indent=1))
    write_text(options.out / "table.md", "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
