"""The contract checker: holds a game against everything that players and learners rely on.

``check_game("TextGuessNumber-v0")`` or ``check_game("my_module:MyGame")`` gives one finding for each contract, and
``report`` prints them. A contract is a function that raises ``AssertionError`` with a sentence that says what was
wrong, what was expected and how to mend it. Here are the contracts, by the names that findings carry:

- C1 determinism, C1 hash seed: a seed and the utterances fix an episode.
- C2 no leaks: nothing of an episode remains after ``reset``.
- C3 action levels: the game plays at each of them, the same episode at all.
- C4 spaces: observations, actions and turns are of the declared types.
- C5 append-only: an observation begins with the one before.
- C6 masks: they admit something, and what the expert does.
- C8 expert: it earns more than random play.
- C9 bad input: any text is answered; a wrong action is refused and changes nothing.
- C10 checkers: those of Gymnasium and Stable-Baselines3 find nothing.
- C11 snapshots: they restore the exact episode through JSON.
- docs, choices, splits: the page, ``valid_actions`` and ``instance``.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
import random
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from rich.console import Console
from rich.table import Table
from rich.text import Text

from textenvs import pages
from textenvs.env import TextEnv, load_game
from textenvs.game import Game, Turn
from textenvs.registration import spec
from textenvs.scores import random_player
from textenvs.tokens.tokenizer import SPECIAL_TOKENS

SECTIONS = (
    "Description",
    "Example transcript",
    "Observation",
    "Action",
    "Reward",
    "Episode end",
    "Arguments and levels",
    "Expert",
    "Source",
    "Version history",
)
BAD_TEXTS = (
    "",
    " \t\r\n\v",
    "x" * 10_000,
    "9" * 10_000,
    "-" + "word " * 2_000,
    "😀👩‍👩‍👧🏳️‍🌈",
    "٣²½Ⅷ",
    "\x00\x07\x1b[31m\x7f\u202e",
    "\ud800 \udfff",
    "<b>bold</b> [red]red[/red] {} %s \\ `code` $(ls)",
    "".join(SPECIAL_TOKENS),
    "<|im_end|><|endoftext|></s>",
)
_EPISODES = 60  # of each player in C8
_INSTANCES = 100  # of each split
_EXCHANGE_TOKENS = 1024  # of window for each exchange where the window must never be full
_MAX_SECONDS = 2.0  # for one answer, however long the utterance
_NONSENSE = "qwx zzv"


class Finding(NamedTuple):
    """What became of one contract.

    Attributes:
        contract: its name, such as ``"C1 determinism"``.
        passed: whether it holds.
        message: what was wrong, what was expected and how to mend it; what was done where it holds.
    """

    contract: str
    passed: bool
    message: str


class Trial(NamedTuple):
    """A game at one level, to be held against a contract."""

    game: type[Game]
    level: str

    def env(self, **keywords: Any) -> TextEnv:
        """A fresh environment of it, with all instances unless told otherwise."""
        return TextEnv(self.game, level=self.level, **{"split": "all", **keywords})

    def text_env(self) -> TextEnv:
        """A fresh environment that speaks text."""
        return self.env(as_text=True)

    def action_levels(self) -> tuple[str, ...]:
        """The action levels that the game offers."""
        return ("turn", "token", "choice") if self.text_env().game.max_choices else ("turn", "token")


def check_game(game: str | type[Game], level: str | None = None) -> list[Finding]:
    """Hold a game against every contract.

    Args:
        game: an id, ``"module:Class"`` or a ``Game`` class.
        level: the level to check; ``None`` for all of them.

    Returns:
        One finding for each contract; that of the first level that fails, if one does.

    Raises:
        KeyError: an unknown id.
        ValueError: an unknown level.
        RuntimeError: Python runs with ``-O``, which drops what the contracts assert.
    """
    if not __debug__:
        raise RuntimeError("the contracts are assertions, which python -O drops: run without -O")
    if isinstance(game, str) and ":" not in game:
        game = spec(game).entry
    game = load_game(game)
    if level is not None and level not in game.levels:
        raise ValueError(f"level must be one of {', '.join(game.levels)}, not {level!r}")
    levels = (list(game.levels) or ["medium"]) if level is None else [level]
    trials = [Trial(game, name) for name in levels]
    return [_find(name, contract, trials[:1] if contract in _ONCE else trials) for name, contract in CONTRACTS.items()]


def report(findings: Sequence[Finding], console: Console | None = None) -> None:
    """Print findings as a table."""
    table = Table("contract", "", "finding")
    for finding in findings:
        verdict = Text("passed", "green") if finding.passed else Text("FAILED", "bold red")
        table.add_row(Text(finding.contract), verdict, Text(finding.message))
    (console or Console()).print(table)


def _find(name: str, contract: Callable[[Trial], None], trials: Sequence[Trial]) -> Finding:
    for trial in trials:
        where = "" if contract in _ONCE else f"at level {trial.level!r}: "
        try:
            contract(trial)
        except Exception as error:
            ours = isinstance(error, AssertionError) and _raised_at(error).filename == __file__
            sentence = str(error) if ours else f"{type(error).__name__} {_where(error)}: {error}"
            return Finding(name, False, where + sentence)
    done = (contract.__doc__ or "").splitlines()[0]
    return Finding(name, True, done)


def _raised_at(error: BaseException) -> traceback.FrameSummary:
    return traceback.extract_tb(error.__traceback__)[-1]


def _where(error: BaseException) -> str:
    frame = _raised_at(error)
    return f"at {os.path.basename(frame.filename)}:{frame.lineno}"


# --- how the contracts play ---


def _mixed_player(env: TextEnv, rng: np.random.Generator) -> str:
    """Now the expert, now random play, now nonsense, so that an episode sees a bit of everything."""
    style = rng.random()
    if style < 0.5 and (text := _expert_text(env)) is not None:
        return text
    return random_player(env, rng) if style < 0.85 else _NONSENSE


def _expert_text(env: TextEnv) -> str | None:
    """What the expert would say, or ``None`` for a game without one."""
    try:
        return env.game.expert_action()
    except NotImplementedError:
        return None


def _play(env: TextEnv, episode_seed: int) -> Iterator[tuple[Any, ...]]:
    """One episode of the mixed player, in text: all there is to know after each turn."""
    rng = np.random.default_rng(episode_seed + 1)
    observation, info = env.reset(options={"episode_seed": episode_seed})
    yield "", observation, 0.0, False, False, info, *_answers(env)
    done = False
    while not done:
        text = _mixed_player(env, rng)
        observation, reward, terminated, truncated, info = env.step(text)
        done = terminated or truncated
        yield text, observation, reward, terminated, truncated, info, *_answers(env, done)


def _answers(env: TextEnv, done: bool = False) -> tuple[Any, ...]:
    """What the game says when asked; the instance comes last."""
    return env.valid_actions(), None if done else _expert_text(env), env.game.instance()


def _first_difference(one: Sequence[Any], other: Sequence[Any]) -> str:
    for turn, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            for x, y in zip(a, b, strict=True):
                if x != y:
                    return f"turn {turn}: {_short(x)} against {_short(y)}"
    return f"{len(one) - 1} turns against {len(other) - 1}"


def _short(thing: Any) -> str:
    text = repr(thing)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _require_same(one: Sequence[Any], other: Sequence[Any], sentence: str) -> None:
    assert one == other, f"{sentence} (first difference at {_first_difference(one, other)})"


def digest(game: type[Game], level: str) -> str:
    """A fingerprint of a few episodes, to be compared between processes."""
    turns = [turn for seed in range(3) for turn in _play(Trial(game, level).text_env(), seed)]
    return hashlib.sha256(repr(turns).encode("utf-8", "surrogatepass")).hexdigest()


# --- the contracts ---


def determinism(trial: Trial) -> None:
    """The same seed and utterances gave the same episodes."""
    for seed in range(5):
        first = list(_play(trial.text_env(), seed))
        random.seed(seed + 1000)
        np.random.seed(seed + 1000)
        second = list(_play(trial.text_env(), seed))
        _require_same(
            first,
            second,
            "the same seed and utterances gave two different episodes; expected the same: draw all randomness from "
            "the generator that reset() is given, and none from random, numpy.random, the clock or id()",
        )
        env, replies = trial.text_env(), []
        observation, _ = env.reset(options={"episode_seed": seed})
        replies.append(("", observation, 0.0, False))
        for text, *_ in first[1:]:
            replies.append((text, *env.step(text)[:3]))
        _require_same(
            [turn[:4] for turn in first],
            replies,
            "asking valid_actions(), expert_action() or instance() changed the episode; expected that questions "
            "change nothing: let them neither draw from the generator nor write attributes that step() reads",
        )


def hash_seed(trial: Trial) -> None:
    """A process with another PYTHONHASHSEED gave the same episodes."""
    game = trial.game
    if "." in game.__qualname__ or game.__module__ == "__main__":
        return  # another process could not import it
    program = (
        "import sys; from textenvs.check import digest; from textenvs.env import load_game;"
        "print(digest(load_game(sys.argv[1]), sys.argv[2]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1717", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program, f"{game.__module__}:{game.__qualname__}", trial.level],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, (
        f"the game does not run in a fresh process: {(done.stderr.strip() or 'no message').splitlines()[-1]}; "
        "expected it to need nothing but its module: import what it uses there"
    )
    assert done.stdout.split()[-1] == digest(game, trial.level), (
        "another PYTHONHASHSEED gave another episode; expected the same one in every process: iterate over lists or "
        "sorted(...), never over a set, and do not use hash() of a string"
    )


def no_leaks(trial: Trial) -> None:
    """An episode played after others equals it played fresh."""
    fresh = list(_play(trial.text_env(), 11))
    env = trial.text_env()
    for before in (1, 2):
        list(_play(env, before))
    again = list(_play(env, 11))
    sentence = (
        "an episode played after another differs from it played fresh; expected the same: set every attribute of "
        "the episode in reset(), and keep none on the class or in the module"
    )
    _require_same(fresh, again, sentence)
    abandoned = _play(env, 3)
    next(abandoned), next(abandoned)
    _require_same(fresh, list(_play(env, 11)), sentence)


def action_levels(trial: Trial) -> None:
    """Each action level played, and told the same episode."""
    told = {}
    for action_level in trial.action_levels():
        env = trial.env(action_level=action_level)
        env.reset(options={"episode_seed": 4})
        has_expert = _expert_text(env) is not None
        env.action_space.seed(0)
        done, steps = False, 0
        limit = env.max_turns * (env.max_utterance_tokens + 1)
        while not done:
            action = env.expert_action() if has_expert else env.action_space.sample()
            _, _, terminated, truncated, info = env.step(action)
            done, steps = terminated or truncated, steps + 1
            assert steps <= limit, f"action_level={action_level!r} did not end in {limit} steps; expected max_turns"
        assert {"text", "turns"} <= set(info), f"info has {sorted(info)} after the last turn; expected text and turns"
        if has_expert:
            told[action_level] = env.transcript
    for action_level, transcript in told.items():
        assert transcript == told["turn"], (
            f"the expert's episode at action_level={action_level!r} differs from that at 'turn': "
            f"{_first_difference(told['turn'], transcript)}; expected the same: expert_action() must give the exact "
            "string of valid_actions() where there are any, and depend on nothing but the episode"
        )


def spaces(trial: Trial) -> None:
    """Observations are int32 and in their space, actions too, and every Turn has the right types."""
    game = trial.text_env().game  # alone first: an environment fails at what is no Turn
    game.reset(np.random.default_rng(0))
    _require_turn(game.step("hello"))
    for action_level in trial.action_levels():
        env, other = trial.env(action_level=action_level), trial.env(action_level=action_level)
        assert env.observation_space == other.observation_space and env.action_space == other.action_space, (
            "two environments made alike have different spaces; expected equal ones: let max_choices depend on the "
            "constructor's keywords only"
        )
        env.action_space.seed(1)
        observation, _ = env.reset(options={"episode_seed": 5})
        for _ in range(30):
            assert observation.dtype == np.int32, f"an observation is {observation.dtype}; expected int32"
            assert env.observation_space.contains(observation), (
                f"an observation of shape {observation.shape} is not in {env.observation_space}; expected that it is"
            )
            if _expert_text(env) is not None:
                action = env.expert_action()
                assert env.action_space.contains(action), f"the expert's {_short(action)} is not in {env.action_space}"
            observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                break
    _check_turns(trial)


def _check_turns(trial: Trial) -> None:
    env = trial.text_env()
    for seed in range(3):
        texts = [text for text, *_ in _play(env, seed)][1:]
        game = trial.text_env().game
        opening = game.reset(np.random.default_rng(seed))
        assert isinstance(opening, str), f"reset() returned {_short(opening)}; expected a str"
        for text in texts:
            _require_turn(game.step(text))


def _require_turn(turn: Any) -> None:
    mend = "return Turn(text, reward, terminated, info)"
    assert isinstance(turn, Turn), f"step() returned {_short(turn)}; expected a Turn: {mend}"
    assert isinstance(turn.text, str), f"Turn.text is {_short(turn.text)}; expected a str: {mend}"
    number = isinstance(turn.reward, (int, float, np.integer, np.floating)) and math.isfinite(turn.reward)
    assert number, f"Turn.reward is {_short(turn.reward)}; expected a finite number: {mend}"
    bools = (bool, np.bool_)
    assert isinstance(turn.terminated, bools), f"Turn.terminated is {_short(turn.terminated)}; expected a bool: {mend}"
    won = turn.info.get("success", False)
    assert isinstance(won, bools), f"info['success'] is {_short(won)}; expected a bool: {mend}"


def append_only(trial: Trial) -> None:
    """Each observation began with the one before, and the opening fits the window."""
    env = trial.env()
    for seed in range(2):
        observation, _ = env.reset(options={"episode_seed": seed})
        opening = len(env.tokenizer.encode(env.transcript[0][1]))
        assert opening + 8 < env.window, (
            f"the opening has {opening} tokens and the default window {env.window}; expected that it fits with room "
            "for a reply: shorten the text of reset()"
        )
        env = trial.env(window=_EXCHANGE_TOKENS * (env.max_turns + 1))
        rng = np.random.default_rng(seed)
        observation, _ = env.reset(options={"episode_seed": seed})
        done = False
        while not done:
            before = _content(env, observation)
            observation, _, terminated, truncated, _ = env.step(_mixed_player(env, rng))
            done = terminated or truncated
            assert _content(env, observation)[: len(before)] == before, (
                f"after turn {len(env.transcript) // 2} the observation does not begin with the one before; expected "
                "that it does: keep each text below a thousand tokens"
            )


def _content(env: TextEnv, observation: Any) -> list[int]:
    ids = observation.tolist()
    while ids and ids[-1] == env.tokenizer.pad_id:
        ids.pop()
    return ids


def masks(trial: Trial) -> None:
    """Masks had the right shape, admitted something, and what the expert does; constrain held to valid_actions()."""
    has_choices = "choice" in trial.action_levels()
    kinds: list[dict[str, Any]] = [{"action_level": "token"}]
    if has_choices:
        kinds += [{"action_level": "token", "constrain": True}, {"action_level": "choice"}]
    for keywords in kinds:
        env = trial.env(**keywords)
        env.reset(options={"episode_seed": 7})
        rng = np.random.default_rng(7)
        done = False
        while not done:
            mask = env.action_masks()
            shape = (int(env.action_space.n),)  # type: ignore[attr-defined]
            assert mask.shape == shape and mask.dtype == np.bool_, (
                f"action_masks() is {mask.dtype} {mask.shape}; expected bool {shape}"
            )
            assert mask.any(), "action_masks() admits nothing; expected at least one action"
            valid, follow = env.valid_actions(), rng.random() < 0.5
            action = int(rng.choice(np.flatnonzero(mask)))
            if _expert_text(env) is not None:
                expert = env.expert_action()
                assert keywords.get("constrain") or mask[expert], f"the mask forbids the expert's action {expert}"
                if keywords.get("constrain"):
                    _require_expert_path(env, mask, expert, valid)
                action = int(expert) if follow and mask[expert] else action
            turns = len(env.transcript)
            _, _, terminated, truncated, _ = env.step(action)
            done = terminated or truncated
            if keywords.get("constrain") and valid and len(env.transcript) > turns:
                said = env.transcript[turns][1]
                assert said in valid, f"constrain=True let {said!r} be said; expected one of valid_actions()"


def _require_expert_path(env: TextEnv, mask: Any, expert: int, valid: Sequence[str]) -> None:
    """The constraining mask admits the expert's utterance, as long as what was written leads to it."""
    text = _expert_text(env) or ""
    written = env.snapshot()["writing"]
    if valid and env.tokenizer.encode(text)[: len(written)] == written:
        assert text in valid and mask[expert], (
            f"constrain=True forbids the expert's {text!r}; expected it among valid_actions(): list it there"
        )


def expert(trial: Trial) -> None:
    """The expert's mean return is above that of random play."""
    env = trial.text_env()
    env.reset(options={"episode_seed": 0})
    assert _expert_text(env) is not None, (
        "there is no expert; expected expert_action() to give the best utterance known: define it"
    )
    skilled = _mean_return(trial, lambda env, _: env.expert_action())
    chance = _mean_return(trial, random_player)
    assert skilled > chance, (
        f"the expert's mean return is {skilled:.3f} and that of random play {chance:.3f} over {_EPISODES} episodes; "
        "expected the expert above it: mend expert_action() or the reward"
    )


def _mean_return(trial: Trial, player: Callable[[TextEnv, np.random.Generator], str]) -> float:
    env, rng, total = trial.text_env(), np.random.default_rng(0), 0.0
    for episode in range(_EPISODES):
        env.reset(options={"episode_seed": episode})
        done = False
        while not done:
            _, reward, terminated, truncated, _ = env.step(player(env, rng))
            total += reward
            done = terminated or truncated
    return total / _EPISODES


def bad_input(trial: Trial) -> None:
    """Any text was answered; wrong actions were refused and changed nothing."""
    for text in BAD_TEXTS:
        _check_bad_text(trial, text)
    for action_level in trial.action_levels():
        _check_wrong_actions(trial, action_level)


def _check_bad_text(trial: Trial, text: str) -> None:
    mend = "answer it with a reply that says what is understood, never with an error"
    env, game = trial.env(), trial.text_env().game
    for play in (env.step, game.step):
        env.reset(options={"episode_seed": 9})
        game.reset(np.random.default_rng(9))
        start = time.perf_counter()
        try:
            turn = play(text)
        except Exception as error:
            raise AssertionError(
                f"the utterance {text[:20]!a} ({len(text)} characters) raised {type(error).__name__} "
                f"{_where(error)}: {error}; expected a Turn: {mend}"
            ) from error
        seconds = time.perf_counter() - start
        if isinstance(turn, Turn):  # the game's own, not the environment's tuple
            _require_turn(turn)
        assert seconds < _MAX_SECONDS, (
            f"the utterance {text[:20]!a} ({len(text)} characters) took {seconds:.1f} s; expected less than "
            f"{_MAX_SECONDS} s: read only the first few hundred characters"
        )


def _check_wrong_actions(trial: Trial, action_level: str) -> None:
    env = trial.env(action_level=action_level)
    env.action_space.seed(2)
    _require_refusal(env, env.action_space.sample(), "a step before the first reset", (ResetNeeded,))
    env.reset(options={"episode_seed": 9})
    before = env.snapshot()
    size = env.max_utterance_tokens
    wrong: list[Any] = [None, 0.5, {"a": 1}, [], np.array([[0]])[:, :0]]
    if action_level == "turn":
        wrong += [np.zeros(size), np.zeros(size + 1, int), np.full(size, 1 << 40), np.full(size, -7)]
    else:
        wrong += ["left", True, -1, int(env.action_space.n), np.zeros(2, int)]  # type: ignore[attr-defined]
    for action in wrong:
        _require_refusal(env, action, f"the action {_short(action)}", (TypeError, ValueError))
        assert env.snapshot() == before, f"the action {_short(action)} was refused, but it changed the episode"
    done = False
    while not done:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        done = terminated or truncated
    before = env.snapshot()
    _require_refusal(env, env.action_space.sample(), "a step after the end", (ResetNeeded,))
    assert env.snapshot() == before, "a step after the end was refused, but it changed the episode"


def _require_refusal(env: TextEnv, action: Any, what: str, errors: tuple[type[Exception], ...]) -> None:
    try:
        env.step(action)
    except errors:
        return
    names = " or ".join(error.__name__ for error in errors)
    raise AssertionError(f"{what} was taken at action_level={env.action_level!r}; expected {names}")


def checkers(trial: Trial) -> None:
    """Gymnasium's checker, and that of Stable-Baselines3 where it is installed, found nothing."""
    found = find_spec("stable_baselines3")
    check_sb3 = import_module("stable_baselines3.common.env_checker").check_env if found else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for action_level in trial.action_levels():
            check_env(_specified(trial, action_level=action_level))
            if check_sb3 is not None:
                check_sb3(trial.env(action_level=action_level))
        check_env(_specified(trial, as_text=True))


def _specified(trial: Trial, **keywords: Any) -> TextEnv:
    """An environment with a spec, from which the checker makes others to try the render modes."""
    keywords = {"game": trial.game, "level": trial.level, "split": "all", **keywords}
    env = TextEnv(**keywords)
    env.spec = EnvSpec(
        "Checked-v0", "textenvs.env:TextEnv", order_enforce=False, disable_env_checker=True, kwargs=keywords
    )
    return env


def snapshots(trial: Trial) -> None:
    """A snapshot restored the exact episode through JSON, and what followed it."""
    for action_level in trial.action_levels():
        env, rng = trial.env(action_level=action_level), np.random.default_rng(3)
        env.reset(seed=3)
        states: list[tuple[str, Any]] = []
        actions: list[int | Any] = []
        done = False
        while not done and len(actions) < 40:
            states.append((json.dumps(env.snapshot()), env._observation()))
            actions.append(_some_action(env, rng))
            _, _, terminated, truncated, _ = env.step(actions[-1])
            done = terminated or truncated
        end = env.snapshot(), env._observation(), env.transcript
        for turn in {0, len(states) // 2, len(states) - 1}:
            other = trial.env(action_level=action_level)
            state, observation = states[turn]
            mend = "let the episode depend on nothing but the generator that reset() is given and the utterances"
            where = f"at action_level={action_level!r} after {turn} steps"
            try:
                restored = other.restore(json.loads(state))
            except ValueError:
                restored = None
            assert np.array_equal(restored, observation), (
                f"the observation restored {where} differs from the one there; expected the same: {mend}"
            )
            for action in actions[turn:]:
                other.step(action)
            assert other.snapshot() == end[0] and np.array_equal(other._observation(), end[1]), (
                f"the episode restored {where} goes on differently; expected the same: {mend}"
            )
            assert other.transcript == end[2], f"the transcript restored {where} differs; expected the same: {mend}"


def _some_action(env: TextEnv, rng: np.random.Generator) -> Any:
    if rng.random() < 0.6 and _expert_text(env) is not None:
        return env.expert_action()
    env.action_space.seed(int(rng.integers(1 << 30)))
    return env.action_space.sample()


def docs(trial: Trial) -> None:
    """The class docstring is a whole page."""
    game = trial.game
    page = pages.page(game)
    assert page, f"{game.__name__} has no docstring of its own; expected its page: write one"
    missing = [section for section in SECTIONS if f"\n## {section}\n" not in f"{page}\n"]
    assert not missing, f"the page lacks {', '.join(missing)}; expected a line '## {missing[0]}' and its text: add it"
    example = pages.section(game, "Example transcript")
    assert "\n> " in example, "the example transcript has no utterance; expected lines that begin with '> '"
    assert pages.optimum(game), (
        f"the section Expert begins {_short(pages.section(game, 'Expert'))}; expected it to begin with "
        f"{' or '.join(map(repr, pages.OPTIMA))}: say first whether the expert is a computed optimum"
    )
    arguments = [name for name in inspect.signature(game).parameters if f"``{name}``" not in page]
    assert not arguments, f"the page does not name ``{arguments[0]}``; expected every keyword of __init__ in a table"
    assert "medium" in game.levels, f"levels has {', '.join(game.levels)}; expected 'medium', the default: add it"


def choices(trial: Trial) -> None:
    """valid_actions() were distinct, in a fixed order, no more than max_choices, and the expert's among them."""
    most = trial.text_env().game.max_choices
    for seed in range(10):
        env = trial.text_env()
        for _, _, _, terminated, truncated, *_ in _play(env, seed):
            if not (terminated or truncated):
                _check_choices(env, most)


def _check_choices(env: TextEnv, most: int) -> None:
    game = env.game
    valid = game.valid_actions()
    assert isinstance(valid, list) and all(isinstance(text, str) for text in valid), (
        f"valid_actions() is {_short(valid)}; expected a list of str"
    )
    twice = [text for i, text in enumerate(valid) if text in valid[:i]]
    assert not twice, f"valid_actions() lists {twice[0]!r} twice; expected distinct ones: list each once"
    assert game.valid_actions() == valid, (
        "valid_actions() gave another list when asked again; expected a fixed order: draw nothing there"
    )
    assert len(valid) <= most, (
        f"valid_actions() has {len(valid)} entries and max_choices is {most}; expected no more than that: raise it"
    )
    text = _expert_text(env)
    assert text == _expert_text(env), (
        "expert_action() gave another utterance when asked again; expected the same: draw nothing there"
    )
    assert text is None or not valid or text in valid, (
        f"the expert's {text!r} is not in valid_actions(); expected it there: list the very same string"
    )
    for each in [*valid, *([] if text is None else [text])]:
        tokens = len(env.tokenizer.encode(each))
        assert tokens <= env.max_utterance_tokens, (
            f"{each!r} has {tokens} tokens; expected at most {env.max_utterance_tokens}: shorten it"
        )


def splits(trial: Trial) -> None:
    """instance() is constant within an episode; train and test are disjoint."""
    env = trial.text_env()
    for seed in range(5):
        instances = [turn[-1] for turn in _play(env, seed)]
        first = instances[0]
        assert first is None or isinstance(first, str), f"instance() is {_short(first)}; expected a str or None"
        changed = [instance for instance in instances if instance != first]
        assert not changed, (
            f"instance() went from {_short(first)} to {_short((changed or [None])[0])} within an episode; expected it "
            "to be constant: make it of what reset() drew"
        )
    drawn = {split: _draw(trial, split) for split in ("train", "test")}
    shared = (drawn["train"] & drawn["test"]) - {None}
    assert not shared, (
        f"{_short(next(iter(shared)))} is an instance of both train and test; expected disjoint splits: "
        "make instance() depend on the episode only"
    )


def _draw(trial: Trial, split: str) -> set[str | None]:
    env, found = trial.env(as_text=True, split=split), set()
    for episode in range(_INSTANCES):
        env.reset(seed=0 if episode == 0 else None)
        found.add(env.game.instance())
    return found


CONTRACTS: dict[str, Callable[[Trial], None]] = {
    "C1 determinism": determinism,
    "C1 hash seed": hash_seed,
    "C2 no leaks": no_leaks,
    "C3 action levels": action_levels,
    "C4 spaces": spaces,
    "C5 append-only": append_only,
    "C6 masks": masks,
    "C8 expert": expert,
    "C9 bad input": bad_input,
    "C10 checkers": checkers,
    "C11 snapshots": snapshots,
    "docs": docs,
    "choices": choices,
    "splits": splits,
}
_ONCE = (hash_seed, docs)  # the same at every level
