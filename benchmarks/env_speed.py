"""How fast the environments are, beside their peers, in one run: ``python -m benchmarks.env_speed``.

1. Steps a second of plain text (``as_text=True``) against GEM's raw step, on the games that both have, and resets.
2. A step that gives the whole history as token ids, at turn 50: this package against GEM's history wrapper and
   TextArena's default wrapper, each followed by the same Hugging Face tokenizer.
3. What a step costs at turn 900 against turn 5.

Players are random. Repeats are interleaved and ratios are of medians. GEM (``gem-llm``) and TextArena (``textarena``)
are optional: what is not installed is left out and named. GEM's word games want a corpus from the network; they get
this package's word list in its place. GEM's Hanoi and Sudoku have no random player and get one.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from rich.console import Console
from rich.table import Table

import textenvs
from textenvs.games.words.english import LENGTHS, english_words
from textenvs.scores import random_player
from textenvs.tokens.tokenizer import SHIPPED_FILE

# id here -> GEM's id and the keywords that make ours like it
PAIRS: dict[str, tuple[str, dict[str, Any]]] = {
    "TextGuessNumber-v0": ("game:GuessTheNumber-v0-hard", {"high": 50}),
    "TextMastermind-v0": ("game:Mastermind-v0-hard", {"level": "hard"}),
    "TextWordle-v0": ("game:Wordle-v0-hard", {}),
    "TextHangman-v0": ("game:Hangman-v0-hard", {}),
    "TextMinesweeper-v0": ("game:Minesweeper-v0-hard", {"level": "hard"}),
    "TextHanoi-v0": ("game:TowerofHanoi-v0-easy", {"level": "medium"}),
    "Text2048-v0": ("game:Game2048-v0-hard", {"level": "hard"}),
    "TextSokoban-v0": ("game:Sokoban-v0-hard", {"level": "hard"}),
    "TextSudoku-v0": ("game:Sudoku-v0-hard", {"level": "hard"}),
}
Sample = tuple[float, float]  # seconds of a step and of a reset


def own_sample(id: str, keywords: dict[str, Any], steps: int) -> Sample:
    """Ours, with random utterances like those of GEM's random player: admissible ones where a game lists them all."""
    env: Any = gymnasium.make(id, as_text=True, **keywords).unwrapped
    rng = np.random.default_rng(0)
    say: Callable[[], str] = lambda: random_player(env, rng)  # noqa: E731
    if id == "TextMastermind-v0":  # where the list holds the expert's guess, which takes long to find
        say = lambda: "".join(map(str, rng.integers(1, env.game.colours + 1, env.game.pegs)))  # noqa: E731
    elif id == "TextWordle-v0":
        words = english_words(env.game.length)
        say = lambda: words[int(rng.integers(len(words)))]  # noqa: E731

    def reset() -> None:
        env.reset()

    def step(said: str) -> bool:
        _, _, terminated, truncated, _ = env.step(said)
        return terminated or truncated

    return _sample(reset, step, say, steps)


def gem_sample(id: str, steps: int) -> Sample:
    """GEM's, with its own random actions."""
    import gem

    _offline_words()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        env = gem.make(id)
    say, draw = env.sample_random_action, random.Random(0)
    if "Hanoi" in id:
        say = partial(draw.choice, [f"\\boxed{{{a} {b}}}" for a in "ABC" for b in "ABC" if a != b])
    elif "Sudoku" in id:
        say = lambda: f"\\boxed{{{draw.randint(1, 9)} {draw.randint(1, 9)} {draw.randint(1, 9)}}}"  # noqa: E731

    def step(said: str) -> bool:
        _, _, terminated, truncated, _ = env.step(said)
        return terminated or truncated

    return _sample(env.reset, step, say, steps)


@cache
def _offline_words() -> tempfile.TemporaryDirectory[str]:
    """From now on NLTK's corpus ``words`` is this package's list, and nothing is downloaded."""
    import nltk

    folder = tempfile.TemporaryDirectory()
    corpus = Path(folder.name, "corpora", "words")
    corpus.mkdir(parents=True)
    for name in ("en", "en-basic"):
        (corpus / name).write_text("\n".join(word for length in LENGTHS for word in english_words(length)), "utf-8")
    nltk.download = lambda *_, **__: True
    nltk.data.path.insert(0, folder.name)
    return folder


def _sample(reset: Callable[[], Any], step: Callable[[str], bool], say: Callable[[], str], steps: int) -> Sample:
    """Mean seconds of a step and of a reset, the choice of what to say not counted."""
    clock = time.perf_counter
    stepping = resetting = 0.0
    resets = 0
    done = True
    for _ in range(steps):
        if done:
            started = clock()
            reset()
            resetting += clock() - started
            resets += 1
        said = say()
        started = clock()
        done = step(said)
        stepping += clock() - started
    return stepping / steps, resetting / resets


# --- the whole history as ids ---


def own_history(window: int) -> Iterator[float]:
    """Seconds of each turn-level step of a long game: the observation is the history's token ids."""
    env: Any = gymnasium.make("TextGuessNumber-v0", high=50, max_turns=2000, window=window).unwrapped
    env.reset(seed=0)
    while True:
        said = str(1 + env.game._number % 50)
        started = time.perf_counter()
        env.step(said)
        yield time.perf_counter() - started


def gem_history() -> Iterator[float]:
    """The same in GEM with its history wrapper, and a tokenizer behind it."""
    from gem.envs.game_env.guess_the_number import GuessTheNumberEnv
    from gem.wrappers.observation_wrapper import ObservationWrapper

    game = GuessTheNumberEnv(min_number=1, max_number=50, max_turns=2000)
    env = ObservationWrapper(game, include_action=True, include_chat_template=False)
    encode = _hugging_face_encode()
    env.reset()
    while True:
        said = f"\\boxed{{{1 + game.game_number % 50}}}"
        started = time.perf_counter()
        observation, *_ = env.step(said)
        encode(observation)
        yield time.perf_counter() - started


def textarena_history() -> Iterator[float]:
    """The same in TextArena with its default wrapper, and a tokenizer behind it."""
    from textarena.envs.GuessTheNumber.env import GuessTheNumberEnv
    from textarena.wrappers import LLMObservationWrapper

    game = GuessTheNumberEnv(min_number=1, max_number=50, max_turns=2000)
    env = LLMObservationWrapper(env=game)
    encode = _hugging_face_encode()
    env.reset(num_players=1)
    env.get_observation()
    while True:
        said = f"[{1 + game.game_number % 50}]"
        started = time.perf_counter()
        env.step(said)
        _, observation = env.get_observation()
        encode(observation)
        yield time.perf_counter() - started


def _hugging_face_encode() -> Callable[[str], Any]:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_file=str(SHIPPED_FILE)).encode


def at_turns(make: Callable[[], Iterator[float]], turns: Sequence[int], width: int = 5) -> list[float]:
    """Median seconds of the steps around each of ``turns``."""
    steps = make()
    taken = [next(steps) for _ in range(max(turns) + width)]
    return [statistics.median(taken[max(0, turn - width) : turn + width]) for turn in turns]


def interleaved(sides: dict[str, Callable[[], Any]], repeats: int) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Each side's results, one a repeat, and what went wrong with those that do not run."""
    results: dict[str, list[Any]] = {name: [] for name in sides}
    failures: dict[str, str] = {}
    for repeat in range(repeats + 1):
        for name, side in sides.items():
            if name in failures:
                continue
            try:
                found = side()
            except Exception as error:  # whatever another package does when it is not at home
                failures[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                continue
            if repeat:  # the first round warms up
                results[name].append(found)
    return {name: found for name, found in results.items() if found}, failures


def main() -> None:
    """Measure, print the tables and write them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.env_speed", description=__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="steps a sample")
    parser.add_argument("--ids", nargs="*", choices=PAIRS, default=list(PAIRS), metavar="ID", help="of the first table")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None, help="a JSON file to write")
    options = parser.parse_args()
    console = Console(width=110)
    report: dict[str, Any] = {"machine": f"{platform.machine()}, Python {platform.python_version()}"}

    table = Table(title="plain text, random play, medians")
    for column in ("id", "steps/s", "GEM steps/s", "ratio", "resets/s", "GEM resets/s", "ratio"):
        table.add_column(column, justify="left" if column == "id" else "right")
    for id in options.ids:
        gem_id, keywords = PAIRS[id]
        sides: dict[str, Callable[[], Any]] = {
            "own": partial(own_sample, id, keywords, options.steps),
            "gem": partial(gem_sample, gem_id, options.steps),
        }
        results, failures = interleaved(sides, options.repeats)
        rates = {
            name: [1 / statistics.median(part) for part in zip(*each, strict=True)] for name, each in results.items()
        }
        report[id] = {**rates, **({"failures": failures} if failures else {})}
        own, gem = rates["own"], rates.get("gem")
        cells = [f"{own[0]:,.0f}", "-", "-", f"{own[1]:,.0f}", "-", "-"]
        if gem:
            cells = [f"{x:,.0f}" if i % 3 < 2 else f"{x:.1f}" for i, x in enumerate(
                (own[0], gem[0], own[0] / gem[0], own[1], gem[1], own[1] / gem[1])
            )]  # fmt: skip
        table.add_row(id, *cells)
        for name, failure in failures.items():
            console.print(f"{id}: {name} did not run: {failure}", markup=False)
    console.print(table)

    turns = (5, 50, 900)
    sides = {
        "textenvs": lambda: at_turns(lambda: own_history(512), turns),
        "textenvs, nothing forgotten": lambda: at_turns(lambda: own_history(1 << 15), turns),
        "GEM": lambda: at_turns(gem_history, turns),
        "TextArena": lambda: at_turns(textarena_history, turns),
    }
    results, failures = interleaved(sides, options.repeats)
    medians = {name: [statistics.median(part) for part in zip(*each, strict=True)] for name, each in results.items()}
    report["history"] = {name: dict(zip(map(str, turns), each, strict=True)) for name, each in medians.items()}
    table = Table(title="a step with the whole history as token ids, microseconds")
    for column in ("", *(f"turn {turn}" for turn in turns), "turn 900 : turn 5", "turn 50 : textenvs"):
        table.add_column(column, justify="right" if column else "left")
    for name, each in medians.items():
        figures = [f"{1e6 * seconds:,.1f}" for seconds in each]
        table.add_row(name, *figures, f"{each[2] / each[0]:.2f}", f"{each[1] / medians['textenvs'][1]:.1f}")
    console.print(table)
    for name, failure in failures.items():
        console.print(f"{name} did not run: {failure}", markup=False)
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    assert textenvs.ids()
    main()
