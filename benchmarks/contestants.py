"""Who plays: the one table of player specifications, and what each of them becomes.

``random``, ``checkpoint:FOLDER``, ``model:NAME`` and so on are rows of ``PLAYERS``; anything else with a colon in it is
a Python callable, ``module:function``.
"""

from __future__ import annotations

import difflib
import inspect
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from agents.players import ExpertPlayer, ImperfectPlayer, Player, PolicyPlayer, RandomPlayer
from benchmarks.provenance import digest_of
from textenvs.env import TextEnv
from textenvs.tokens.spaces import TokenSpace, UtteranceSpace

AS_PLAYED = "played"  # the one way of a player that is not a policy
_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Place:
    """Where a player is to play: an environment's id and level, the player's seed, keywords of ``gym.make``."""

    env_id: str
    level: str
    seed: int = 0
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)


Makes = Callable[[str, Place], Mapping[str, Player]]  # argument, place -> way -> player


@dataclass(frozen=True)
class Kind:
    """One row of the table.

    Attributes:
        argument: what stands behind the colon, for the help; empty where there is none.
        about: what it is, for the help.
        make: the player for each way of acting.
        check: raises for an argument of which ``make`` cannot make it, as far as that is cheap to tell.
        file: the argument is a file or folder.
        once: another seed gives the same play, even sampled: the draws are those of the test episodes' seed.
        windowed: what it sees depends on the suite's keywords of ``gym.make``, such as ``window``.
    """

    argument: str
    about: str
    make: Makes
    check: Callable[[str], None] = lambda argument: None
    file: bool = False
    once: bool = False
    windowed: bool = False


def make_player(name: str, place: Place) -> Mapping[str, Player]:
    """The player that a specification names, for each way that it can act.

    Raises:
        ValueError: no such player; the message suggests the right one.
        FileNotFoundError, ImportError: its file or module is missing.
    """
    kind, argument = _resolve(name)
    return kind.make(argument, place)


def check(name: str) -> None:
    """Raise what ``make_player`` would raise for a mistake in ``name``, without the work of making the player."""
    kind, argument = _resolve(name)
    if kind.file and not Path(argument).exists():
        raise FileNotFoundError(f"no file or folder {argument!r} for player {name!r}")
    kind.check(argument)


def plays_once(name: str) -> bool:
    """Whether one run tells all, as another seed gives the same play; of a callable only a class may take a seed."""
    kind, argument = _resolve(name)
    if kind is _CALLABLE:
        found = _load_callable(argument)
        return not (inspect.isclass(found) and "seed" in inspect.signature(found).parameters)
    return kind.once


def is_windowed(name: str) -> bool:
    """Whether what the player sees depends on the suite's keywords of ``gym.make``."""
    return _resolve(name)[0].windowed


def fingerprint(name: str) -> str:
    """A digest of the file that a player is read from; empty where it is not one file."""
    check(name)
    kind, argument = _resolve(name)
    path = Path(argument)
    if path.is_dir():
        path = path / _CHECKPOINT
    return digest_of(path) if kind.file and path.is_file() else ""


def usage(player: Any) -> dict[str, int]:
    """Tokens that a served player says it has read and written so far; empty for one that does not count them."""
    account = getattr(player, "usage", player)
    counts = {name: getattr(account, name, None) for name in ("prompt_tokens", "completion_tokens")}
    return {name: int(count) for name, count in counts.items() if count is not None}


def _resolve(name: str) -> tuple[Kind, str]:
    head, colon, argument = name.partition(":")
    if head in PLAYERS:
        kind = PLAYERS[head]
        if bool(kind.argument) != bool(argument):
            written = f"{head}:{kind.argument}" if kind.argument else head
            raise ValueError(f"player {name!r} must be written {written}")
        return kind, argument
    if colon:
        return _CALLABLE, name
    close = difflib.get_close_matches(name, PLAYERS, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(PLAYERS)} and module:function"
    raise ValueError(f"no player {name!r}: {hint}")


# --- policies ---


def both_ways(model: Any, name: str) -> dict[str, Player]:
    """A policy greedy and sampled."""
    return {"greedy": PolicyPlayer(model, True, name), "sampled": PolicyPlayer(model, False, name)}


def _checkpoint(argument: str, place: Place) -> Mapping[str, Player]:
    from agents.checkpoint import load

    path = Path(argument)
    return both_ways(load(path / _CHECKPOINT if path.is_dir() else path), path.stem)


def _check_checkpoint(argument: str) -> None:
    path = Path(argument)
    if path.is_dir() and not (path / _CHECKPOINT).is_file():
        raise FileNotFoundError(
            f"no {_CHECKPOINT} in {argument!r}: give a folder that `agents train` wrote, or its file"
        )


def _language_model(argument: str, place: Place) -> Mapping[str, Player]:
    """A language model that writes on, token by token, without training."""
    from agents.learners import make

    env_kwargs = {**place.env_kwargs, "level": place.level, "action_level": "token"}
    return both_ways(make("a2c", place.env_id, argument, 1, place.seed, env_kwargs), argument)


@dataclass
class _Loaded:
    """As much of a Stable-Baselines3 model as playing needs."""

    policy: Any
    observation_space: TokenSpace
    envs: Any

    def get_env(self) -> Any:
        return self.envs


def _stable(argument: str, place: Place) -> Mapping[str, Player]:
    """The policy inside a .zip that any Stable-Baselines3 or sb3-contrib class has saved.

    It is built as ``BaseAlgorithm.load`` builds it, so the class of the algorithm need not be known. Like ``load``
    this unpickles: only for files that one trusts.
    """
    from stable_baselines3.common.save_util import load_from_zip_file

    from agents.vec_env import make_vec_env

    data, parameters, _ = load_from_zip_file(argument, device="cpu")
    assert data is not None
    space, actions = data["observation_space"], data["action_space"]
    if not isinstance(space, TokenSpace):
        raise TypeError(f"{argument} observes {space}: a player reads the token observations of textenvs environments")
    keywords = data["policy_kwargs"]
    turn = isinstance(actions, UtteranceSpace)
    envs = make_vec_env(
        place.env_id,
        1,
        level=place.level,
        action_level="turn" if turn else "choice" if space.max_choices else "token",
        tokenizer=_tokenizer_for(space, keywords.get("backbone")),
        window=space.window,
        max_utterance_tokens=space.max_utterance_tokens,
    )
    if envs.observation_space.shape != space.shape:
        raise ValueError(
            f"{argument} was trained on observations of shape {space.shape}; those of {place.env_id} have "
            f"{envs.observation_space.shape}"
        )
    policy = data["policy_class"](space, actions, lambda _: 0.0, **keywords)
    policy.load_state_dict(parameters["policy"])
    policy.set_training_mode(False)
    return both_ways(_Loaded(policy, space, envs), Path(argument).stem)


def _check_zip(argument: str) -> None:
    if not zipfile.is_zipfile(argument):
        raise ValueError(f"{argument!r} is no .zip: sb3 takes a file that a Stable-Baselines3 class has saved")


def _tokenizer_for(space: TokenSpace, backbone: Any) -> Any:
    """The tokenizer whose ids a policy was trained on: the shipped one, or that of its language model."""
    from textenvs.tokens.tokenizer import load_tokenizer

    shipped = load_tokenizer()
    if (shipped.vocab_size, shipped.pad_id, shipped.end_id) == (space.vocab_size, space.pad_id, space.end_id):
        return shipped
    from agents.learners.table import tokenizer_of

    return load_tokenizer(tokenizer_of(backbone))


# --- players that speak text ---


class CallablePlayer:
    """A Python function that is given the chat so far and returns what to say.

    Args:
        name: what reports call it.
        function: takes ``messages``, a list of ``{"role", "content"}`` in which the environment is the ``user`` and
            the player the ``assistant``, and returns a ``str``. With parameters called ``valid_actions`` or ``env_id``
            it is given these too.
    """

    action_level = "turn"

    def __init__(self, name: str, function: Callable[..., str]) -> None:
        self.name = name
        self.function = function
        parameters = inspect.signature(function).parameters
        anything = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        self._wants = {each for each in ("valid_actions", "env_id") if anything or each in parameters}
        self.env_id = ""

    def act(self, envs: Sequence[TextEnv], observations: np.ndarray) -> Sequence[Any]:
        """What the function says in each environment.

        Raises:
            TypeError: it returned something other than text.
        """
        return [self._say(env) for env in envs]

    def _say(self, env: TextEnv) -> str:
        roles = {"env": "user", "agent": "assistant"}
        extra: dict[str, Any] = {"env_id": self.env_id} if "env_id" in self._wants else {}
        if "valid_actions" in self._wants:
            extra["valid_actions"] = env.valid_actions()
        said = self.function([{"role": roles[who], "content": text} for who, text in env.transcript], **extra)
        if not isinstance(said, str):
            raise TypeError(f"{self.name} must return a str, not {type(said).__name__}")
        return said


def _load_callable(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ImportError(f"player {name!r} is read as module:function, and there is {error}") from error
    except AttributeError:
        raise ImportError(f"player {name!r}: module {module} has no {attribute!r}") from None
    if not callable(found) and not hasattr(found, "act"):
        raise ValueError(f"player {name!r} is not callable: give a function, a Player class or a Player")
    return found


def _callable(argument: str, place: Place) -> Mapping[str, Player]:
    found = _load_callable(argument)
    if inspect.isclass(found):
        found = found(**({"seed": place.seed} if "seed" in inspect.signature(found).parameters else {}))
    if hasattr(found, "act"):
        return {AS_PLAYED: found}
    player = CallablePlayer(argument, found)
    player.env_id = place.env_id
    return {AS_PLAYED: player}


def _check_error(argument: str) -> None:
    try:
        right = 0 <= float(argument) <= 1
    except ValueError:
        right = False
    if not right:
        raise ValueError(f"imperfect takes a probability of 0 to 1, such as imperfect:0.3, not {argument!r}")


def _check_url(argument: str) -> None:
    parts = urlsplit(argument)
    if parts.scheme not in ("http", "https") or not parts.hostname or not parts.fragment:
        raise ValueError(f"openai takes URL#MODEL, such as openai:http://127.0.0.1:8000/v1#my-model, not {argument!r}")


def _prompted(kind: str) -> Makes:
    """A chat model that is told the rules: one of this machine, or one behind an address."""

    def make(argument: str, place: Place) -> Mapping[str, Player]:
        try:
            named = import_module("agents.players.named")
        except ModuleNotFoundError as error:
            raise ImportError(f"this version of agents has no players of kind {kind!r}: use module:function") from error
        return {AS_PLAYED: named.prompted_player(f"{kind}:{argument}")}

    return make


def _plain(player: Player) -> Mapping[str, Player]:
    return {AS_PLAYED: player}


PLAYERS: dict[str, Kind] = {
    "checkpoint": Kind(
        "FOLDER", "a run of `agents train`, or its file", _checkpoint, _check_checkpoint, file=True, once=True
    ),
    "expert": Kind("", "the game's own expert", lambda _, __: _plain(ExpertPlayer()), once=True),
    "hf": Kind("NAME", "a chat model by name, folder or .gguf file, told the rules", _prompted("hf"), once=True),
    "imperfect": Kind(
        "ERROR", "the expert, who errs so often", lambda e, at: _plain(ImperfectPlayer(float(e), at.seed)), _check_error
    ),
    "model": Kind(
        "NAME", "a language model that writes on, told nothing; such as tiny", _language_model, once=True, windowed=True
    ),
    "openai": Kind(
        "URL#MODEL", "a chat model behind an OpenAI-compatible address", _prompted("openai"), _check_url, once=True
    ),
    "random": Kind("", "any admissible utterance", lambda _, at: _plain(RandomPlayer(at.seed))),
    "sb3": Kind("FILE", "a .zip saved by any Stable-Baselines3 class", _stable, _check_zip, file=True, once=True),
}
_CALLABLE = Kind("function", "a Python function, Player class or Player", _callable, _load_callable)
