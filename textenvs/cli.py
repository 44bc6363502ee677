"""The ``textenvs`` command: list, show, check, make, play, record and replay text games."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from textenvs import pages, registration
from textenvs.env import SPLITS, TextEnv, load_game
from textenvs.game import Game

_HELP = (
    "/valid lists what you can say, if that is a finite set, and Tab completes it; /history tells the episode so far; "
    "/quit, Ctrl-D or Ctrl-C ends."
)
_PLAYERS = ("expert", "random")


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
    command.add_argument("--family", help="only games of this kind")
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

    command = commands.add_parser(
        "record",
        help="write episodes as chat messages (JSON Lines) and as a Minari dataset",
        description="Write episodes as chat messages (JSON Lines) and, where Minari is installed, as a dataset of it.",
    )
    command.add_argument("game", metavar="ID")
    command.add_argument("--player", default="expert", choices=_PLAYERS)
    command.add_argument("--error", type=float, default=0.0, help="probability of a random utterance of the expert (0)")
    command.add_argument("--episodes", type=int, default=100, metavar="N", help="how many (100)")
    command.add_argument("--level", default="medium")
    command.add_argument("--split", default="train", choices=SPLITS)
    command.add_argument("--seed", type=int, default=0, help="fixes the episodes (0)")
    command.add_argument("--out", metavar="FILE", help="default: recordings/ID-LEVEL-PLAYER.jsonl")
    command.add_argument("--minari", metavar="DATASET", help="default: textenvs/ID/LEVEL-PLAYER-v0")
    command.add_argument("--no-minari", action="store_true", help="write the JSON Lines only")
    command.set_defaults(run=_record)

    command = commands.add_parser("replay", help="play recorded episodes again and compare")
    command.add_argument("recorded", nargs="+", metavar="FILE|DATASET", help="of textenvs record")
    command.set_defaults(run=_replay)
    return parser


# --- the commands ---


def _list(family: str | None) -> int:
    from textenvs.scores import table

    scores = table()
    families = {id: registration.spec(id).family for id in registration.ids()}
    if family is not None and family not in families.values():
        raise _Mistake(f"there is no family {family!r}{_nearest(family, sorted(set(families.values())))}")
    columns = ("id", "family", "optimum", "level", "turns", "random", "expert")
    listing = Table(*columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))  # as wide as a terminal
    for column in listing.columns:
        column.no_wrap = True
    for id in (id for id, own in families.items() if family in (None, own)):
        game = _find_game(id)
        for level, knobs in game.levels.items():
            measured = scores.get(id, {}).get(level, {})
            means = [f"{measured[player]['mean']:.2f}" if measured else "-" for player in ("random", "expert")]
            first = level == next(iter(game.levels))
            about = (id, families[id], pages.optimum(game) or "-")
            cells = [*(about if first else ("", "", "")), level]
            listing.add_row(*map(Text, [*cells, str(game(**knobs).max_turns), *means]))
    Console().print(listing)
    return 0


def _show(game: str) -> int:
    Console().print(Markdown(pages.page(_find_game(game)) or "There is no page."))
    return 0


def _check(game: str, level: str | None) -> int:
    from textenvs.check import check_game, report

    found = _find_game(game)
    if level is not None:
        _check_level(found, level)
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
    _check_seed(seed)
    _check_level(found, level)
    env = TextEnv(found, level=level, split=split, as_text=True)
    try:
        text, _ = env.reset(seed=seed)
    except ValueError as error:  # a split without instances
        raise _Mistake(str(error)) from None
    console, score, turns = Console(), 0.0, 0
    info: dict[str, Any] = {}
    _complete_on_tab(env)
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
        elif said == "/history":
            _say(console, "\n".join(f"> {text}" if who == "agent" else text for who, text in env.transcript))
        else:
            text, reward, terminated, truncated, info = env.step(said)
            score, turns, done = score + reward, turns + 1, terminated or truncated
            _say(console, text)
    outcome = "ended" if done else "stopped"
    if done and "success" in info:
        outcome = "won" if info["success"] else "lost"
    console.print(Text(f"{outcome} after {turns} turn{'s' * (turns != 1)}; score {score:.2f}", "bold"))
    return 0


def _record(
    game: str,
    player: str,
    error: float,
    episodes: int,
    level: str,
    split: str,
    seed: int,
    out: str | None,
    minari: str | None,
    no_minari: bool,
) -> int:
    from rich.progress import track

    from textenvs import recording
    from textenvs.scores import random_player

    _check_level(_find_game(game), level)
    _check_seed(seed)
    if episodes < 1:
        raise _Mistake(f"--episodes must be at least 1: {episodes}")
    if game not in registration.ids():
        raise _Mistake(f"recording needs a registered id, not {game!r}: call textenvs.register_game")
    if error and player != "expert":
        raise _Mistake("--error goes with --player expert")
    path = Path(out or f"recordings/{game}-{level}-{player}.jsonl")
    dataset = None if no_minari else minari or f"textenvs/{game.removesuffix('-v0')}/{level}-{player}-v0"
    console = Console()
    try:
        if dataset:
            try:
                recording.require_new_dataset(dataset)
            except ImportError as missing:
                if minari:
                    raise _Mistake(str(missing)) from None
                print(f"no Minari dataset: {missing}")
                dataset = None
        speak = random_player if player == "random" else recording.expert_who_errs(error)
        playing = recording.record(game, player, speak, episodes, seed, level=level, split=split)
        recordings = recording.write_jsonl(
            track(playing, "recording", total=episodes, transient=True, disable=not console.is_terminal), path
        )
        mean = sum(sum(each.rewards) for each in recordings) / len(recordings)
        print(f"{path}: {episodes} episodes, mean return {mean:.3f}")
        if dataset:
            recording.write_minari(recordings, dataset)
            print(f"minari.load_dataset({dataset!r})")
    except (OSError, ValueError) as wrong:
        raise _Mistake(str(wrong)) from None
    return 0


def _replay(recorded: list[str]) -> int:
    from textenvs import recording

    failed = False
    for name in recorded:
        is_file = Path(name).is_file()
        try:
            if is_file:
                found = [recording.difference(each) for each in recording.read_jsonl(Path(name))]
            else:
                found = list(recording.minari_differences(name))
        except (ImportError, OSError, TypeError, ValueError, gymnasium.error.Error) as wrong:
            what = "" if is_file else "no file, and no Minari dataset that can be read: "
            raise _Mistake(f"{what}{name}: {wrong}") from None
        different = [f"episode {i}: {each}" for i, each in enumerate(found, 1) if each is not None]
        print(f"{name}: {len(found) - len(different)} of {len(found)} episodes came out the same")
        print(*different[:10], sep="\n  ", end="\n" * bool(different))
        failed |= bool(different)
    return int(failed)


# --- what they share ---


def _check_level(game: type[Game], level: str) -> None:
    if level not in game.levels:
        raise _Mistake(f"{game.__name__} has no level {level!r}{_nearest(level, list(game.levels))}")


def _check_seed(seed: int | None) -> None:
    if seed is not None and seed < 0:
        raise _Mistake(f"--seed must not be negative: {seed}")


def _complete_on_tab(env: TextEnv) -> None:
    """Let Tab complete admissible utterances, and the arrows find earlier lines, where the terminal library can."""
    try:
        import readline
    except ImportError:
        return

    def complete(begun: str, number: int) -> str | None:
        fitting = [text for text in env.valid_actions() if text.startswith(begun)]
        return fitting[number] if number < len(fitting) else None

    readline.set_completer_delims("")
    readline.set_completer(complete)
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")


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
    console.print(Markdown(pages.section(game, "Action") or "Say something."))
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
