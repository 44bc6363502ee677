"""Speed, measured side by side: ``python -m benchmarks speed [NAME ...]``.

Every comparison runs both sides in one process, in interleaved rounds, with the same model and the same tokens; the
ratio is the median over the rounds. A comparison whose extra is missing is left out and named.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.provenance import around, write_between, write_text
from benchmarks.speed_measure import CLOCKS, Comparison, machine

OUT = Path("runs") / "speed"
COMMITTED = Path(__file__).with_name("speed.json")

Run = Callable[[argparse.Namespace], list[Comparison]]


def _ppo(utterance: int, goal: float, num_envs: int = 8) -> Run:
    def run(args: argparse.Namespace) -> list[Comparison]:
        from benchmarks.speed_training import compare_ppo

        return [compare_ppo(utterance, goal, args.repeats, args.clock, num_envs)]

    return run


def _values(learner: str) -> Run:
    def run(args: argparse.Namespace) -> list[Comparison]:
        from benchmarks.speed_training import compare_values

        return compare_values(learner, args.repeats, args.clock)

    return run


def _grpo(group: int) -> Run:
    def run(args: argparse.Namespace) -> list[Comparison]:
        from benchmarks.speed_group import compare_groups

        return [compare_groups(group, args.repeats, args.clock)]

    return run


def _grpo_smollm2(dtype: str) -> Run:
    def run(args: argparse.Namespace) -> list[Comparison]:
        from benchmarks.speed_group import compare_groups, smollm2

        model = smollm2(_model(args))
        return [compare_groups(8, args.repeats, args.clock, model, "SmolLM2-135M", goal=3.0, dtype=dtype)]

    return run


def _decode(dtype: str) -> Run:
    def run(args: argparse.Namespace) -> list[Comparison]:
        from benchmarks.speed_decode import compare_decoding

        return compare_decoding(_model(args), dtype, args.repeats, args.clock)

    return run


def _share(args: argparse.Namespace) -> list[Comparison]:
    from benchmarks.speed_decode import share_outside

    return [share_outside("tiny", "tiny", 0.10, args.repeats)]


def _share_smollm2(args: argparse.Namespace) -> list[Comparison]:
    from benchmarks.speed_decode import share_outside

    return [share_outside(_model(args), "SmolLM2-135M", 0.01, args.repeats, steps=8)]


def _memory(args: argparse.Namespace) -> list[Comparison]:
    from benchmarks.speed_growth import compare_memory

    return [compare_memory()]


def _growth(args: argparse.Namespace) -> list[Comparison]:
    from benchmarks.speed_growth import draw_growth, growth

    found = growth(args.repeats)
    draw_growth(found, args.out / "growth.svg")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "growth.json").write_text(json.dumps(found, indent=1))
    rows = []
    for name, values in found.items():
        (low, first), *_, (high, last) = values.items()
        # Over a window twice as long a token may take twice as long; over more rows it should take no longer.
        ratio = (high / low if name == "window" else 1.0) * first / last
        rows.append(
            Comparison(
                f"growth, time per token from {name} {low} to {high}",
                "growth in proportion",
                "microseconds a token",
                ratio,
                (ratio, ratio),
                1.0,
                {f"{name} {size}": value for size, value in values.items()},
            )
        )
    return rows


_COLUMNS = ("what", "against", "ratio", "goal", "medians")

COMPARISONS: dict[str, tuple[Run, str]] = {
    "ppo16": (_ppo(16, 15.0), "PPO, utterances of 16 tokens, against the plain policy and buffer"),
    "ppo64": (_ppo(64, 40.0), "the same with utterances of 64 tokens"),
    "ppo64-wide": (_ppo(64, 40.0, 32), "the same with 32 environments instead of 8 (a minute a round)"),
    "dqn": (_values("dqn"), "DQN updates against plain replay"),
    "ddqn": (_values("ddqn"), "DDQN updates against plain replay"),
    "grpo8": (_grpo(8), "a GRPO update against TRL's, group of 8 (needs trl)"),
    "grpo32": (_grpo(32), "the same with a group of 32"),
    "grpo-smollm2": (_grpo_smollm2("float32"), "the same with SmolLM2-135M, group of 8 (needs trl and --model)"),
    "grpo-smollm2-bfloat16": (_grpo_smollm2("bfloat16"), "the same in bfloat16 on both sides"),
    "decode": (_decode("float32"), "SmolLM2-135M against Hugging Face's generate, and its ceiling (needs --model)"),
    "decode-bfloat16": (_decode("bfloat16"), "the same in bfloat16"),
    "share": (_share, "what a rollout with tiny spends outside the model"),
    "share-smollm2": (_share_smollm2, "the same with SmolLM2-135M (needs --model)"),
    "memory": (_memory, "bytes of a replay buffer against whole observations"),
    "growth": (_growth, "time per token against window, batch and environments, with a picture"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(COMPARISONS)} (all)")
    parser.add_argument("--model", type=Path, metavar="FILE", help="SmolLM2-135M, a .gguf file or a folder")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds (5)")
    parser.add_argument(
        "--clock", choices=sorted(CLOCKS), default="wall", help="cpu: on a machine that others use, too"
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the table between this page's marks, too")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help=f"where speed.json goes ({OUT})")


def run(args: argparse.Namespace, console: Console | None = None) -> int:
    """Measure, print a table and write ``speed.json``; 0, or 1 where nothing could be measured.

    Raises:
        OSError: there is no such page.
        ValueError: an unknown name, or a page without marks.
    """
    console = console or Console()
    unknown = [name for name in args.names if name not in COMPARISONS]
    if unknown:
        raise ValueError(f"unknown comparison {unknown[0]!r}: it must be one of {', '.join(COMPARISONS)}")
    if args.page is not None:
        around(args.page, "speed")  # a page that will not do is found before all is measured
    found: list[Comparison] = []
    left_out: dict[str, str] = {}
    for name in args.names or COMPARISONS:
        console.print(f"{name}: {COMPARISONS[name][1]}")
        try:
            found += COMPARISONS[name][0](args)
        except ImportError as error:
            left_out[name] = str(error)
            console.print(f"  left out: {error}")
        except Exception as error:  # whatever another package does when it is not at home; the others are measured
            left_out[name] = f"{type(error).__name__}: {error}"
            console.print(f"  failed: {left_out[name]}", markup=False)
        document = _save(args, found, left_out)
    console.print(table(document))
    if args.page is not None:
        write_between(args.page, "speed", markdown(document))
    return 0 if found else 1


def table(document: Mapping[str, Any]) -> Table:
    """The comparisons of ``speed.json`` as a table for the terminal."""
    shown = Table(*_COLUMNS, title="Speed")
    for each in document["comparisons"]:
        shown.add_row(*_cells(each))
    return shown


def markdown(document: Mapping[str, Any]) -> str:
    """What ``speed.json`` holds, as a caption and a table of Markdown."""
    about = document["machine"]
    caption = (
        f"Medians of {document['repeats']} interleaved rounds; in brackets the smallest and the largest of a round. "
        f"{about['processor']}, {about['threads']} of {about['cores']} threads, load {about['load average']}, "
        f"{document['clock']} clock, torch {about['torch']}."
    )
    rows = [_COLUMNS, *map(_cells, document["comparisons"])]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([caption, "", lines[0], "|" + "---|" * len(_COLUMNS), *lines[1:]])


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A comparison in words, by ``_COLUMNS``."""
    low, high = row["spread"]
    goal = "" if row["goal"] is None else f"{row['goal']:g}, " + ("reached" if row["reached"] else "missed")
    told = {side: f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for side, value in row["values"].items()}
    medians = ", ".join(f"{side} {value}" for side, value in told.items())
    ratio = f"{row['ratio']:.3g} ({low:.3g} to {high:.3g})"
    return row["name"], row["against"], ratio, goal, f"{medians} {row['unit']}"


def _save(args: argparse.Namespace, found: Sequence[Comparison], left_out: dict[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "machine": machine(),
        "clock": args.clock,
        "repeats": args.repeats,
        "comparisons": [each.as_json() for each in found],
        "left_out": left_out,
    }
    write_text(args.out / COMMITTED.name, json.dumps(document, indent=1))
    return document


def _model(args: argparse.Namespace) -> str:
    if args.model is None:
        raise ImportError("this comparison needs a model: give --model FILE (SmolLM2-135M as .gguf, or a folder)")
    return str(args.model)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on its own: ``python -m benchmarks.speed``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks speed", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
