"""``textenvs new``: a small complete game to start from, and its test."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from string import Template

_CAMEL = re.compile(r"[A-Z][A-Za-z0-9]*", re.ASCII)
_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)
_TAKEN_CLASSES = ("Any", "ClassVar", "Game", "Mapping", "Turn")
_TAKEN_MODULES = ("agents", "benchmarks", "gymnasium", "numpy", "pytest", "test", "tests", "textenvs")

_GAME = Template('''\
"""Repeat the word that the hint means.

To use it: ``textenvs.registration.register_game("Text$name-v0", $name, "$family")``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from textenvs.game import Game, Turn

_WORDS = ["apple", "bread", "cloud", "dance", "eagle", "field", "grape", "honey"]
_WORDS += ["island", "jacket", "kettle", "lemon", "mirror", "night", "ocean", "piano"]
_MAX_CHARACTERS = 300


class $name(Game):
    """Text$name-v0: repeat the one word, among those shown, that the hint means.

    ## Description

    The game shows a few words, thinks of one of them and tells its first letter, which no other word has.

    ## Example transcript

    ```
    words: honey, apple, cloud. say the one that begins with c.
    > honey
    no, it is not honey.
    > cloud
    yes, it is cloud.
    ```

    ## Observation

    The opening shows the words and the hint; each reply says whether the word was right.

    ## Action

    Free text with one of the words in it: ``cloud``, ``Is it "cloud"?``. Several words, or none, are not understood.

    ## Reward

    1 for the right word; each other utterance costs 0.1.

    ## Episode end

    Terminated at the right word (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``shown`` | 3 | 5 | 12 | how many words are shown |
    | ``max_turns`` | 4 | 4 | 4 | truncation |

    ## Expert

    Exact: it reads the hint and is always right at once, so its return is 1.

    ## Source

    The template of ``textenvs new``.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {"easy": {"shown": 3}, "medium": {}, "hard": {"shown": 12}}
    max_turns = 4

    def __init__(self, shown: int = 5) -> None:
        if not 2 <= shown <= len(_WORDS):
            raise ValueError(f"shown must be 2 to {len(_WORDS)}, not {shown!r}")
        self.shown = self.max_choices = shown

    def reset(self, rng: np.random.Generator) -> str:
        """Choose the words and the secret one."""
        self._words = [_WORDS[i] for i in rng.permutation(len(_WORDS))[: self.shown]]
        self._secret = self._words[int(rng.integers(self.shown))]
        return f"words: {', '.join(self._words)}. say the one that begins with {self._secret[0]}."

    def step(self, action: str) -> Turn:
        """Compare a word with the secret one."""
        said = set(re.findall(r"[a-z]+", action[:_MAX_CHARACTERS].lower())) & set(self._words)
        if len(said) != 1:
            return Turn("please say one of the words.", -0.1)
        word = said.pop()
        if word == self._secret:
            return Turn(f"yes, it is {word}.", 1.0, True, {"success": True})
        return Turn(f"no, it is not {word}.", -0.1)

    def valid_actions(self) -> list[str]:
        """The words shown."""
        return list(self._words)

    def expert_action(self) -> str:
        """The word that the hint means."""
        return self._secret

    def instance(self) -> str:
        """The words and the secret one."""
        return f"{self._secret} of {' '.join(self._words)}"
''')

_TEST = Template("""\
from __future__ import annotations

import numpy as np
import pytest
from textenvs.check import check_game

from $module import $name


def start() -> $name:
    game = $name()
    game.reset(np.random.default_rng(0))
    return game


def test_contracts() -> None:
    assert [finding for finding in check_game($name) if not finding.passed] == []


def test_an_episode() -> None:
    game = start()
    right = game.expert_action()
    wrong = next(word for word in game.valid_actions() if word != right)
    assert game.step(wrong) == (f"no, it is not {wrong}.", -0.1, False, {})
    assert game.step("what?") == ("please say one of the words.", -0.1, False, {})
    assert game.step(f"Is it {right.upper()}?") == (f"yes, it is {right}.", 1.0, True, {"success": True})


@pytest.mark.parametrize("shown", [1, 17])
def test_range_of_shown(shown: int) -> None:
    with pytest.raises(ValueError, match=f"shown must be 2 to 16, not {shown}"):
        $name(shown)
""")


def new_game(name: str, family: str = "contributed", out: str | Path = ".") -> tuple[Path, Path]:
    """Write a small complete game and its test.

    Args:
        name: the class in CamelCase or the module in snake_case; either gives the other.
        family: the kind of game, for the catalogue.
        out: the folder; made where it is missing.

    Returns:
        The paths of the game and of its test.

    Raises:
        ValueError: a name that cannot be used.
        FileExistsError: one of the files is there; nothing was written.
    """
    class_name, module = _names(name)
    if not _SNAKE.fullmatch(family):
        raise ValueError(f"the family must be a snake_case name such as words, not {family!r}")
    folder = Path(out)
    words = {"name": class_name, "module": module, "family": family}
    files = {folder / f"{module}.py": _GAME, folder / f"test_{module}.py": _TEST}
    for path in files:
        if path.exists():
            raise FileExistsError(f"{path} is there already: choose another name or folder")
    folder.mkdir(parents=True, exist_ok=True)
    for path, template in files.items():
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(template.substitute(words))
    game, test = files
    return game, test


def _names(name: str) -> tuple[str, str]:
    """The class and the module that a name in either style stands for."""
    if _CAMEL.fullmatch(name):
        class_name = name
        module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    elif _SNAKE.fullmatch(name):
        class_name, module = "".join(word[0].upper() + word[1:] for word in name.split("_")), name
    else:
        raise ValueError(f"the name must be CamelCase such as WordHunt, or snake_case such as word_hunt, not {name!r}")
    taken = keyword.iskeyword(module) or module in sys.stdlib_module_names or module in _TAKEN_MODULES
    taken = taken or module in packages_distributions()
    if taken or keyword.iskeyword(class_name) or class_name in _TAKEN_CLASSES:
        raise ValueError(f"the name {name!r} is taken by Python or a package in use: choose another")
    return class_name, module
