"""A text game as a Gymnasium environment over tokens."""

from __future__ import annotations

import difflib
import inspect
import zlib
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar, cast

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from textenvs.game import Game
from textenvs.tokens.spaces import TokenSpace, UnicodeText, UtteranceSpace
from textenvs.tokens.stream import TokenStream
from textenvs.tokens.tokenizer import Tokenizer, load_tokenizer, replace_surrogates

ACTION_LEVELS = ("turn", "token", "choice")
SPLITS = ("train", "test", "all")
# Keywords that say in which form a game is played; the episodes are the same.
FORM_KEYWORDS = ("action_level", "as_text", "tokenizer", "window", "max_utterance_tokens", "constrain")
_MAX_DRAWS = 1000  # a split that holds one instance in a hundred is still found (1 - 4e-5)
_MAX_SEED = 1 << 53  # every JSON reader keeps integers exact up to here
_MAX_ACTION_CHARACTERS = 1 << 12
_MAX_OBSERVATION_CHARACTERS = 1 << 20

# What an action says: the text if it is known before decoding, and the ids without the end.
Utterance = tuple[str | None, Sequence[int]]


class TextEnv(gymnasium.Env[Any, Any]):
    """One game, played in tokens (or in text, with ``as_text=True``).

    Made by ``gymnasium.make(id, **keywords)``. The transcript is kept as token ids and only ever appended to; when
    the window is full the older half of the exchanges goes and the opening stays (see ``TokenStream``).

    Observations are int32 arrays of ``observation_space`` (a ``TokenSpace``). What an action is depends on
    ``action_level``:

    - ``"turn"``: one utterance, int64 ids ``(max_utterance_tokens,)`` up to the end or padding id; a ``str`` does too.
    - ``"token"``: one id. The game answers when the end id (or the padding id, which is recorded as the end) or the
      length limit comes; the reward is 0 and ``info`` is empty until then.
    - ``"choice"``: the index of one of ``valid_actions()``; an index beyond them says nothing (an empty utterance).

    When a turn ended ``info`` holds ``text`` (what the game said), ``turns`` (how many were played) and the game's own
    figures; an episode that was truncated without the game's word on it has ``success`` False.

    Args:
        game: a ``Game`` class or ``"module:Class"``.
        level: which of ``Game.levels`` to play.
        split: ``"train"``, ``"test"`` or ``"all"`` instances.
        action_level: ``"turn"``, ``"token"`` or ``"choice"``.
        as_text: observe what the game said last and act by ``str``, without any tokens.
        tokenizer: ``"textenvs"``, a Hugging Face tokenizer, or the name or folder of one.
        window: tokens of context in an observation.
        max_utterance_tokens: the most tokens of one utterance, its end not counted; what is longer is cut.
        constrain: let the masks of ``action_level="token"`` admit only utterances in ``valid_actions()``.
        max_turns: turns before an episode is truncated; ``None`` for the game's own number. The game is not told: its
            text and its expert keep that number, and a game that ends by itself ends no later for a larger one.
        render_mode: ``None`` or ``"ansi"``.
        **knobs: the game's own keywords; they prevail over those of the level.

    Raises:
        TypeError: an unknown keyword; the message suggests the right one.
        ValueError: a value out of its range; the message names the keyword.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012 (Gymnasium's own type)
    _OPTIONS: ClassVar = ("episode_seed",)

    _opening: str = ""
    _exchanges: list[tuple[str, Sequence[int], str]]  # what was said, its ids, the reply
    _writing: list[int]  # the utterance in progress, at token level
    _unstreamed: Sequence[int] | None  # the utterance that the next reply follows; None before the opening
    _choices: list[str] | None  # valid_actions(), their ids and expert_action(), once asked for in this turn
    _choice_ids: list[list[int]] | None
    _expert: str | None
    _info: dict[str, Any]

    def __init__(
        self,
        game: str | type[Game],
        *,
        level: str = "medium",
        split: str = "train",
        action_level: str = "turn",
        as_text: bool = False,
        tokenizer: Any = "textenvs",
        window: int = 512,
        max_utterance_tokens: int = 32,
        constrain: bool = False,
        max_turns: int | None = None,
        render_mode: str | None = None,
        **knobs: Any,
    ) -> None:
        game_class = load_game(game)
        self.game = _make_game(game_class, level, knobs)
        _require_one_of("split", split, SPLITS)
        _require_one_of("action_level", action_level, ACTION_LEVELS)
        _require_one_of("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        self.level, self.split, self.action_level = level, split, action_level
        self.as_text, self.constrain, self.render_mode = bool(as_text), bool(constrain), render_mode
        self.max_turns = _require_int("max_turns", self.game.max_turns if max_turns is None else max_turns, 1)
        self.max_utterance_tokens = _require_int("max_utterance_tokens", max_utterance_tokens, 1)
        self.window = _require_int("window", window, self.max_utterance_tokens + 1)
        name = game_class.__name__
        if action_level == "choice" and self.game.max_choices < 1:
            raise ValueError(f"{name} lists no admissible utterances: use action_level='turn' or 'token'")
        if as_text and action_level != "turn":
            raise ValueError(f"as_text=True needs action_level='turn', not {action_level!r}")
        if constrain and (action_level != "token" or self.game.max_choices < 1):
            raise ValueError(
                "constrain=True needs action_level='token' and a game that lists its admissible utterances"
            )

        self._tokenizer = None if as_text else load_tokenizer(tokenizer)
        self._set_spaces()
        self._episode_seed: int | None = None
        self._clear()
        self._ended = False

    # --- Gymnasium ---

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a new episode.

        Args:
            seed: seeds ``np_random``, from which the seeds of the episodes are drawn.
            options: ``{"episode_seed": n}`` remakes one episode, whatever the split, and draws nothing.

        Returns:
            The observation, and ``info`` with ``text``, ``episode_seed`` and ``turns``.

        Raises:
            ValueError: an unknown option, or a split without instances.
        """
        opening = self._begin(seed, options)
        self._receive(self._encode(opening))
        return self._observation(), self._info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Act at this environment's action level.

        Raises:
            ResetNeeded: before the first reset or after the end of an episode.
            TypeError: the action is of the wrong kind.
            ValueError: the action has the wrong shape or an id is out of range. The episode goes on unchanged.
        """
        if self.as_text:
            if self._ended or self._episode_seed is None:
                self._require_running()
            if type(action) is not str or not action.isascii() or len(action) > _MAX_ACTION_CHARACTERS:
                action = _clean(action)
            text = self._say(action, ())[:_MAX_OBSERVATION_CHARACTERS]
            return text, self._reward, self._terminated, self._truncated, self._info
        reply = self._play(self._parse(action))
        if self._tokenizer is not None and reply is not None:
            self._receive(self._tokenizer.encode(reply))
        return self._observation(), self._reward, self._terminated, self._truncated, self._info

    def render(self) -> str | None:  # type: ignore[override]
        """The transcript so far, with ``render_mode="ansi"``; the player's lines begin with ``> ``."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() needs gymnasium.make(..., render_mode='ansi')")
            return None
        return "\n".join(f"> {text}" if role == "agent" else text for role, text in self.transcript)

    # --- what players and learners ask ---

    @property
    def tokenizer(self) -> Tokenizer:
        """Strings <-> ids; the default one where ``as_text=True`` needs none."""
        return self._tokenizer or load_tokenizer()

    @property
    def transcript(self) -> list[tuple[str, str]]:
        """The episode so far as ``(role, text)``, the role being ``"env"`` or ``"agent"``."""
        if self._episode_seed is None:
            return []
        told = [each for said, _, reply in self._exchanges for each in (("agent", said), ("env", reply))]
        return [("env", self._opening), *told]

    def valid_actions(self) -> list[str]:
        """The admissible utterances now; empty after the end and where the game has no finite set."""
        return list(self._valid())

    def expert_action(self) -> Any:
        """The expert's action in this environment's action space; at token level the next token of its utterance.

        Raises:
            ValueError: the utterance has more than ``max_utterance_tokens``, or is not among the choices.
        """
        self._require_running()
        if self._expert is None:
            self._expert = self.game.expert_action()
        text = self._expert
        if self.as_text:
            return text
        if self.action_level == "choice":
            return self.encode(text)
        ids = self._fitting(text)
        return self._pad(ids) if self.action_level == "turn" else self._next(ids)

    def encode(self, text: str) -> Any:
        """The action that says ``text``: padded ids at turn level (cut if too long), its index at choice level, and at
        token level its next id (the end token where it is complete, or where something else has been written).

        Raises:
            ValueError: at choice level, ``text`` is not admissible now.
        """
        if self.as_text:
            return text
        if self.action_level == "turn":
            return self._pad(self.tokenizer.encode(text))
        if self.action_level == "token":
            return self._next(self.tokenizer.encode(text))
        try:
            return self._valid().index(text)
        except ValueError:
            raise ValueError(f"{text!r} is not in valid_actions()") from None

    def _next(self, ids: list[int]) -> int:
        written = len(self._writing)
        agrees = ids[:written] == self._writing
        return ids[written] if agrees and written < len(ids) else self.tokenizer.end_id

    @property
    def writing(self) -> tuple[int, ...]:
        """The ids of the utterance that is being written; empty where a turn begins."""
        return tuple(self._writing)

    def action_masks(self) -> NDArray[np.bool_]:
        """Which actions are admissible now: bool ``(vocab_size,)`` at token level, ``(max_choices,)`` at choice level.

        At least one always is. At token level special ids are not, save the end; ``constrain=True`` admits only
        what leads to an utterance of ``valid_actions()`` (and the end, where what was written leads to none).
        """
        if self.action_level == "choice":
            mask = np.zeros(self.game.max_choices, np.bool_)
            mask[: max(1, len(self._valid()))] = True
            return mask
        if self.action_level != "token":
            raise ValueError("action_masks() needs action_level 'token' or 'choice'")
        valid = self._valid() if self.constrain else None
        if not valid:
            return self._ordinary.copy()
        mask = np.zeros(self.tokenizer.vocab_size, np.bool_)
        written = len(self._writing)
        if self._choice_ids is None:
            self._choice_ids = [self._fitting(text) for text in valid]
        for ids in self._choice_ids:
            if ids[:written] == self._writing:
                mask[ids[written] if written < len(ids) else self.tokenizer.end_id] = True
        if not mask.any():
            mask[self.tokenizer.end_id] = True
        return mask

    # --- snapshots ---

    def snapshot(self) -> dict[str, Any]:
        """The exact state as JSON-able data: the generator, the seed of the episode and what was said in it."""
        generator = None if self._np_random is None else self._np_random.bit_generator.state
        return {
            "game": type(self.game).__name__,
            "level": self.level,
            "np_random": generator,
            "np_random_seed": self._np_random_seed,
            "episode_seed": self._episode_seed,
            "turns": [[text, list(ids)] for text, ids, _ in self._exchanges],
            "heard": self._heard(),
            "writing": list(self._writing),
            "ended": self._ended,
        }

    def restore(self, state: Mapping[str, Any]) -> Any:
        """Go back to a ``snapshot`` (of an environment made with the same keywords) by replaying it.

        Returns:
            The observation there, or ``None`` for a snapshot taken before the first reset.

        Raises:
            ValueError: the snapshot is of another game or level, or does not replay.
        """
        for key, own in (("game", type(self.game).__name__), ("level", self.level)):
            if state[key] != own:
                raise ValueError(f"the snapshot is of {key} {state[key]!r}, this environment has {own!r}")
        if state["writing"] and self.action_level != "token":
            raise ValueError("the snapshot is within an utterance: restoring it needs action_level='token'")
        if state["np_random"] is not None:
            generator = self.np_random
            generator.bit_generator.state = state["np_random"]
            self._np_random_seed = state["np_random_seed"]
        self._clear()
        self._ended, self._episode_seed = False, None
        if state["episode_seed"] is None:
            return None
        self._receive(self._encode(self._start_episode(state["episode_seed"])))
        for text, ids in state["turns"]:
            if self._ended:
                break
            ids = list(ids) or self._encode(text)[: self.max_utterance_tokens]  # of as_text=True there are none
            if self.action_level == "token":
                self._write(ids)
            self._receive(self._encode(self._say(text, ids, streamed=self.action_level == "token")))
        replayed = self._ended, len(self._exchanges), self._heard()
        # Snapshots of earlier versions do not tell what was heard.
        if replayed != (state["ended"], len(state["turns"]), state.get("heard", replayed[2])):
            raise ValueError("the snapshot does not replay: it was taken with other keywords or another version")
        if state["writing"]:
            self._write(state["writing"])
            self._writing = list(state["writing"])
        return self._observation()

    def _heard(self) -> int:
        """A checksum of what the game said in this episode."""
        said = [] if self._episode_seed is None else [text for role, text in self.transcript if role == "env"]
        return zlib.crc32(replace_surrogates("\n".join(said)).encode())

    def _write(self, ids: Sequence[int]) -> None:
        """Let the stream read ids as they are written at token level, one by one."""
        for i in ids:
            self._stream.append((i,), closes=False)

    # --- the parts of a step, called in this order by ``step`` and, row by row, by ``TextVectorEnv`` ---

    def _begin(self, seed: int | None, options: Mapping[str, Any] | None) -> str:
        """Draw and start an episode; its opening, which ``_receive`` is to be given as ids."""
        episode_seed = self._check_reset(seed, options)
        super().reset(seed=seed)
        if episode_seed is not None:
            return self._start_episode(episode_seed)
        for _ in range(_MAX_DRAWS):
            opening = self._start_episode(int(self.np_random.integers(_MAX_SEED)))
            if self.in_split():
                return opening
        self._ended, self._episode_seed = False, None
        raise ValueError(
            f"split={self.split!r} of {type(self.game).__name__} has no instance in {_MAX_DRAWS} draws at "
            f"level={self.level!r}: use split='all' or another level"
        )

    def _check_reset(self, seed: int | None, options: Mapping[str, Any] | None) -> int | None:
        """The episode's seed, if the options hold one; refuses others, and what is no seed, without any effect."""
        if seed is not None:
            _require_int("seed", seed, 0)
        options = options or {}
        for key in options:
            if key not in self._OPTIONS:
                raise ValueError(f"unknown reset option {key!r}{_suggest(key, self._OPTIONS)}")
        episode_seed = options.get("episode_seed")
        return None if episode_seed is None else _require_int("episode_seed", episode_seed, 0)

    def _parse(self, action: Any) -> Any:
        """Check an action, without any effect: an ``Utterance`` at turn level, an ``int`` at the others."""
        self._require_running()
        if self.as_text:
            return _clean(action), ()
        if self.action_level == "turn":
            return self._parse_utterance(action)
        limit = self.tokenizer.vocab_size if self.action_level == "token" else self.game.max_choices
        if isinstance(action, np.ndarray) and action.size == 1:
            action = action.item()
        if isinstance(action, (bool, np.bool_)) or not isinstance(action, (int, np.integer)):
            raise TypeError(f"an action at {self.action_level} level is one integer, not {type(action).__name__}")
        if not 0 <= action < limit:
            raise ValueError(f"action {action} is out of range: it must be in [0, {limit})")
        return int(action)

    def _parse_utterance(self, action: Any) -> Utterance:
        limit = self.max_utterance_tokens
        if isinstance(action, str):
            ids = self.tokenizer.encode(action)
            # The game gets the words themselves, even from a tokenizer that would lose some of them.
            return (replace_surrogates(action), ids) if len(ids) <= limit else (None, ids[:limit])
        if not isinstance(action, np.ndarray):
            action = np.asarray(action)
        if action.dtype.kind not in "iu":
            raise TypeError(f"an utterance is a str or an array of integer ids, not of {action.dtype}")
        if action.shape != (limit,):
            raise ValueError(
                f"an utterance has shape ({limit},), not {action.shape}: pass a str or env.unwrapped.encode(text)"
            )
        ids = action.tolist()
        end, pad = self.tokenizer.end_id, self.tokenizer.pad_id
        for position, i in enumerate(ids):
            if i in (end, pad):
                del ids[position:]
                break
        if ids and (min(ids) < 0 or max(ids) >= self.tokenizer.vocab_size):
            raise ValueError(f"an id is out of range: ids must be in [0, {self.tokenizer.vocab_size})")
        return None, ids

    def _play(self, parsed: Any) -> str | None:
        """Act; the game's reply, which ``_receive`` is to be given as ids, or ``None`` inside an utterance."""
        if self.action_level == "turn":
            return self._say(*parsed)
        if self.action_level == "choice":
            valid = self._valid()
            if parsed >= len(valid):
                return self._say("", [])
            return self._say(valid[parsed], self._fitting(valid[parsed]))
        if parsed not in (self.tokenizer.end_id, self.tokenizer.pad_id):
            self._writing.append(parsed)
            self._stream.append((parsed,), closes=False)
            if len(self._writing) < self.max_utterance_tokens:
                self._reward, self._info = 0.0, {}
                return None
        text = None
        if self.constrain:  # the words themselves, even from a tokenizer that would lose some of them
            text = next((text for text in self._valid() if self.tokenizer.encode(text) == self._writing), None)
        return self._say(text, self._writing, streamed=True)

    def _receive(self, ids: list[int]) -> None:
        """Append what the game said."""
        if self.as_text:
            return
        tokenizer = self.tokenizer
        if self._unstreamed is None:
            self._stream.start([*tokenizer.opening_prefix, *ids, *tokenizer.agent_prefix])
        else:
            new = [*self._unstreamed, tokenizer.end_id, *tokenizer.env_prefix, *ids, *tokenizer.agent_prefix]
            self._stream.append(new, closes=True)
        if self.action_level == "choice":
            self._write_choices()

    def _observation(self) -> Any:
        """What the player sees now: a fresh array, or the game's last text."""
        if self.as_text:
            return (self._exchanges[-1][2] if self._exchanges else self._opening)[:_MAX_OBSERVATION_CHARACTERS]
        return self._buffer.copy()

    # --- the episode ---

    def _clear(self) -> None:
        self._exchanges, self._writing, self._info = [], [], {}
        self._unstreamed = self._choices = self._choice_ids = self._expert = None
        self._reward, self._terminated, self._truncated = 0.0, False, False

    def _start_episode(self, episode_seed: int) -> str:
        self._clear()
        self._ended = False
        self._episode_seed = episode_seed
        opening = self.game.reset(np.random.default_rng(episode_seed))
        self._opening = opening
        self._info = {"text": opening, "episode_seed": episode_seed, "turns": 0}
        return opening

    def in_split(self) -> bool:
        """Whether the instance of this episode, as it is after ``reset``, belongs to ``split``."""
        instance = None if self.split == "all" else self.game.instance()
        if instance is None:
            return True
        held_out = zlib.crc32(replace_surrogates(instance).encode()) % 5 == 0
        return held_out == (self.split == "test")

    def _say(self, text: str | None, ids: Sequence[int], streamed: bool = False) -> str:
        """Play one utterance; ``streamed`` says that its ids are in the stream already."""
        if text is None:
            text = self.tokenizer.decode(ids)
        reply, reward, terminated, info = self.game.step(text)
        self._exchanges.append((text, ids, reply))
        self._writing, self._unstreamed = [], () if streamed else ids
        self._choices = self._choice_ids = self._expert = None
        turns = len(self._exchanges)
        self._reward = float(reward)
        self._info = {"text": reply, "turns": turns}
        if info:
            self._info = {**info, **self._info}
        self._terminated = terminated = bool(terminated)
        self._truncated = truncated = not terminated and turns >= self.max_turns
        self._ended = terminated or truncated
        if truncated:
            self._info.setdefault("success", False)
        return reply

    def _require_running(self) -> None:
        if self._episode_seed is None:
            raise ResetNeeded("call env.reset() before the first step")
        if self._ended:
            raise ResetNeeded("the episode has ended: call env.reset() before the next step")

    def _valid(self) -> list[str]:
        if self._choices is None:
            if self._episode_seed is None:
                raise ResetNeeded("call env.reset() first")
            self._choices = [] if self._terminated else self.game.valid_actions()
        return self._choices

    # --- tokens ---

    def _set_spaces(self) -> None:
        if self._tokenizer is None:
            self.observation_space = UnicodeText(_MAX_OBSERVATION_CHARACTERS)
            self.action_space = UnicodeText(_MAX_ACTION_CHARACTERS)
            return
        tokenizer = self._tokenizer
        layout = (tokenizer.vocab_size, tokenizer.pad_id, tokenizer.end_id, tokenizer.special_ids)
        max_choices = self.game.max_choices if self.action_level == "choice" else 0
        self.observation_space = TokenSpace(self.window, *layout, self.max_utterance_tokens, max_choices)
        if self.action_level == "turn":
            self.action_space = UtteranceSpace(self.max_utterance_tokens, *layout)
        else:
            self.action_space = gymnasium.spaces.Discrete(max_choices or tokenizer.vocab_size)
        self._ordinary = np.ones(tokenizer.vocab_size, np.bool_)
        self._ordinary[[tokenizer.pad_id, *tokenizer.special_ids]] = False
        self._ordinary[tokenizer.end_id] = True
        self._buffer = np.full(self.observation_space.shape, tokenizer.pad_id, np.int32)
        self._stream = TokenStream(self._buffer, self.window, tokenizer.pad_id)

    def _encode(self, text: str) -> list[int]:
        return [] if self._tokenizer is None else self._tokenizer.encode(text)

    def _pad(self, ids: list[int]) -> NDArray[np.int64]:
        limit = self.max_utterance_tokens
        action = np.full(limit, self.tokenizer.pad_id, np.int64)
        ids = [*ids[:limit], self.tokenizer.end_id][:limit]
        action[: len(ids)] = ids
        return action

    def _fitting(self, text: str) -> list[int]:
        """The ids of an utterance that must not be cut."""
        ids = self.tokenizer.encode(text)
        if len(ids) > self.max_utterance_tokens:
            raise ValueError(
                f"{text!r} has {len(ids)} tokens, more than max_utterance_tokens={self.max_utterance_tokens}: "
                f"pass gymnasium.make(..., max_utterance_tokens={len(ids)})"
            )
        return ids

    def _write_choices(self) -> None:
        valid, rows = self._valid(), self.game.max_choices
        if len(valid) > rows:
            raise ValueError(
                f"{type(self.game).__name__}.valid_actions() has {len(valid)} entries, more than max_choices={rows}"
            )
        length = self.max_utterance_tokens
        self._buffer[self.window :] = self.tokenizer.pad_id
        for start, text in zip(range(self.window, self._buffer.size, length), valid, strict=False):
            ids = self._fitting(text)
            self._buffer[start : start + len(ids)] = ids


def _clean(action: Any) -> str:
    """An action of ``as_text=True``, with a UTF-8 form and not too long."""
    if not isinstance(action, str):
        raise TypeError(f"with as_text=True an action is a str, not {type(action).__name__}")
    return replace_surrogates(action)[:_MAX_ACTION_CHARACTERS]


def load_game(game: str | type[Game]) -> type[Game]:
    """The game class that ``"module:Class"`` names, or ``game`` itself."""
    if isinstance(game, str):
        module, _, name = game.partition(":")
        if not name:
            raise ValueError(f"game must be 'module:Class' or a Game class, not {game!r}")
        game = getattr(import_module(module), name)
    if not (isinstance(game, type) and issubclass(game, Game)):
        raise TypeError(f"game must be 'module:Class' or a Game class, not {game!r}")
    return cast("type[Game]", game)


def _make_game(game_class: type[Game], level: str, knobs: Mapping[str, Any]) -> Game:
    """The game at a level, with the user's knobs on top; unknown ones are refused."""
    _require_one_of("level", level, tuple(game_class.levels))
    parameters = inspect.signature(game_class).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        known = [
            *parameters,
            *(name for name in inspect.signature(TextEnv).parameters if name not in ("game", "knobs")),
        ]
        for name in knobs:
            if name not in parameters:
                raise TypeError(
                    f"{game_class.__name__} got an unexpected keyword argument {name!r}{_suggest(name, known)}"
                )
    return game_class(**{**game_class.levels[level], **knobs})


def _suggest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f": did you mean {close[0]!r}?" if close else f": it must be one of {', '.join(sorted(known))}"


def _require_one_of(keyword: str, value: Any, allowed: Sequence[Any]) -> None:
    if value not in allowed:
        *most, last = map(repr, allowed)
        names = f"{', '.join(most)} or {last}" if most else last
        raise ValueError(f"{keyword} must be {names}, not {value!r}")


def _require_int(keyword: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{keyword} must be an integer of at least {least}, not {value!r}")
    return int(value)
