"""The benchmark's command, ``python -m benchmarks``: run suites, report on results, pack and verify submissions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.speed import add_arguments

RUNS = Path("runs") / "benchmarks"
LEARNING = Path("runs") / "learning.json"
TUNING = Path("runs") / "tune"
_SHOWN = 10  # differences of a refused file


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
        console.print("stopped; the same command goes on from what is finished")
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

    speed = command("speed", _speed, "measure speed side by side with plain learners, TRL and Hugging Face")
    add_arguments(speed)

    real = command("real_models", _real_models, "train adapters of a real language model; play before and after")
    real.add_argument("--model", metavar="PATH", help="a .gguf file or a folder (SmolLM2-135M-Instruct)")
    real.add_argument("--learners", nargs="+", default=["ppo", "grpo"], metavar="NAME", help="(ppo and grpo)")
    real.add_argument("--minutes", type=float, default=15.0, help="of training, each learner and seed (15)")
    real.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each learner (1)")
    real.add_argument("--episodes", type=int, default=200, metavar="N", help="test episodes, before and after (200)")
    real.add_argument("--out", type=Path, metavar="FILE", help="the results (runs/real_models.json)")

    learning = command("learning", _learning, "train every learner on a small game whose optimum is known")
    learning.add_argument("--learners", nargs="+", metavar="LEARNER", help="these only (all)")
    learning.add_argument("--seeds", type=int, default=3, metavar="N", help="training runs of each case (3)")
    learning.add_argument("--episodes", type=int, default=200, metavar="N", help="played after each run (200)")
    learning.add_argument(
        "--out", type=Path, default=LEARNING, metavar="FILE", help=f"rows of other cases in it are kept ({LEARNING})"
    )

    tune = command("tune", _tune, "search a learner's settings with Optuna; the same command goes on")
    tune.add_argument("learner", metavar="LEARNER", help="a name of `list`")
    tune.add_argument("--ids", nargs="+", default=["TextGuessNumber-v0"], metavar="ID", help="(TextGuessNumber-v0)")
    tune.add_argument("--level", default="easy", help="of the games (easy)")
    tune.add_argument("--action-level", choices=("token", "turn", "choice"), help="(the first that all games have)")
    tune.add_argument("--backbone", default="tiny", metavar="MODEL", help="(tiny)")
    tune.add_argument("--trials", type=int, default=20, metavar="N", help="of the whole study (20)")
    tune.add_argument("--steps", type=int, default=8192, metavar="N", help="environment steps of each training (8192)")
    tune.add_argument("--seeds", type=int, default=2, metavar="N", help="trainings of each trial and id (2)")
    tune.add_argument("--episodes", type=int, default=100, metavar="N", help="of the training split after it (100)")
    tune.add_argument("--window", type=int, default=320, metavar="TOKENS", help="of context (320)")
    tune.add_argument("--storage", type=Path, metavar="FILE", help=f"SQLite file of the study ({TUNING}/LEARNER.db)")
    tune.add_argument("--timeout", type=float, metavar="SECONDS", help="begin no trial after so long")

    report = command("report", _report, "write the results as a page, or as a table")
    report.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help=f"folders or files of results (the last in {RUNS})"
    )
    report.add_argument("--format", choices=("html", "md", "csv", "json", "latex"), default="html", help="(html)")
    report.add_argument("--out", type=Path, metavar="FILE", help="the file (html: runs/report.html; else the screen)")
    report.add_argument("--title", default="textenvs benchmark", help="heading of the page")
    report.add_argument("--transcripts", type=int, default=2, metavar="N", help="of each contestant and task (2)")
    report.add_argument("--alone", action="store_true", help="without the committed results of the same environments")
    report.add_argument("--compare", nargs=2, metavar="NAME", help="two contestants, on the same episodes")
    report.add_argument("--readme", type=Path, metavar="FILE", help="put the leaderboard between its marks")

    literature = command("literature", _literature, "the suite literature beside published figures (Markdown)")
    literature.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="results (the committed ones)")
    literature.add_argument("--page", type=Path, metavar="FILE", help="put the tables between its marks")

    pack = command("pack", _pack, "write results as one file to submit")
    pack.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="folders or files of results")
    pack.add_argument("--only", nargs="+", metavar="NAME", help="these learners or players only")
    pack.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file, ending in .jsonl.xz")

    verify = command("verify", _verify, "replay recorded episodes and recompute the scores; refuse what differs")
    verify.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="files or folders of results")
    verify.add_argument("--suite", metavar="SUITE", help="whose cells these must be: a name or a .toml file")
    verify.add_argument("--imports", nargs="+", default=[], metavar="MODULE", help="that register environments")
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


def _speed(args: argparse.Namespace, console: Console) -> int:
    from benchmarks.speed import run

    return run(args, console)


def _real_models(args: argparse.Namespace, console: Console) -> int:
    from benchmarks.real_models import OUT, run

    return run(args.model, args.learners, args.minutes, args.seeds, args.episodes, args.out or OUT, console)


def _learning(args: argparse.Namespace, console: Console) -> int:
    from benchmarks.learning import run

    return run(args.learners, args.seeds, args.episodes, args.out, console)


def _tune(args: argparse.Namespace, console: Console) -> int:
    from benchmarks.tune import Study, run

    question = Study(
        learner=args.learner,
        ids=tuple(args.ids),
        level=args.level,
        action_level=args.action_level,
        backbone=args.backbone,
        steps=args.steps,
        seeds=args.seeds,
        episodes=args.episodes,
        window=args.window,
    )
    storage = args.storage or TUNING / f"{args.learner}.db"
    return run(question, storage, args.trials, args.timeout, console)


def _report(args: argparse.Namespace, console: Console) -> int:
    from benchmarks import standings, tables
    from benchmarks.provenance import write_between, write_text

    found = standings.load(args.paths or _latest(), baselines=not args.alone)
    if args.compare:
        return _compare(found, args.compare, console)
    if args.readme is not None:
        write_between(args.readme, "benchmark", tables.short(found).rstrip())
        console.print(f"leaderboard: {args.readme}")
        return 0
    if args.format == "html":
        from benchmarks.report import html

        out = write_text(args.out or RUNS.parent / "report.html", html(found, args.title, args.transcripts))
        console.print(f"report: {out.resolve()}")
    elif args.out is not None:
        console.print(f"report: {write_text(args.out, tables.FORMATS[args.format](found)).resolve()}")
    else:
        sys.stdout.write(tables.FORMATS[args.format](found))
    return 0


def _literature(args: argparse.Namespace, console: Console) -> int:
    from benchmarks import literature, standings
    from benchmarks.provenance import write_between

    text = literature.markdown(standings.load(args.paths or [literature.COMMITTED], baselines=False))
    if args.page is None:
        sys.stdout.write(text)
    else:
        write_between(args.page, "benchmark", text.rstrip())
        console.print(f"tables: {args.page}")
    return 0


def _latest() -> list[Path]:
    """The suite that was run last in this folder; none for the committed results."""
    folders = [path for path in RUNS.glob("*") if path.is_dir()] if RUNS.is_dir() else []
    return [max(folders, key=lambda path: path.stat().st_mtime)] if folders else []


def _compare(found: Any, names: Sequence[str], console: Console) -> int:
    from benchmarks.standings import compare

    known = sorted({entry.name for entry in found.entries})
    for name in names:
        if name not in known:
            raise ValueError(f"no contestant {name!r}: there are {', '.join(known)}")
    table = Table("play", "better with probability", "score higher by", "better", "equal", "worse", "environments")
    for way in found.ways:
        one, other = (next((e for e in found.acting(way) if e.name == name), None) for name in names)
        pair = compare(one, other) if one and other else None
        if pair is None:
            continue
        shares = [f"{share:.0%}" for share in (pair.better, pair.equal, pair.worse)]
        if pair.difference is None:
            shares = ["other episodes", "", ""]
        higher = "" if pair.difference is None else f"{pair.difference:.1f}"
        table.add_row(way, f"{pair.improvement:.2f}", higher, *shares, str(pair.tasks))
    if not table.row_count:
        raise ValueError(f"{names[0]} and {names[1]} have no environment in common")
    console.print(f"{names[0]} against {names[1]}, on the same episodes; 95% intervals")
    console.print(table)
    return 0


def _verify(args: argparse.Namespace, console: Console) -> int:
    from benchmarks.storage import read
    from benchmarks.suite import load_suite
    from benchmarks.verify import differences

    for module in args.imports:
        import_module(module)
    suite = load_suite(args.suite) if args.suite else None
    refused = 0
    for path in args.paths:
        cells = episodes = 0
        wrong: list[str] = []
        for result in read(path):
            cell = result["cell"]
            cells += 1
            episodes += sum(len(each["episodes"]) for each in result.get("evaluations", {}).values())
            where = f"{cell['name']} on {cell['env_id']}, {cell['level']}, seed {cell['seed']}"
            wrong += [f"{where}: {found}" for found in differences(result, suite)]
        for text in wrong[:_SHOWN]:
            console.print(f"  {text}")
        if len(wrong) > _SHOWN:
            console.print(f"  and {len(wrong) - _SHOWN} more")
        if not cells:
            wrong = ["no results"]
        refused += bool(wrong)
        verdict = f"refused, {len(wrong)} differences" if wrong else "every figure follows from the replayed episodes"
        console.print(f"{path}: {cells} cells, {episodes} episodes: {verdict}")
    return 1 if refused else 0


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
