"""What is to be played: suites in plain files, and the cells that they consist of."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import textenvs
from textenvs.env import load_game
from textenvs.registration import spec

SUITES = Path(__file__).parent / "suites"
WAYS = ("greedy", "sampled")
_ACTION_LEVELS = ("token", "turn", "choice")
# Others would change what a score means.
_ENV_KEYWORDS = ("window", "max_utterance_tokens", "constrain", "tokenizer")


@dataclass(frozen=True)
class Cell:
    """One contestant on one environment: the unit of work, and of results.

    Attributes:
        kind: ``"learner"`` or ``"player"``.
        name: a name of ``agents.LEARNERS`` or of a variant, or a player as ``benchmarks.contestants`` reads it.
        env_id, level: what is played.
        backbone: the learner's model; empty for a player.
        seed: seeds the learner's training, or the player's own draws.
        budget: environment steps of training at ``action_level``; 0 for a player.
        action_level: the learner's; empty for a player, who brings its own.
        episodes: test episodes after training.
        instances_seed: fixes these episodes, for all contestants the same.
        ways: how a policy acts in them, of ``WAYS``.
        keep: so many of them are kept as whole transcripts.
        env_kwargs: keywords of ``gym.make`` for a policy's environments.
        settings: the learner's keywords in place of its defaults.
        learner: the name of ``agents.LEARNERS`` that a variant is one of; empty where ``name`` is it.
        price: dollars for a million tokens read and written, where the player has a price.
        content: digest of the file that the player is, so that another file is another cell.
        imports: modules that register environments.
    """

    kind: str
    name: str
    env_id: str
    level: str
    backbone: str = ""
    seed: int = 0
    budget: int = 0
    action_level: str = ""
    episodes: int = 100
    instances_seed: int = 1
    ways: tuple[str, ...] = WAYS
    keep: int = 2
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    learner: str = ""
    price: tuple[float, float] | None = None
    content: str = ""
    imports: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for all of the above, save the price."""
        played = {name: value for name, value in asdict(self).items() if name != "price"}
        return hashlib.sha256(json.dumps(played, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def filename(self) -> str:
        """The name of the file that holds its result."""
        about = (self.name, self.backbone, self.env_id, self.level, f"seed{self.seed}")
        plain = "-".join("".join(c if c.isalnum() or c in "._" else "_" for c in each)[:60] for each in about if each)
        return f"{plain}-{self.digest}.json"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Cell:
        """The cell whose ``dataclasses.asdict`` went through JSON.

        Raises:
            ValueError: not the fields of a cell.
        """
        known = {each.name for each in fields(cls)}
        if not isinstance(values, Mapping):
            raise ValueError(f"not a cell: {values!r}")
        if set(values) != known:
            raise ValueError(f"not a cell: its fields differ by {sorted(known ^ set(values))}")
        for name, kind in (("name", str), ("env_id", str), ("level", str), ("seed", int), ("episodes", int)):
            if not isinstance(values[name], kind):
                raise ValueError(f"not a cell: its {name} is {values[name]!r}")
        tuples = {name: tuple(values[name]) for name in ("ways", "imports", "price") if values[name] is not None}
        return cls(**{**values, **tuples})


# What a file may hold.
_KINDS: dict[str, tuple[Any, str]] = {
    "about": (str, "text"),
    "budget": (Mapping, "an integer, or a table of them"),
    **dict.fromkeys(("env", "settings", "variants", "prices"), (Mapping, "a table")),
}
_LEAST = {"seeds": 1, "episodes": 2, "keep": 0, "instances_seed": 0}


@dataclass(frozen=True)
class Suite:
    """A file of ``benchmarks/suites``, or one like it; what the fields mean stands in ``docs/benchmarks.md``."""

    name: str
    about: str = ""
    ids: tuple[str, ...] = ()
    levels: tuple[str, ...] = ("easy",)
    players: tuple[str, ...] = ("random", "expert")
    learners: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ("tiny",)
    seeds: int = 3
    episodes: int = 100
    instances_seed: int = 1
    keep: int = 2
    ways: tuple[str, ...] = WAYS
    action_level: str = ""
    budget: Mapping[str, int] = field(default_factory=lambda: {"token": 16_384, "turn": 4096, "choice": 4096})
    env: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variants: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, Sequence[float]] = field(default_factory=dict)
    imports: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, (kind, told) in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} must be {told}, not {getattr(self, name)!r}")
        for name, allowed in (("ways", WAYS), ("env", _ENV_KEYWORDS), ("budget", _ACTION_LEVELS)):
            for each in getattr(self, name):
                if each not in allowed:
                    raise ValueError(f"{name} takes {', '.join(allowed)}, not {each!r}")
        if not self.ways:
            raise ValueError("ways must not be empty")
        if self.action_level not in ("", *_ACTION_LEVELS):
            raise ValueError(f"action_level takes {', '.join(_ACTION_LEVELS)}, not {self.action_level!r}")
        whole = [(name, getattr(self, name), least) for name, least in _LEAST.items()]
        whole += [(f"budget.{name}", value, 1) for name, value in self.budget.items()]
        whole += [(f"env.{each}", self.env[each], 1) for each in ("window", "max_utterance_tokens") if each in self.env]
        for name, value, least in whole:
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}")
        if not isinstance(self.env.get("constrain", False), bool):
            raise ValueError(f"env.constrain must be true or false, not {self.env['constrain']!r}")
        if not isinstance(self.env.get("tokenizer", ""), str):
            raise ValueError(f"env.tokenizer must be a name, not {self.env['tokenizer']!r}")
        for player, price in self.prices.items():
            if not isinstance(price, list | tuple) or len(price) != 2 or not all(map(_is_price, price)):
                raise ValueError(f"prices.{player!r} must be two numbers, for tokens read and written, not {price!r}")
        if self.settings or self.variants:
            self._check_learners()

    def _check_learners(self) -> None:
        from agents.learners import LEARNERS

        for name, learner in self.variants.items():
            if name in LEARNERS:
                raise ValueError(f"variants.{name} is named as a learner: give it a name of its own")
            if not isinstance(learner, str) or learner not in LEARNERS:
                raise ValueError(f"variants.{name}: no learner {learner!r}{_suggest(str(learner), LEARNERS)}")
        for name, keywords in self.settings.items():
            if name not in LEARNERS and name not in self.variants:
                known = [*LEARNERS, *self.variants]
                raise ValueError(f"settings.{name}: no learner or variant {name!r}{_suggest(name, known)}")
            if not isinstance(keywords, Mapping):
                raise ValueError(f"settings.{name} must be a table of keywords, not {keywords!r}")

    def cells(self) -> list[Cell]:
        """All cells, cheap ones first, then seed by seed, so that an early look shows every contestant.

        A learner that can play none of its action levels in a game has no cell there.

        Raises:
            ValueError: an unknown id, level, learner or player; the message suggests the right one.
        """
        for module in self.imports:
            import_module(module)
        found = [*self._player_cells(), *self._learner_cells()]
        if not found:
            raise ValueError(f"suite {self.name!r} has no cells: give it ids, levels, and players or learners")
        return found

    def tasks(self) -> list[tuple[str, str]]:
        """The ids and levels that are played."""
        found = []
        for env_id in self.ids:
            if env_id not in textenvs.ids():
                raise ValueError(f"no environment {env_id!r}{_suggest(env_id, textenvs.ids())}")
            levels = load_game(spec(env_id).entry).levels
            found += [(env_id, level) for level in self.levels if level in levels]
        for level in self.levels:
            if self.ids and all(level != each for _, each in found):
                raise ValueError(f"no environment of suite {self.name!r} has level {level!r}")
        return found

    def _player_cells(self) -> Iterator[Cell]:
        from benchmarks.contestants import fingerprint, is_windowed, plays_once

        for name in self.players:
            content = fingerprint(name)
            price = self.prices.get(name)
            for seed in range(1 if plays_once(name) else self.seeds):
                for env_id, level in self.tasks():
                    yield Cell(
                        "player",
                        name,
                        env_id,
                        level,
                        seed=seed,
                        content=content,
                        price=None if price is None else (float(price[0]), float(price[1])),
                        env_kwargs=dict(self.env) if is_windowed(name) else {},
                        **self._shared(),
                    )

    def _learner_cells(self) -> Iterator[Cell]:
        from agents.learners import LEARNERS

        for name in self.learners:
            learner = self.variants.get(name, name)
            if learner not in LEARNERS:
                raise ValueError(f"no learner {learner!r}{_suggest(learner, [*LEARNERS, *self.variants])}")
        for seed in range(self.seeds):
            for backbone in self.backbones:
                for env_id, level in self.tasks():
                    chooses = load_game(spec(env_id).entry)(**load_game(spec(env_id).entry).levels[level]).max_choices
                    for name in self.learners:
                        learner = self.variants.get(name, name)
                        levels = [each for each in LEARNERS[learner].levels if each != "choice" or chooses]
                        if self.action_level:
                            levels = [each for each in levels if each == self.action_level]
                        if not levels:
                            continue
                        env_kwargs = dict(self.env)
                        if not chooses or levels[0] != "token":
                            env_kwargs.pop("constrain", None)
                        yield Cell(
                            "learner",
                            name,
                            env_id,
                            level,
                            backbone=backbone,
                            seed=seed,
                            budget=self.budget[levels[0]],
                            action_level=levels[0],
                            env_kwargs=env_kwargs,
                            settings=dict(self.settings.get(name, {})),
                            learner=learner if learner != name else "",
                            **self._shared(),
                        )

    def _shared(self) -> dict[str, Any]:
        return {
            "episodes": self.episodes,
            "instances_seed": self.instances_seed,
            "ways": tuple(self.ways),
            "keep": min(self.keep, self.episodes),
            "imports": tuple(self.imports),
        }


def families() -> dict[str, list[str]]:
    """family -> its registered ids."""
    found: dict[str, list[str]] = {}
    for env_id in textenvs.ids():
        found.setdefault(spec(env_id).family, []).append(env_id)
    return found


def names() -> list[str]:
    """The suites that come with this package: files first, then one for each family."""
    return [*sorted(path.stem for path in SUITES.glob("*.toml")), *sorted(families())]


def load_suite(name: str) -> Suite:
    """A suite by its name, or from a file of the user's.

    A family's suite has the settings of ``core`` and all of the family's ids.

    Raises:
        ValueError: no such suite, or a mistake in its file; the message says what.
        FileNotFoundError: no such file.
    """
    if name.endswith(".toml"):
        return _read(Path(name))
    if (SUITES / f"{name}.toml").is_file():
        return _read(SUITES / f"{name}.toml")
    if name in families():
        return replace(
            load_suite("core"), name=name, about=f"All games of the family {name}.", ids=tuple(families()[name])
        )
    raise ValueError(f"no suite {name!r}{_suggest(name, names())}; a file of your own ends in .toml")


def _read(path: Path) -> Suite:
    try:
        return _parse(path.stem, path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _parse(name: str, text: str) -> Suite:
    values = tomllib.loads(text)
    known = [each.name for each in fields(Suite) if each.name != "name"]
    for key in values:
        if key not in known:
            raise ValueError(f"a suite has no use for {key!r}{_suggest(key, known)}")
    if isinstance(values.get("budget"), int):
        values["budget"] = dict.fromkeys(_ACTION_LEVELS, values["budget"])
    elif isinstance(values.get("budget"), dict):
        values["budget"] = {**Suite("").budget, **values["budget"]}
    for key in ("ids", "levels", "players", "learners", "backbones", "ways", "imports"):
        given = values.get(key, ())
        if key in ("ids", "learners", "levels") and given == "all":
            continue
        if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
            raise ValueError(f"{key} must be a list of names, not {given!r}")
        if key in values:
            values[key] = tuple(given)
    for module in values.get("imports", ()):
        import_module(module)
    if values.get("ids") == "all":
        values["ids"] = tuple(textenvs.ids())
    if values.get("learners") == "all":
        values["learners"] = all_learners()
    if values.get("levels") == "all":
        values["levels"] = tuple(dict.fromkeys(level for each in values.get("ids", ()) for level in _levels(each)))
    suite = Suite(name, **values)
    for player in suite.prices:
        if player not in suite.players:
            raise ValueError(f"prices: no player {player!r} in the suite{_suggest(player, suite.players)}")
    return suite


def all_learners() -> tuple[str, ...]:
    """Every learner's name, sorted."""
    from agents.learners import LEARNERS

    return tuple(sorted(LEARNERS))


def _levels(env_id: str) -> list[str]:
    return list(load_game(spec(env_id).entry).levels) if env_id in textenvs.ids() else []


def _is_price(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _suggest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f": did you mean {close[0]!r}?" if close else f": there are {', '.join(known)}"
