"""Recorded episodes: JSON Lines with chat messages, Minari datasets, and their exact replay.

A line of the JSON Lines file is an episode: ``env`` (the id), ``kwargs`` (of ``gymnasium.make``), ``player``,
``episode_seed``, ``messages`` (chat messages: the environment is the ``user``, the player the ``assistant``),
``rewards``, ``return``, ``success`` (or null), ``terminated`` and ``truncated``. Trainers of chat models read it as it
is.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import IO, Any

import gymnasium
import numpy as np

import textenvs
from textenvs.env import FORM_KEYWORDS, TextEnv
from textenvs.scores import random_player, table
from textenvs.tokens.tokenizer import load_tokenizer

Speaker = Callable[[TextEnv, np.random.Generator], str]


@dataclass(frozen=True)
class Recording:
    """One episode, as a line of the file tells it; see the module's own text for the fields."""

    env: str
    kwargs: dict[str, Any]
    player: str
    episode_seed: int
    messages: list[dict[str, str]]
    rewards: list[float]
    success: bool | None
    terminated: bool
    truncated: bool

    @property
    def utterances(self) -> list[str]:
        """What the player said, in order."""
        return [message["content"] for message in self.messages if message["role"] == "assistant"]

    def to_json(self) -> str:
        """The line, without its end."""
        return json.dumps({**asdict(self), "return": sum(self.rewards)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Recording:
        """The episode of a line.

        Raises:
            ValueError: the line is no recorded episode; the message says what it lacks.
        """
        try:
            fields = json.loads(line)
            found = cls(**{name: fields[name] for name in cls.__dataclass_fields__})
        except (json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"not a recorded episode: {error}") from None
        except KeyError as error:
            raise ValueError(f"not a recorded episode: it has no {error}") from None
        for name, kind in _KINDS.items():
            if not isinstance(getattr(found, name), kind):
                raise ValueError(f"not a recorded episode: its {name} is {getattr(found, name)!r}")
        return found


_KINDS = {"env": str, "kwargs": dict, "episode_seed": int, "messages": list, "rewards": list}
_DATASET_ID = re.compile(r"([\w-]+/)*[\w-]+-v\d+")


def expert_who_errs(error: float = 0.0) -> Speaker:
    """The game's expert, who with probability ``error`` says a random admissible utterance instead."""
    if not 0 <= error <= 1:
        raise ValueError(f"error is a probability: it must be 0 to 1, not {error!r}")

    def speak(env: TextEnv, rng: np.random.Generator) -> str:
        return random_player(env, rng) if error and rng.random() < error else env.expert_action()

    return speak


def record(id: str, player: str, speak: Speaker, episodes: int, seed: int = 0, **kwargs: Any) -> Iterator[Recording]:
    """Let a player play ``episodes`` episodes.

    Args:
        id: a registered id.
        player: what the recordings call it.
        speak: its utterance, given the environment (made with ``as_text=True``) and a generator.
        episodes: how many.
        seed: fixes the episodes and the player's generator.
        kwargs: keywords of ``gymnasium.make``, such as ``level``, ``split`` and the game's knobs.
    """
    env = _text_env(id, kwargs)
    rng = np.random.default_rng(seed)
    for episode in range(episodes):
        _, info = env.reset(seed=seed if episode == 0 else None)
        episode_seed, rewards = info["episode_seed"], []
        terminated = truncated = False
        while not (terminated or truncated):
            _, reward, terminated, truncated, info = env.step(speak(env, rng))
            rewards.append(reward)
        yield Recording(
            env=id,
            kwargs=kwargs,
            player=player,
            episode_seed=episode_seed,
            messages=_messages(env),
            rewards=rewards,
            success=bool(info["success"]) if "success" in info else None,
            terminated=terminated,
            truncated=truncated,
        )


def replay(id: str, player: str, episode_seed: int, utterances: Sequence[str], **kwargs: Any) -> Recording:
    """What comes of saying ``utterances`` in the episode of ``episode_seed``; those after its end are left out."""
    env = _text_env(id, kwargs)
    env.reset(options={"episode_seed": episode_seed})
    rewards: list[float] = []
    terminated = truncated = False
    info: dict[str, Any] = {}
    for said in utterances:
        _, reward, terminated, truncated, info = env.step(said)
        rewards.append(reward)
        if terminated or truncated:
            break
    return Recording(
        env=id,
        kwargs=kwargs,
        player=player,
        episode_seed=episode_seed,
        messages=_messages(env),
        rewards=rewards,
        success=bool(info["success"]) if "success" in info else None,
        terminated=terminated,
        truncated=truncated,
    )


def write_jsonl(recordings: Iterable[Recording], path: Path) -> list[Recording]:
    """Write one line each, and replace ``path`` when all are there; the recordings, in a list."""
    written = []
    with _replacing(path) as file:
        for recording in recordings:
            file.write(recording.to_json() + "\n")
            written.append(recording)
    return written


def read_jsonl(path: Path) -> Iterator[Recording]:
    """The episodes of a file.

    Raises:
        ValueError: a line is no recorded episode; the message has its number.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield Recording.from_json(line)
                except ValueError as error:
                    raise ValueError(f"{path}, line {number}: {error}") from None


def read(source: str | os.PathLike[str]) -> Iterator[Recording]:
    """The episodes of a JSON Lines file, or of the Minari dataset with that id.

    Raises:
        FileNotFoundError: there is neither.
        ValueError: something in it is no recorded episode.
    """
    if Path(source).is_file():
        yield from read_jsonl(Path(source))
        return
    try:
        yield from read_minari(str(source))
    except (ImportError, FileNotFoundError):
        raise FileNotFoundError(
            f"no file and no Minari dataset {str(source)!r}: `textenvs record ID` writes both"
        ) from None


class UnsayableError(ValueError):
    """What was said in a recording is not among the choices of the environment that is to play it again."""


def difference(recording: Recording, env: TextEnv | None = None) -> str | None:
    """Play a recording again; what came out otherwise, in a sentence, or ``None`` where all of it came again.

    Args:
        recording: the episode.
        env: an environment of the same id and keywords, at any action level, that plays it in tokens; ``None`` plays
            it in text. The recording's own keywords are not looked at then.

    Raises:
        UnsayableError: ``env`` offers choices, or holds tokens to them, and an utterance is none of them.
    """
    if env is None:
        env = _text_env(recording.env, recording.kwargs)
    _, info = env.reset(options={"episode_seed": recording.episode_seed})
    heard = [message["content"] for message in recording.messages if message["role"] == "user"]
    if len(heard) != len(recording.rewards) + 1 or len(recording.utterances) != len(recording.rewards):
        return f"{len(recording.rewards)} rewards do not fit {len(recording.utterances)} utterances"
    if info["text"] != heard[0]:
        return f"the opening is {info['text']!r}, recorded was {heard[0]!r}"
    turns = zip(recording.utterances, recording.rewards, heard[1:], strict=True)
    terminated = truncated = False
    for turn, (said, reward, reply) in enumerate(turns, 1):
        if terminated or truncated:
            return f"the episode ended after {turn - 1} turns, recorded were {len(recording.rewards)}"
        if env.constrain or env.action_level == "choice":
            offered = env.valid_actions()
            if said not in offered and (offered or not env.constrain):
                raise UnsayableError(f"{said!r} in turn {turn} is not among the {len(offered)} choices there")
        _, got, terminated, truncated, info = env.step(env.encode(said))
        while env.writing:  # at token level a step is one token
            _, got, terminated, truncated, info = env.step(env.encode(said))
        if info["text"] != reply:
            return f"turn {turn} is answered {info['text']!r}, recorded was {reply!r}"
        if got != reward:
            return f"turn {turn} earns {got}, recorded was {reward}"
    success = bool(info["success"]) if "success" in info else None
    ended = (terminated, truncated, success)
    if ended != (recording.terminated, recording.truncated, recording.success):
        return f"the end is (terminated, truncated, success) = {ended}, recorded was otherwise"
    return None


def write_minari(recordings: Iterable[Recording], dataset: str) -> Any:
    """Write episodes of one environment as a Minari dataset of token observations and turn-level actions.

    ``dataset.recover_environment()`` makes the environment; ``dataset.storage.get_episode_metadata([0])`` has the
    ``options`` with which ``reset`` makes the first episode again.

    Args:
        recordings: episodes with the same ``env`` and ``kwargs``.
        dataset: its id, as in ``"textenvs/GuessNumber/expert-v0"``.

    Returns:
        The ``minari.MinariDataset``.

    Raises:
        ImportError: Minari is not installed; the message says how to.
        ValueError: no recordings, the dataset exists or its id is none, or no other process could make the environment.
    """
    require_new_dataset(dataset)
    import minari
    from minari.data_collector.episode_buffer import EpisodeBuffer

    recordings = list(recordings)
    if not recordings:
        raise ValueError("a dataset needs at least one episode")
    first = recordings[0]
    game = gymnasium.spec(first.env).kwargs.get("game")
    if isinstance(game, type):
        raise ValueError(
            f"{first.env} is the class {game.__qualname__} of this process, so nobody could read the dataset: put the "
            "class into a module of its own and register 'module:Class'"
        )
    env = gymnasium.make(first.env, **{**_room_for(recordings), **first.kwargs})
    reference = table().get(first.env, {}).get(first.kwargs.get("level", "medium"))
    scale = {}
    if reference is not None:
        scale = {"ref_min_score": reference["random"]["mean"], "ref_max_score": reference["expert"]["mean"]}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="minari")  # it asks for an author, an address and a permanent link
        return minari.create_dataset_from_buffers(
            dataset,
            [EpisodeBuffer(id=index, **_played(env, each)) for index, each in enumerate(recordings)],
            env=env,
            algorithm_name=first.player,
            description=f"{first.env} {first.kwargs} played by {first.player}; observations and actions are token ids",
            requirements=[f"textenvs=={textenvs.__version__}"],
            **scale,
        )


def require_new_dataset(dataset: str) -> None:
    """Check that ``write_minari`` can write a dataset with this id.

    Raises:
        ImportError: Minari is not installed; the message says how to.
        ValueError: it exists, or that is no id.
    """
    try:
        import minari
    except ImportError as error:
        raise ImportError("a Minari dataset needs Minari: pip install 'textenvs[minari]'") from error
    if not _DATASET_ID.fullmatch(dataset):
        raise ValueError(f"the id of a Minari dataset must be like textenvs/Nim/expert-v0, not {dataset!r}")
    if dataset in minari.list_local_datasets():
        raise ValueError(f"the Minari dataset {dataset} exists: `minari delete {dataset}` first, or give another id")


def read_minari(dataset: str) -> Iterator[Recording]:
    """The episodes of a dataset of ``write_minari``, their messages from saying the recorded actions again.

    Raises:
        FileNotFoundError: no such dataset.
        ImportError: Minari is not installed.
        ValueError: it was not written by ``write_minari``, or does not come out again.
    """
    recorded, episodes = _minari_episodes(dataset)
    spec = recorded.spec.env_spec
    kwargs = {name: value for name, value in spec.kwargs.items() if name not in ("game", *FORM_KEYWORDS)}
    player = recorded.storage.metadata.get("algorithm_name", "unknown")
    tokenizer = load_tokenizer(spec.kwargs.get("tokenizer", "textenvs"))
    unsaid = tokenizer.end_id, tokenizer.pad_id
    for number, (episode_seed, episode) in enumerate(episodes, 1):
        said = [list(takewhile(lambda i: i not in unsaid, row)) for row in episode.actions.tolist()]
        played = replay(spec.id, player, episode_seed, [tokenizer.decode(ids) for ids in said], **kwargs)
        ends = (bool(episode.terminations[-1]), bool(episode.truncations[-1]))
        if played.rewards != list(episode.rewards) or (played.terminated, played.truncated) != ends:
            raise ValueError(
                f"{dataset}, episode {number}: rewards or the end are others than recorded; it was recorded with "
                "another version, or changed"
            )
        yield played


def minari_differences(dataset: str) -> Iterator[str | None]:
    """Play a dataset of ``write_minari`` again: for each episode what came out otherwise, or ``None``.

    Raises:
        FileNotFoundError: no such dataset.
        ImportError: Minari is not installed.
    """
    recorded, episodes = _minari_episodes(dataset)
    env = recorded.recover_environment()
    for episode_seed, episode in episodes:
        observation, _ = env.reset(options={"episode_seed": episode_seed})
        found = [observation]
        rewards, ends = [], []
        for action in episode.actions:
            observation, reward, terminated, truncated, _ = env.step(action)
            found.append(observation)
            rewards.append(reward)
            ends.append((terminated, truncated))
            if terminated or truncated:
                break
        same = (
            np.array_equal(found, episode.observations)
            and np.array_equal(rewards, episode.rewards)
            and np.array_equal(ends, np.stack((episode.terminations, episode.truncations), axis=1))
        )
        yield None if same else "observations, rewards or the end are others than recorded"


def _minari_episodes(dataset: str) -> tuple[Any, Iterator[tuple[int, Any]]]:
    """A dataset, and the episode seed and the columns of each of its episodes."""
    import minari

    recorded = minari.load_dataset(dataset)
    about = recorded.storage.get_episode_metadata(recorded.episode_indices)

    def episodes() -> Iterator[tuple[int, Any]]:
        for episode, metadata in zip(recorded.iterate_episodes(), about, strict=True):
            if "episode_seed" not in metadata.get("options", {}):
                raise ValueError(f"{dataset} was not written by textenvs record: its episodes have no episode_seed")
            yield int(metadata["options"]["episode_seed"]), episode

    return recorded, episodes()


def _room_for(recordings: Sequence[Recording]) -> dict[str, int]:
    """``max_utterance_tokens``, where the longest utterance needs more than the default."""
    encode = load_tokenizer().encode
    longest = max((len(encode(said)) for each in recordings for said in each.utterances), default=0)
    usual = inspect.signature(TextEnv).parameters["max_utterance_tokens"].default
    return {"max_utterance_tokens": longest} if longest > usual else {}


def _played(env: Any, recording: Recording) -> dict[str, Any]:
    """An episode as Minari's columns."""
    options = {"episode_seed": recording.episode_seed}
    observation, _ = env.reset(options=options)
    names = ("observations", "rewards", "terminations", "truncations")
    columns: dict[str, Any] = {name: [] for name in (*names, "actions")}
    columns["observations"].append(observation)
    for said in recording.utterances:
        columns["actions"].append(env.unwrapped.encode(said))
        for name, value in zip(names, env.step(columns["actions"][-1]), strict=False):
            columns[name].append(value)
    return {**columns, "options": options}


def _text_env(id: str, kwargs: Mapping[str, Any]) -> TextEnv:
    env = gymnasium.make(id, **kwargs, as_text=True).unwrapped
    assert isinstance(env, TextEnv)
    return env


def _messages(env: TextEnv) -> list[dict[str, str]]:
    return [{"role": "assistant" if who == "agent" else "user", "content": said} for who, said in env.transcript]


@contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    """A file that takes the place of ``path`` when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
