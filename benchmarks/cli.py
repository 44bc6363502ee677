"""The benchmark's command, ``python -m benchmarks``: run suites, report on results, pack and verify submissions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RUNS = Path("runs") / "benchmarks"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments without the program's name; ``None`` takes those of the process.

    Returns:
        0; 1 where a cell failed or a file was refused; 2 after an error that the message explains; 130 after Ctrl-C.
    """
    args = _parser().parse_args(argv)
    console = Console(soft_wrap=True, markup=False, highlight=False, width=None if sys.stdout.isatty() else 160)
    try:
        return args.run(args, console)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from the cells that are finished")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except (ValueError, TypeError, OSError, KeyError, ImportError) as error:
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        print(f"benchmarks: {' '.join(text.split()) or type(error).__name__}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Hold agents against baselines, with statistics."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace, Console], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(run=run)
        return sub

    listing = command("list", _list, "show the suites, players and learners")
    listing.add_argument("suite", nargs="?", metavar="SUITE", help="show this suite's cells instead")

    run = command("run", _run, "play a suite; the same command goes on with one that was interrupted")
    run.add_argument("suite", metavar="SUITE", help="a name of `list`, or a .toml file")
    run.add_argument("--players", nargs="+", metavar="PLAYER", help="these instead of the suite's")
    run.add_argument("--learners", nargs="+", metavar="LEARNER", help="these instead of the suite's; or `all`")
    run.add_argument("--backbones", nargs="+", metavar="MODEL", help="models for the learners")
    run.add_argument("--ids", nargs="+", metavar="ID", help="environments")
    run.add_argument("--levels", nargs="+", metavar="LEVEL", help="levels of the games")
    run.add_argument("--seeds", type=int, metavar="N", help="runs of each contestant")
    run.add_argument("--episodes", type=int, metavar="N", help="test episodes of each cell")
    run.add_argument("--budget", type=int, metavar="STEPS", help="environment steps of training")
    run.add_argument("--action-level", choices=("token", "turn", "choice"), help="of all learners")
    run.add_argument("--jobs", type=int, default=1, metavar="N", help="processes, one thread each; 0: in this one (1)")
    run.add_argument("--out", type=Path, metavar="FOLDER", help=f"where results are kept ({RUNS}/SUITE)")
    run.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS", help="spread the cells with Ray")

    pack = command("pack", _pack, "write results as one file to submit")
    pack.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="folders or files of results")
    pack.add_argument("--only", nargs="+", metavar="NAME", help="these learners or players only")
    pack.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file, ending in .jsonl.xz")
    return parser


def _list(args: argparse.Namespace, console: Console) -> int:
    from benchmarks.contestants import PLAYERS
    from benchmarks.suite import all_learners, load_suite, names

    if args.suite is not None:
        suite = load_suite(args.suite)
        table = Table("contestant", "environment", "level", "seed", "action level", "budget")
        for cell in suite.cells():
            who = cell.name if cell.kind == "player" else f"{cell.name}, {cell.backbone}"
            table.add_row(who, cell.env_id, cell.level, str(cell.seed), cell.action_level, str(cell.budget or ""))
        console.print(table)
        return 0
    table = Table("suite", "environments", "about")
    for name in names():
        suite = load_suite(name)
        table.add_row(name, str(len(suite.ids)), suite.about)
    console.print(table)
    table = Table("player", "what it is")
    for name, kind in PLAYERS.items():
        table.add_row(f"{name}:{kind.argument}" if kind.argument else name, kind.about)
    table.add_row("module:function", "a Python function of the chat so far, a Player class or a Player")
    console.print(table)
    console.print(f"learners: {', '.join(all_learners())}")
    return 0


def _run(args: argparse.Namespace, console: Console) -> int:
    from benchmarks.runner import run
    from benchmarks.suite import all_learners, load_suite

    if args.jobs < 0:
        raise ValueError(f"--jobs must not be negative, not {args.jobs}")
    suite = load_suite(args.suite)
    changes: dict[str, Any] = {}
    if args.players is not None or args.learners is not None:
        changes = {"players": tuple(args.players or ()), "learners": tuple(args.learners or ())}
        if changes["learners"] == ("all",):
            changes["learners"] = all_learners()
    for name in ("backbones", "ids", "levels"):
        if getattr(args, name) is not None:
            changes[name] = tuple(getattr(args, name))
    for name in ("seeds", "episodes", "action_level"):
        if getattr(args, name) is not None:
            changes[name] = getattr(args, name)
    if args.budget is not None:
        if args.budget < 1:
            raise ValueError(f"--budget must be at least 1, not {args.budget}")
        changes["budget"] = dict.fromkeys(("token", "turn", "choice"), args.budget)
    folder: Path = args.out or RUNS / suite.name
    cells = replace(suite, **changes).cells()
    done, failed = run(cells, folder, args.jobs, args.ray, Console(highlight=False))
    console.print(f"{done} of {len(cells)} cells finished, {failed} failed: {folder}")
    if failed:
        console.print("failed cells hold their traceback; the same command tries them again")
    console.print(f"python -m benchmarks report {folder}")
    return 1 if failed else 0


def _pack(args: argparse.Namespace, console: Console) -> int:
    from benchmarks.storage import read, write_submission

    if not args.out.name.endswith(".jsonl.xz"):
        raise ValueError(f"--out must end in .jsonl.xz, not {args.out.name!r}")
    found = {each["digest"]: each for path in args.paths for each in read(path) if each["status"] == "done"}
    names = {each["cell"]["name"] for each in found.values()}
    for name in args.only or ():
        if name not in names:
            raise ValueError(f"--only {name}: the results are of {', '.join(sorted(names))}")
    chosen = [each for each in found.values() if not args.only or each["cell"]["name"] in args.only]
    if not chosen:
        raise ValueError("there are no finished cells to pack")
    write_submission(args.out, chosen)
    console.print(f"{args.out}: {len(chosen)} cells, {args.out.stat().st_size / 1000:.0f} kB")
    return 0
