"""The ``textenvs`` command: list, show, check, make and play text games."""

from __future__ import annotations

import argparse
import difflib
import inspect
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from textenvs import registration
from textenvs.env import SPLITS, TextEnv, load_game
from textenvs.game import Game

_HELP = "/valid lists what you can say, if that is a finite set; /quit, Ctrl-D or Ctrl-C ends."


class _Mistake(Exception):
    """What the user is to be told in one line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments without the program's name; ``None`` takes those of the process.

    Returns:
        0, 1 when a check failed, 2 after an error that the message explains, or 130 after Ctrl-C.
    """
    arguments = vars(_parser().parse_args(argv))
    command = arguments.pop("run")
    try:
        return command(**arguments)
    except _Mistake as mistake:
        print(f"textenvs: error: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("textenvs", description=__doc__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = commands.add_parser("list", help="the games with their scores")
    command.set_defaults(run=_list)

    command = commands.add_parser("show", help="a game's page")
    command.add_argument("game", metavar="ID")
    command.set_defaults(run=_show)

    command = commands.add_parser("check", help="hold a game against every contract")
    command.add_argument("game", metavar="ID|module:Class")
    command.add_argument("--level", help="only this level")
    command.set_defaults(run=_check)

    command = commands.add_parser("new", help="write a small complete game and its test")
    command.add_argument("name", metavar="NAME", help="such as WordHunt")
    command.add_argument("--family", default="contributed", help="the kind of game (default: %(default)s)")
    command.add_argument("--out", default=".", metavar="FOLDER", help="where to (default: the current folder)")
    command.set_defaults(run=_new)

    command = commands.add_parser("play", help="play in the terminal")
    command.add_argument("game", metavar="ID")
    command.add_argument("--level", default="medium")
    command.add_argument("--seed", type=int, help="the same seed makes the same episode")
    command.add_argument("--split", default="all", choices=SPLITS)
    command.set_defaults(run=_play)
    return parser


# --- the commands ---


def _list() -> int:
    from textenvs.scores import table

    scores = table()
    listing = Table("id", "family", "level", "max turns", "random", "expert")
    for column in listing.columns:
        column.no_wrap = True
    for id in registration.ids():
        game = _find_game(id)
        for level, knobs in game.levels.items():
            measured = scores.get(id, {}).get(level, {})
            means = [f"{measured[player]['mean']:.2f}" if measured else "-" for player in ("random", "expert")]
            first = level == next(iter(game.levels))
            cells = [id if first else "", registration.spec(id).family if first else "", level]
            listing.add_row(*map(Text, [*cells, str(game(**knobs).max_turns), *means]))
    Console().print(listing)
    return 0


def _show(game: str) -> int:
    Console().print(Markdown(inspect.getdoc(_find_game(game)) or "There is no page."))
    return 0


def _check(game: str, level: str | None) -> int:
    from textenvs.check import check_game, report

    found = _find_game(game)
    if level is not None and level not in found.levels:
        raise _Mistake(f"{found.__name__} has no level {level!r}{_nearest(level, list(found.levels))}")
    findings = check_game(found, level)
    report(findings)
    return 0 if all(finding.passed for finding in findings) else 1


def _new(name: str, family: str, out: str) -> int:
    from textenvs.scaffold import new_game

    try:
        game, test = new_game(name, family, out)
    except (ValueError, OSError) as error:
        raise _Mistake(str(error)) from None
    print(f"{game}\n{test}")
    return 0


def _play(game: str, level: str, seed: int | None, split: str) -> int:
    found = _find_game(game)
    if seed is not None and seed < 0:
        raise _Mistake(f"--seed must not be negative: {seed}")
    if level not in found.levels:
        raise _Mistake(f"{game} has no level {level!r}{_nearest(level, list(found.levels))}")
    env = TextEnv(found, level=level, split=split, as_text=True)
    try:
        text, _ = env.reset(seed=seed)
    except ValueError as error:  # a split without instances
        raise _Mistake(str(error)) from None
    console, score, turns = Console(), 0.0, 0
    info: dict[str, Any] = {}
    _say(console, text)
    console.print(Text(f"(help tells how to play. {_HELP})", "dim"))
    done = False
    while not done:
        said = _ask(console)
        if said is None or said == "/quit":
            break
        if said in ("help", "/help"):
            _print_help(console, found)
        elif said == "/valid":
            _say(console, "\n".join(env.valid_actions()) or "any text; there is no list.")
        else:
            text, reward, terminated, truncated, info = env.step(said)
            score, turns, done = score + reward, turns + 1, terminated or truncated
            _say(console, text)
    outcome = "ended" if done else "stopped"
    if done and "success" in info:
        outcome = "won" if info["success"] else "lost"
    console.print(Text(f"{outcome} after {turns} turn{'s' * (turns != 1)}; score {score:.2f}", "bold"))
    return 0


# --- what they share ---


def _say(console: Console, text: str) -> None:
    console.print(Text(text))


def _ask(console: Console) -> str | None:
    """What the player types, or ``None`` when they leave."""
    try:
        return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        console.print()
        return None


def _print_help(console: Console, game: type[Game]) -> None:
    page = inspect.getdoc(game) or ""
    action = page.partition("## Action\n")[2].partition("\n## ")[0].strip()
    console.print(Markdown(action or "Say something."))
    console.print(Text(_HELP, "dim"))


def _find_game(name: str) -> type[Game]:
    """The game with an id, or that ``module:Class`` names, seen from the current folder."""
    entry: Any = name
    if ":" not in name:
        if name not in registration.ids():
            raise _Mistake(f"no game is registered as {name!r}{_nearest(name, registration.ids())}")
        entry = registration.spec(name).entry
    elif "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return load_game(entry)
    except Exception as error:  # whatever a contributor's module does when imported
        first = (str(error).splitlines() or ["no message"])[0]
        raise _Mistake(f"cannot load {name}: {type(error).__name__}: {first}") from None


def _nearest(name: str, known: Sequence[str]) -> str:
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), by_lower, 1, 0.4)
    return f": did you mean {by_lower[close[0]]!r}?" if close else f": there are {', '.join(known)}"
