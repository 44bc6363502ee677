from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from textenvs import ids
from textenvs.check import CONTRACTS, SECTIONS, Finding, check_game, report
from textenvs.env import load_game
from textenvs.game import Game, Turn
from textenvs.registration import spec
from textenvs.scaffold import new_game

LEVELS = [(id, level) for id in ids() for level in load_game(spec(id).entry).levels]
PAGE = "A game.\n\n" + "".join(f"## {section}\n\nExact.\n\n```\nsay\n> word\n``` ``size``\n\n" for section in SECTIONS)


def failed(game: str | type[Game], level: str | None = None) -> dict[str, str]:
    return {finding.contract: finding.message for finding in check_game(game, level) if not finding.passed}


@pytest.mark.parametrize(("id", "level"), LEVELS)
def test_every_game_keeps_every_contract(id: str, level: str) -> None:
    findings = check_game(id, level)
    assert [finding for finding in findings if not finding.passed] == []
    assert [finding.contract for finding in findings] == list(CONTRACTS)


# --- broken games, each caught ---


class Good(Game):
    """Names a number to be repeated. What follows breaks it in one way each."""

    levels = {"medium": {}, "hard": {"size": 60}}  # noqa: RUF012
    max_turns = 6
    max_choices = 4

    def __init__(self, size: int = 40) -> None:
        self.size = size

    def reset(self, rng: np.random.Generator) -> str:
        self._rng, self._turns = rng, 0
        self._number = int(rng.integers(self.size))
        return f"say {self._number}."

    def step(self, action: str) -> Turn:
        self._turns += 1
        if action == str(self._number):
            return Turn("right.", 1.0, True, {"success": True})
        return Turn(f"wrong, {self._rng.integers(1000)}.", -0.1)

    def valid_actions(self) -> list[str]:
        return [str(self._number + k) for k in range(4)]

    def expert_action(self) -> str:
        return str(self._number)

    def instance(self) -> str | None:
        return str(self._number)


Good.__doc__ = PAGE


class GlobalRandom(Good):
    def step(self, action: str) -> Turn:
        return super().step(action)._replace(text=f"hm {np.random.randint(1 << 30)}")


class AskingDraws(Good):
    def expert_action(self) -> str:
        self._rng.integers(2)
        return super().expert_action()


class HashOrder(Good):
    def reset(self, rng: np.random.Generator) -> str:
        return super().reset(rng) + " ".join({"one", "two", "three", "four", "five", "six", "seven", "eight"})


class Leaky(Good):
    _total = 0

    def step(self, action: str) -> Turn:
        self._total += 1
        return super().step(action)._replace(text=f"utterance {self._total}")


class WordyExpert(Good):
    max_choices = 0

    def valid_actions(self) -> list[str]:
        return []

    def expert_action(self) -> str:
        return "1 2 3 4 5 6 7 8 9 " * 8


class ChangeableExpert(Good):
    asked = 0

    def expert_action(self) -> str:
        type(self).asked += 1
        return self.valid_actions()[type(self).asked % 2]


class PlainTuple(Good):
    def step(self, action: str) -> Turn:
        return _Look(*super().step(action))  # type: ignore[return-value]


class _Look:
    def __init__(self, *values: Any) -> None:
        self.text, self.reward, self.terminated, self.info = values


class NotANumber(Good):
    def step(self, action: str) -> Turn:
        return super().step(action)._replace(reward=float("nan"))


class LongOpening(Good):
    def reset(self, rng: np.random.Generator) -> str:
        return super().reset(rng) + " 7" * 600


class UnlistedExpert(Good):
    def valid_actions(self) -> list[str]:
        return super().valid_actions()[1:]


class WeakExpert(Good):
    def expert_action(self) -> str:
        return self.valid_actions()[1]


class NoExpert(Good):
    def expert_action(self) -> str:
        return Game.expert_action(self)


class OnlyDigits(Good):
    def step(self, action: str) -> Turn:
        return super().step(str(int(action)))


class Asserting(Good):
    def step(self, action: str) -> Turn:
        assert len(action) < 5000
        return super().step(action)


class Warning_(Good):
    def step(self, action: str) -> Turn:
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return super().step(action)


class ClassState(Good):
    resets = 0

    def reset(self, rng: np.random.Generator) -> str:
        type(self).resets += 1
        return super().reset(rng) + f" {type(self).resets}"


class Doubles(Good):
    def valid_actions(self) -> list[str]:
        return [str(self._number)] * 2


class TooMany(Good):
    def valid_actions(self) -> list[str]:
        return [str(self._number + k) for k in range(5)]


class MovingInstance(Good):
    def instance(self) -> str:
        return f"{self._number} {self._turns}"


class OneInstance(Good):
    def instance(self) -> str:
        return "always the same"


class NoMedium(Good):
    __doc__ = PAGE
    levels = {"hard": {}}  # noqa: RUF012


class NoSource(Good):
    __doc__ = PAGE.replace("## Source", "## Sauce")


class NoOptimum(Good):
    __doc__ = PAGE.replace("## Expert\n\nExact.", "## Expert\n\nGood.")


class Undocumented(Good):
    __doc__ = PAGE.replace("``size``", "")


BROKEN = [
    (GlobalRandom, "C1 determinism", "two different episodes"),
    (AskingDraws, "C1 determinism", "questions change nothing"),
    (HashOrder, "C1 hash seed", "sorted"),
    (Leaky, "C2 no leaks", "set every attribute of the episode in reset"),
    (WordyExpert, "C3 action levels", "max_utterance_tokens"),
    (ChangeableExpert, "choices", "asked again"),
    (PlainTuple, "C4 spaces", "expected a Turn"),
    (NotANumber, "C4 spaces", "finite number"),
    (LongOpening, "C5 append-only", "shorten the text of reset"),
    (UnlistedExpert, "C6 masks", "forbids the expert"),
    (UnlistedExpert, "choices", "is not in valid_actions"),
    (WeakExpert, "C8 expert", "that of random play"),
    (NoExpert, "C8 expert", "there is no expert"),
    (OnlyDigits, "C9 bad input", r"raised ValueError at test_check\.py"),
    (Asserting, "C9 bad input", "raised AssertionError"),
    (Warning_, "C10 checkers", r"DeprecationWarning at test_check\.py"),
    (ClassState, "C11 snapshots", "expected the same"),
    (Doubles, "choices", "twice"),
    (TooMany, "choices", "max_choices is 4"),
    (MovingInstance, "splits", "within an episode"),
    (OneInstance, "splits", "has no instance"),
    (NoMedium, "docs", "expected 'medium'"),
    (NoSource, "docs", "the page lacks Source"),
    (NoOptimum, "docs", "the section Expert begins 'Good."),
    (Undocumented, "docs", "``size``"),
    (Leaky, "docs", "no docstring of its own"),
]


def test_the_game_that_is_broken_below_is_good() -> None:
    assert failed(Good) == {}


@pytest.mark.filterwarnings("ignore:old:DeprecationWarning")
@pytest.mark.parametrize(("game", "contract", "message"), BROKEN)
def test_broken_games_are_caught(game: type[Game], contract: str, message: str) -> None:
    found = failed(game, next(iter(game.levels)))
    assert contract in found
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(found[contract])


def test_a_fault_of_one_level_names_it() -> None:
    class HardIsBroken(Good):
        __doc__ = PAGE

        def valid_actions(self) -> list[str]:
            return super().valid_actions() * (2 if self.size == 60 else 1)

    assert failed(HardIsBroken, "medium") == {}
    assert failed(HardIsBroken)["choices"].startswith("at level 'hard': valid_actions() lists")


def test_a_game_without_levels_does_not_pass() -> None:
    class NoLevels(Good):
        __doc__ = PAGE
        levels = {}  # noqa: RUF012

    assert "docs" in failed(NoLevels) and "C1 determinism" in failed(NoLevels)


def test_unknown_games_and_levels() -> None:
    with pytest.raises(KeyError, match="TextNothing-v0"):
        check_game("TextNothing-v0")
    with pytest.raises(ValueError, match="level must be one of medium, hard, not 'soft'"):
        check_game(Good, "soft")


def test_the_report() -> None:
    console = Console(width=60, record=True, file=io.StringIO())
    report([Finding("C1", True, "held"), Finding("C2", False, "[red]broke[/red]")], console)
    text = console.export_text()
    assert "passed" in text and "FAILED" in text and "[red]broke[/red]" in text


# --- the scaffold ---


def test_a_new_game_keeps_every_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    game, test = new_game("WordHuntToy", "words", tmp_path / "games")
    assert (game.name, test.name) == ("word_hunt_toy.py", "test_word_hunt_toy.py")
    monkeypatch.syspath_prepend(str(game.parent))
    assert failed("word_hunt_toy:WordHuntToy") == {}
    assert pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", str(game.parent), str(test)]) == 0
    with pytest.raises(FileExistsError, match="is there already"):
        new_game("word_hunt_toy", "words", tmp_path / "games")
    del sys.modules["word_hunt_toy"]


def test_nothing_is_written_where_only_the_test_is_there(tmp_path: Path) -> None:
    (tmp_path / "test_word_hunt.py").write_text("mine")
    with pytest.raises(FileExistsError):
        new_game("WordHunt", out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["test_word_hunt.py"]


@pytest.mark.parametrize(
    ("name", "file"), [("HTTPGame", "http_game.py"), ("word_hunt", "word_hunt.py"), ("Chess960", "chess960.py")]
)
def test_either_name_gives_the_other(name: str, file: str, tmp_path: Path) -> None:
    assert new_game(name, out=tmp_path)[0].name == file


@pytest.mark.parametrize(
    "name",
    ["", "Word Hunt", "word-hunt", "../Up", "9Lives", "_hidden", "Wörter", "class", "Random", "Game", "textenvs"],
)
def test_bad_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name"):
        new_game(name, out=tmp_path)
    with pytest.raises(ValueError, match="family"):
        new_game("WordHunt", "two words", tmp_path)
    assert list(tmp_path.iterdir()) == []
