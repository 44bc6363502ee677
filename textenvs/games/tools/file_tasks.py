"""Tasks for the simulated shell, and a planner that does them with the fewest commands."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files as package_files
from typing import NamedTuple, TypeVar

import numpy as np

from textenvs.games.tools.file_system import Directory, FileSystem, Node, Path, show

_KINDS = {  # how a goal is told, and the commands that reach it
    "clear": ("delete the directory {name}", ("rm -r {thing}",)),
    "copy": ("copy {told} to {place}", ("cp {thing} {place}",)),
    "delete": ("delete {told}", ("rm {thing}",)),
    "gather": ("make the directory {inside} and move {told} into it", ("mkdir {inside}", "mv {thing} {inside}")),
    "move": ("move {told} to {place}", ("mv {thing} {place}",)),
    "rename": ("rename {told} to {new}", ("mv {thing} {beside}",)),
    "write": ("write {words} into {inside}", ("echo {words} > {inside}",)),
}

_DIRECTORY = "\n"  # no file has this text

T = TypeVar("T")


class Clue(NamedTuple):
    """How something is told: by its ``name``, by a ``word`` in it, or by a ``note`` whose text is its name."""

    name: str
    word: str = ""
    note: str = ""

    def told(self) -> str:
        """It as it is told."""
        if self.word:
            return f"the file with the word {self.word}"
        return f"the file named in {self.note}" if self.note else self.name


class Task(NamedTuple):
    """What there is, what there is to be, the same in words, and how each thing is told that has to be found."""

    root: Directory
    goal: Directory
    text: str
    clues: list[tuple[Node | None, Clue]]


def draw_task(goals: int, depth: int, files: int, clues: bool, rng: np.random.Generator) -> Task:
    """A task with some goals, in a tree of ``files`` files in directories up to ``depth`` deep."""
    kinds = list(_KINDS)
    while True:
        author = _Author(depth, files, clues, rng)
        drawn = sorted(
            _pick(kinds, rng) for _ in range(goals)
        )  # what is deleted comes first, so that nothing goes there
        told = [author.goal(kind) for kind in drawn]
        if all(told):
            goal = FileSystem(copy.deepcopy(author.system.root))
            for command in author.commands:
                goal.run(command)
            text = "; ".join(str(told[int(i)]) for i in rng.permutation(goals))
            return Task(author.system.root, goal.root, text, author.clues)


def differences(root: Directory, goal: Directory) -> int:
    """How many files and directories are in one only, or not the same in both."""
    one, other = _flat(root), _flat(goal)
    return sum(one.get(path) != other.get(path) for path in one.keys() | other.keys())


def next_command(system: FileSystem, goal: Directory, clues: list[tuple[Node | None, Clue]]) -> str:
    """The next command to mend one difference, or to find what is needed for that.

    From the start of a task this takes the fewest commands.
    """
    wanted, there = _flat(goal), _flat(system.root)
    extra = [path for path in there if path not in wanted]
    for path, text in sorted(wanted.items(), key=lambda item: len(item[0])):
        if there.get(path) == text:
            continue
        if path in there and _DIRECTORY in (text, there[path]):
            return _with(path, f"rm -r {show(path)}", system, clues)
        node = FileSystem(goal).node(path)
        moved = [source for source in extra if system.node(source) == node and path[: len(source)] != source]
        copied = [source for source in there if there[source] == text != _DIRECTORY]
        if moved or copied:
            source = (moved or copied)[0]
            into = source[-1] == path[-1] and path not in there
            command = f"{'mv' if moved else 'cp'} {show(source)} {show(path[:-1] if into else path)}"
            return _with(source, command, system, clues)
        return f"mkdir {show(path)}" if text == _DIRECTORY else f"echo {text} > {show(path)}"
    path = extra[0]
    return _with(path, f"rm{' -r' if there[path] == _DIRECTORY else ''} {show(path)}", system, clues)


def _with(path: Path, command: str, system: FileSystem, clues: list[tuple[Node | None, Clue]]) -> str:
    """A command on what is at a path, or one to learn first that it is there and that it is meant."""
    node = system.node(path)
    clue = next((clue for each, clue in clues if each == node), Clue(""))
    if system.here[: len(path)] == path:
        return "cd /"
    if clue.word and not (path in system.seen and node in system.texts):
        return f"grep {clue.word}"
    if clue.note and clue.name not in system.texts:
        notes = [note for note, text in system.walk() if text == clue.name]
        if notes:
            return f"cat {show(notes[0])}" if notes[0] in system.seen else f"find {notes[0][-1]}"
    return command if path in system.seen or not clue.name else f"find {path[-1]}"


def _flat(root: Directory) -> dict[Path, str]:
    """Path -> text of a file, or what stands for a directory, each before what is in it."""
    return {path: node if isinstance(node, str) else _DIRECTORY for path, node in FileSystem(root).walk()}


class _Author:
    """Invents a tree and goals in it; what one goal is about, no other one is."""

    def __init__(self, depth: int, files: int, with_clues: bool, rng: np.random.Generator) -> None:
        self.rng, self.with_clues = rng, with_clues
        self.names = {kind: [those[int(i)] for i in rng.permutation(len(those))] for kind, those in _shipped().items()}
        self.system = FileSystem({})
        self.places: list[Path] = []  # directories that no goal deletes
        self.files: list[Path] = []  # that no goal is about yet
        self.commands: list[str] = []
        self.clues: list[tuple[Node | None, Clue]] = []
        for i in range(3 + 2 * depth):
            parents: list[Path] = [(), *(each for each in self.places if len(each) < depth)]
            parent = self.places[-1] if 0 < i < depth else _pick(parents, rng)
            self.places.append((*parent, self.names["directories"].pop()))
            self.system.run(f"mkdir {show(self.places[-1])}")
        for _ in range(files):
            self.files.append((*_pick([(), *self.places], rng), self.names["files"].pop()))
            self.system.run(f"echo {self._words()} > {show(self.files[-1])}")

    def goal(self, kind: str) -> str | None:
        """The text of a further goal; nothing where no file or directory is left for it."""
        leaves = [each for each in self.places if not any(isinstance(node, dict) for _, node in self.system.walk(each))]
        if kind == "clear" and leaves:
            thing = _pick(leaves, self.rng)
            self.places.remove(thing)
            self.files = [each for each in self.files if each[:-1] != thing]
            clue = Clue(thing[-1])
        elif kind != "clear" and len(self.files) > 1:
            thing = self.files.pop()
            clue = self._clue(thing)
        else:
            return None
        places = [each for each in self.places if each != thing[:-1]]
        if not places:
            return None
        place, new = _pick(places, self.rng), self.names["directories" if kind == "gather" else "files"].pop()
        text, commands = _KINDS[kind]
        slots = {"name": thing[-1], "told": clue.told(), "new": new, "words": self._words()}
        paths = {"thing": thing, "place": place, "beside": (*thing[:-1], new), "inside": (*place, new)}
        slots |= {slot: show(path) for slot, path in paths.items()}
        self.clues.append((self.system.node(thing), clue))
        self.commands += [command.format(**slots) for command in commands]
        return text.format(**slots)

    def _clue(self, path: Path) -> Clue:
        chance = self.rng.random() if self.with_clues else 1.0
        if chance < 1 / 3:
            return Clue(path[-1], word=str(self.system.node(path)).split()[0])
        if chance < 2 / 3:
            note = self.files.pop()
            self.system.run(f"echo {path[-1]} > {show(note)}")
            return Clue(path[-1], note=note[-1])
        return Clue(path[-1])

    def _words(self) -> str:
        return f"{self.names['words'].pop()} {self.names['words'].pop()}"


def _pick(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]


@cache
def _shipped() -> dict[str, list[str]]:
    """The shipped names of directories and files, and words for texts."""
    text = package_files("textenvs.games.tools").joinpath("files.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]
