"""Measured returns of the random player and the expert, by which results are normalised.

``python -m textenvs.scores [--episodes 1000] [--ids ID ...] [--out FILE]`` measures them again on test episodes, at
every level; without ``--ids`` every id, else these only, and the file keeps the others.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from textenvs.env import TextEnv, load_game
from textenvs.registration import ids, spec
from textenvs.tokens.spaces import UtteranceSpace
from textenvs.tokens.tokenizer import load_tokenizer

SCORES_FILE = Path(__file__).with_name("scores.json")
_SEED = 20_240_101
_MAX_UTTERANCE_TOKENS = 32


def score(id: str, level: str, ret: float) -> float:
    """The return ``ret`` on the scale where random play has 0 and the expert 100.

    Raises:
        KeyError: no scores were measured for this id and level.
    """
    try:
        measured = table()[id][level]
    except KeyError:
        raise KeyError(f"no scores for {id!r} at level {level!r}: run python -m textenvs.scores") from None
    return 100.0 * (ret - measured["random"]["mean"]) / (measured["expert"]["mean"] - measured["random"]["mean"])


@cache
def table() -> dict[str, dict[str, Any]]:
    """id -> level -> player (``"random"``, ``"expert"``) -> ``mean``, ``sem`` (its standard error) and ``success``.

    ``success`` is the share of episodes won, or ``None`` for a game that is not won or lost. Beside the players
    stand ``episodes``, and ``instances``: how many of them had an instance of their own, ``None`` where all
    episodes are the same task.
    """
    return json.loads(SCORES_FILE.read_text("utf-8"))


def measure(id: str, episodes: int = 1000) -> dict[str, Any]:
    """Both players at every level of one id, as in ``table()[id]``.

    The random player takes any of ``valid_actions()``, or says random tokens where there are none.
    """
    entry = spec(id).entry
    return {
        level: {
            "episodes": episodes,
            "instances": _instances(entry, level, episodes),
            "random": _play(entry, level, episodes, random_player),
            "expert": _play(entry, level, episodes, lambda env, _: env.expert_action()),
        }
        for level in load_game(entry).levels
    }


def random_player(env: TextEnv, rng: np.random.Generator) -> str:
    """Any admissible utterance, or random tokens where the game lists none."""
    if valid := env.valid_actions():
        return valid[int(rng.integers(len(valid)))]
    tokenizer = load_tokenizer()
    layout = (tokenizer.vocab_size, tokenizer.pad_id, tokenizer.end_id, tokenizer.special_ids)
    return tokenizer.decode(UtteranceSpace(_MAX_UTTERANCE_TOKENS, *layout, seed=rng).sample())


def _instances(game: Any, level: str, episodes: int) -> int | None:
    """How many different instances the first ``episodes`` test episodes have."""
    env = TextEnv(game, level=level, split="test", as_text=True)
    found: set[str | None] = set()
    for episode in range(episodes):
        env.reset(seed=_SEED if episode == 0 else None)
        found.add(env.game.instance())
    return None if None in found else len(found)


def _play(
    game: Any, level: str, episodes: int, player: Callable[[TextEnv, np.random.Generator], str]
) -> dict[str, float | None]:
    env = TextEnv(game, level=level, split="test", as_text=True)
    rng = np.random.default_rng(_SEED)
    returns, successes = [], []
    for episode in range(episodes):
        env.reset(seed=_SEED if episode == 0 else None)
        total, done = 0.0, False
        info: dict[str, Any] = {}
        while not done:
            _, reward, terminated, truncated, info = env.step(player(env, rng))
            total += reward
            done = terminated or truncated
        returns.append(total)
        if "success" in info:
            successes.append(bool(info["success"]))
    return {
        "mean": round(float(np.mean(returns)), 6),
        "sem": round(float(np.std(returns, ddof=1)) / math.sqrt(episodes), 6),
        "success": round(float(np.mean(successes)), 6) if successes else None,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=1000, help="test episodes for each level and player")
    parser.add_argument("--out", type=Path, default=SCORES_FILE, help="the file to write")
    parser.add_argument("--ids", nargs="+", choices=ids(), metavar="ID", help="measure these only")
    options = parser.parse_args(arguments)
    measured: dict[str, Any] = {}
    if options.ids and options.out.exists():
        measured = json.loads(options.out.read_text("utf-8"))
    for id in options.ids or ids():
        measured[id] = measure(id, options.episodes)
        for level, players in measured[id].items():
            means = f"random {players['random']['mean']:8.3f}  expert {players['expert']['mean']:8.3f}"
            print(f"{id:24} {level:8} {means}", flush=True)
        kept = {known: measured[known] for known in ids() if known in measured}
        options.out.write_text(json.dumps(kept, indent=1) + "\n", "utf-8", newline="\n")
    table.cache_clear()


if __name__ == "__main__":
    main()
