"""The ``textenvs`` command: list the environments, read their pages, play them."""

from __future__ import annotations

import argparse
import difflib
import inspect
import sys

import gymnasium
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

import textenvs
from textenvs.env import TextEnv, load_game
from textenvs.registration import spec
from textenvs.scores import score, table

_HELP = "say anything; /valid lists admissible utterances, /help this, /quit (or Ctrl-D) ends"


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0, or 2 when it was misused."""
    parser = argparse.ArgumentParser(prog="textenvs", description="Text environments for reinforcement learning.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all environments")
    commands.add_parser("show", help="an environment's page").add_argument("id")
    play = commands.add_parser("play", help="play an environment in the terminal")
    play.add_argument("id")
    play.add_argument("--level", default="medium")
    play.add_argument("--split", default="train")
    play.add_argument("--seed", type=int, default=None)
    options = parser.parse_args(argv)
    console = Console()
    if options.command == "list":
        console.print(catalogue())
        return 0
    if options.id not in textenvs.ids():
        close = difflib.get_close_matches(options.id, textenvs.ids(), n=1, cutoff=0.3)
        hint = f"; did you mean {close[0]}?" if close else ""
        print(f"textenvs: no environment {options.id!r}{hint} (textenvs list shows all)", file=sys.stderr)
        return 2
    if options.command == "show":
        title, _, body = (inspect.getdoc(load_game(spec(options.id).entry)) or "").partition("\n")
        console.print(Markdown(f"# {title}\n{body}"))
        return 0
    try:
        env = gymnasium.make(options.id, level=options.level, split=options.split, as_text=True).unwrapped
    except ValueError as error:
        print(f"textenvs: {error}", file=sys.stderr)
        return 2
    assert isinstance(env, TextEnv)
    return play_in_terminal(env, options.id, options.seed, console)


def catalogue() -> Table:
    """The environments with their measured random and expert returns at the medium level."""
    columns = ("id", "family", "levels", "turns", "random", "expert")
    listed = Table(*columns, title="returns of random and expert play at the medium level")
    for id in textenvs.ids():
        game = load_game(spec(id).entry)
        measured = table().get(id, {}).get("medium")
        returns = [f"{measured[player]['mean']:.2f}" if measured else "" for player in ("random", "expert")]
        turns = game(**game.levels["medium"]).max_turns
        listed.add_row(id, spec(id).family, ", ".join(game.levels), str(turns), *returns)
    return listed


def play_in_terminal(env: TextEnv, id: str, seed: int | None, console: Console) -> int:
    """Play one episode; ends with its return and score."""
    text, info = env.reset(seed=seed)
    console.print(_HELP, style="dim")
    total, done = 0.0, False
    while not done:
        console.print(text, markup=False, highlight=False)
        try:
            said = console.input("[bold]> [/bold]")
        except (EOFError, KeyboardInterrupt):
            said = "/quit"
            console.print()
        if said in ("/quit", "/help", "/valid"):
            if said == "/quit":
                break
            console.print(_HELP if said == "/help" else "\n".join(env.valid_actions()) or "anything", markup=False)
            continue
        text, reward, terminated, truncated, info = env.step(said)
        total, done = total + reward, terminated or truncated
        console.print(f"reward {reward:+.2f}", style="dim")
    if done:
        console.print(text, markup=False, highlight=False)
        points = score(id, env.level, total) if env.level in table().get(id, {}) else float("nan")
        console.print(f"won: {info.get('success')}, return {total:.2f}, score {points:.0f}, turns {info['turns']}")
    return 0
