"""A simulated file system and a shell for it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import TypeAlias

from textenvs.parsing import MAX_CHARACTERS

Node: TypeAlias = "str | dict[str, Node]"
Directory: TypeAlias = dict[str, Node]
Path: TypeAlias = tuple[str, ...]

_MOST = 64  # files and directories there is room for
_SHOWN = 5  # files that grep shows at the most
_TOKEN = re.compile(r"\"[^\"]*\"|'[^']*'|>+|[^\s>\"']+")
_STOP = re.compile(r"(?<=[\w\"'*`])[.!]+$")  # of a sentence; not that of "ls ." or "cd .."
_WRAPPED = re.compile(r"(\*+|[\"'])((?:(?!\1).)*)\1", re.DOTALL)
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,29}")
_FILLERS = frozenset(
    ["the", "file", "files", "directory", "folder", "to", "into", "in", "for", "called", "named", "word", "all", "me"]
)
_SYNONYMS = {
    **{"copy": "cp", "move": "mv", "rename": "mv", "delete": "rm", "remove": "rm", "list": "ls", "dir": "ls"},
    **{"go": "cd", "make": "mkdir", "locate": "find", "search": "grep"},
    **{"open": "cat", "print": "cat", "read": "cat", "show": "cat", "type": "cat"},
}
_USES = {  # command -> how it is used, and how many arguments it takes at least and at the most
    "ls": ("ls, or ls and a directory", 0, 1),
    "cd": ("cd and a directory", 0, 1),
    "pwd": ("pwd", 0, 0),
    "cat": ("cat and a file", 1, 1),
    "mkdir": ("mkdir and a directory", 1, 1),
    "mv": ("mv, what and where to", 2, 2),
    "cp": ("cp, what and where to", 2, 2),
    "rm": ("rm and a file, or rm -r and a directory", 1, 1),
    "find": ("find and a whole name", 1, 2),
    "grep": ("grep and a whole word", 1, 2),
}


class Refused(Exception):
    """A command that cannot be done; the message says why, and nothing has changed."""


class FileSystem:
    """A tree of directories, and a shell in it.

    Attributes:
        root: name -> the text of a file, or a directory.
        here: the current directory.
        seen: paths that were shown, or came about by a command.
        texts: texts of files that were shown.
    """

    def __init__(self, root: Directory) -> None:
        self.root = root
        self.here: Path = ()
        self.seen: set[Path] = set()
        self.texts: set[str] = set()

    def run(self, line: str) -> str:
        """Do one command and return what it prints.

        Raises:
            Refused: it is no command, or cannot be done.
        """
        line = _bare(line[:MAX_CHARACTERS].lower())
        if re.search(r"&&|[;|*?]", line):
            raise Refused("one command at a time, with whole names")
        said = [token.strip("\"'") for token in _TOKEN.findall(line)]
        command = _SYNONYMS.get(said[0], said[0]) if said else ""
        if command == "echo":
            return self._echo(said[1:])
        if command not in _USES:
            raise Refused("commands are ls, cd, cat, mkdir, mv, cp, rm, echo text > file, grep word, find name")
        arguments = [word for word in said[1:] if word[:1] != "-" and word not in _FILLERS]
        use, least, most = _USES[command]
        if not least <= len(arguments) <= most or ">" in said:
            raise Refused(f"say {use}")
        recursive = any((word[:1] == "-" and "r" in word) or word in ("directory", "folder") for word in said[1:])
        options = {"recursive": recursive} if command in ("cp", "rm") else {}
        return getattr(self, f"_{command}")(*arguments, **options)  # type: ignore[no-any-return]

    def node(self, path: Path) -> Node | None:
        """What is at a path."""
        node: Node = self.root
        for name in path:
            if isinstance(node, str) or name not in node:
                return None
            node = node[name]
        return node

    def walk(self, start: Path = ()) -> Iterator[tuple[Path, Node]]:
        """All that is below a path, by name, each directory before what is in it."""
        node = self.node(start)
        if isinstance(node, dict):
            for name in sorted(node):
                yield (*start, name), node[name]
                yield from self.walk((*start, name))

    def _path(self, text: str) -> Path:
        path = [] if text[:1] in ("/", "~") else list(self.here)
        for part in text.lstrip("~").split("/"):
            if part == "..":
                path = path[:-1]
            elif part not in ("", "."):
                path.append(part)
        return (*path,)

    def _existing(self, text: str) -> tuple[Path, Node]:
        path = self._path(text)
        node = self.node(path)
        if node is None:
            raise Refused("there is no such file or directory")
        return path, node

    def _directory(self, text: str) -> tuple[Path, Directory]:
        path, node = self._existing(text)
        if isinstance(node, str):
            raise Refused("that is no directory")
        return path, node

    def _put(self, path: Path, node: Node) -> str:
        """Put a file or directory to a path whose parent is there; a file may take the place of a file."""
        parent = self.node(path[:-1])
        if not path or not isinstance(parent, dict):
            raise Refused("there is no such directory to put it into")
        old = parent.get(path[-1])
        if old is not None and not (isinstance(old, str) and isinstance(node, str)):
            raise Refused("that name is taken")
        if not _NAME.fullmatch(path[-1]):
            raise Refused("names have letters, digits, dots and dashes only")
        if sum(1 for _ in self.walk()) >= _MOST:
            raise Refused("the disk is full")
        parent[path[-1]] = node
        self.seen.add(path)
        return "ok"

    def _ls(self, text: str = ".") -> str:
        path, node = self._existing(text)
        if isinstance(node, str):
            return show(path)
        self.seen |= {(*path, name) for name in node}
        return ", ".join(f"{name}/" if isinstance(node[name], dict) else name for name in sorted(node)) or "empty"

    def _cd(self, text: str = "/") -> str:
        self.here, _ = self._directory(text)
        return self._pwd()

    def _pwd(self) -> str:
        return f"in {show(self.here)}"

    def _cat(self, text: str) -> str:
        _, node = self._existing(text)
        if isinstance(node, dict):
            raise Refused("that is a directory")
        self.texts.add(node)
        return node or "empty"

    def _mkdir(self, text: str) -> str:
        return self._put(self._path(text), {})

    def _echo(self, said: list[str]) -> str:
        if len(said) < 2 or said[-2] != ">" or ">" in said[:-2]:
            raise Refused("say echo text > file")
        return self._put(self._path(said[-1]), re.sub("[^ -~]", "?", " ".join(said[:-2])))

    def _target(self, source: Path, node: Node, text: str) -> Path:
        """Where a copy goes: into a directory that is there, else to the path itself."""
        target = self._path(text)
        if isinstance(self.node(target), dict):
            target = (*target, *source[-1:])
        if target[: len(source)] == source:
            raise Refused("it cannot go into itself")
        return target

    def _cp(self, text: str, to: str, recursive: bool) -> str:
        source, node = self._existing(text)
        if isinstance(node, dict) and not recursive:
            raise Refused("that is a directory, say cp -r")
        target = self._target(source, node, to)
        if sum(1 for _ in self.walk()) + sum(1 for _ in self.walk(source)) >= _MOST:
            raise Refused("the disk is full")
        self._put(target, copy.deepcopy(node))
        self._see_under(source, target)
        return "ok"

    def _mv(self, text: str, to: str) -> str:
        source, node = self._existing(text)
        if self.here[: len(source)] == source:
            raise Refused("you are in it")
        target = self._target(source, node, to)
        self._put(target, node)
        self._see_under(source, target)
        self._take(source)
        return "ok"

    def _rm(self, text: str, recursive: bool) -> str:
        path, node = self._existing(text)
        if isinstance(node, dict) and not recursive:
            raise Refused("that is a directory, say rm -r")
        if self.here[: len(path)] == path:
            raise Refused("you are in it")
        self._take(path)
        return "ok"

    def _take(self, path: Path) -> None:
        parent = self.node(path[:-1])
        assert isinstance(parent, dict)
        del parent[path[-1]]
        self.seen = {each for each in self.seen if each[: len(path)] != path}

    def _see_under(self, source: Path, target: Path) -> None:
        """What was seen in one place is known to be in another one too."""
        self.seen |= {target + each[len(source) :] for each in self.seen if each[: len(source)] == source}

    def _find(self, *texts: str) -> str:
        start, _ = self._directory(texts[0] if len(texts) > 1 else "/")
        found = [path for path, _ in self.walk(start) if path[-1] == texts[-1]]
        self.seen |= {*found}
        return ", ".join(map(show, found)) or "nothing found"

    def _grep(self, word: str, text: str = "/") -> str:
        start, node = self._existing(text)
        every = [(start, node)] if isinstance(node, str) else self.walk(start)
        found = [(path, node) for path, node in every if isinstance(node, str) and word in node.split()][:_SHOWN]
        self.seen |= {path for path, _ in found}
        self.texts |= {node for _, node in found}
        return "; ".join(f"{show(path)}: {node}" for path, node in found) or "nothing found"


def show(path: Path) -> str:
    """A path as text."""
    return "/" + "/".join(path)


def _bare(line: str) -> str:
    """A command without a full stop, quotes or markdown around all of it."""
    for _ in range(3):
        line = _STOP.sub("", line.strip("`$ \n"))
        if wrapped := _WRAPPED.fullmatch(line):
            line = wrapped[2]
    return line
