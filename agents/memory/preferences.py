"""Rated replies, and the file that keeps them: JSON Lines, appended to safely.

A line is ``{"prompt": [messages], "chosen": [message] or [], "rejected": [message] or []}``: the conversational format
of preference trainers, in which a reply that was only praised has no ``rejected`` and one that was only blamed no
``chosen``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Preference:
    """What was said before a reply, the reply that is wanted and the one that is not; one of the two may be ``None``.

    Messages have ``role`` and ``content``; those in memory may have the ``ids`` that the model wrote.
    """

    prompt: Sequence[Mapping[str, Any]]
    chosen: Mapping[str, Any] | None = None
    rejected: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.chosen is None and self.rejected is None:
            raise ValueError("a preference needs a reply that is chosen or one that is rejected")

    def to_json(self) -> str:
        """The line, without its end."""
        fields = {
            "prompt": [_plain(message) for message in self.prompt],
            "chosen": [] if self.chosen is None else [_plain(self.chosen)],
            "rejected": [] if self.rejected is None else [_plain(self.rejected)],
        }
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Preference:
        """The preference of a line.

        Raises:
            ValueError: the line is none; the message says why.
        """
        try:
            fields = json.loads(line)
            chosen, rejected = ([_plain(each) for each in fields[name]] for name in ("chosen", "rejected"))
            prompt = [_plain(message) for message in fields["prompt"]]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"not a preference: {type(error).__name__}: {error}") from None
        return cls(prompt, chosen[0] if chosen else None, rejected[0] if rejected else None)


class PreferenceFile:
    """A file of preferences that is only appended to; a line is on the disk when ``append`` returns.

    A line that an interrupted write left unfinished is taken off when the file is opened.

    Args:
        path: the file; it is made where there is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._ends = [self._whole()]  # sizes before each line of this session, and now
        if os.fstat(self._file).st_size > self._ends[0]:
            os.ftruncate(self._file, self._ends[0])

    def append(self, preference: Preference) -> None:
        """Add a line.

        Raises:
            OSError: it could not be written; the file is as it was.
        """
        line = f"{preference.to_json()}\n".encode()
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(f"{self.path}: the disk is full")
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise
        self._ends.append(size + len(line))

    def undo(self) -> None:
        """Take the last line of this session off.

        Raises:
            ValueError: there is none, or somebody else has written to the file since.
        """
        if len(self._ends) < 2:
            raise ValueError("nothing was added to the file")
        if os.fstat(self._file).st_size != self._ends[-1]:
            raise ValueError(f"{self.path} has grown since: its last line is not this session's")
        self._ends.pop()
        os.ftruncate(self._file, self._ends[-1])
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __iter__(self) -> Iterator[Preference]:
        return read_preferences(self.path)

    def _whole(self) -> int:
        """The size up to the end of the last whole line."""
        position = os.fstat(self._file).st_size
        while position > 0:
            start = max(0, position - 4096)
            end = os.pread(self._file, position - start, start).rfind(b"\n")
            if end >= 0:
                return start + end + 1
            position = start
        return 0


def read_preferences(path: str | os.PathLike[str]) -> Iterator[Preference]:
    """The preferences of a file; a last line without its end, which an interrupted write left, is passed over.

    Raises:
        ValueError: another line is no preference; the message has its number.
    """
    with open(path, encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n") or not line.strip():
                continue
            try:
                yield Preference.from_json(line)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from None


def _plain(message: Mapping[str, Any]) -> dict[str, str]:
    role, content = message["role"], message["content"]
    if not isinstance(role, str) or not isinstance(content, str):
        raise ValueError("a message has a role and a content, both text")
    return {"role": role, "content": content}
