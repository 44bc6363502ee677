"""Tidy up files with a shell."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.tools.file_system import FileSystem, Refused
from textenvs.games.tools.file_tasks import differences, draw_task, next_command


class Shell(Game):
    """TextShell-v0: tidy up files with a shell.

    ## Description

    A small simulated file system, and a few goals: to move, copy, rename or delete files that have to be found first,
    to make directories, and to write files. With ``clues`` a file may also be told by a word in it, or by a note whose
    text is its name. The task is done when everything is as the goals say, and nothing else has changed.

    ## Example transcript

    ```
    make the directory /home/games/garden and move the file named in log into it; rename star to card. you are in /.
    commands, 0.02 each: ls, cd, cat, mkdir, mv, cp, rm, echo text > file, and everywhere find name, grep word.
    > ls
    home/, new/, order.
    > mkdir /home/games/garden
    ok.
    > find star
    /new/test/star.
    > mv /new/test/star /new/test/card
    ok.
    > find log
    /new/work/log.
    > cat /new/work/log
    book.
    > find book
    /new/work/book.
    > mv /new/work/book /home/games/garden
    ok. done.
    ```

    ## Observation

    The opening has the goals and the commands; each reply is what the command prints, ``ok``, or why it cannot be done.

    ## Action

    One command: ``ls``, ``cd``, ``pwd``, ``cat``, ``mkdir``, ``mv``, ``cp``, ``rm`` (the last two with ``-r`` for
    directories), ``echo text > file``, ``grep word`` or ``find name``. ``grep`` and ``find`` look everywhere, or in a
    directory (``find /docs notes``, ``grep amber /docs``), for whole words and names. Paths begin at ``/`` or at the
    current directory. Other options do nothing; plain English does where it has the form of a command (``move the file
    notes to /docs``, ``delete page``), and a full stop, quotes or markdown around a command do no harm. There are no
    wildcards, pipes or lists of commands, and there is room for 64 files and directories.

    ## Reward

    What a command adds to the progress, or takes from it, less ``cost`` for each utterance. The progress is the share
    of the differences between the files at first and the goal that are gone, and 0 where there are more than at first;
    an episode that reaches the goal earns 1 less its costs.

    ## Episode end

    Terminated when the task is done (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``goals`` | 1 | 2 | 3 | goals (1 to 3) |
    | ``depth`` | 1 | 2 | 3 | directories in each other at the most (1 to 3); there are three more than twice that |
    | ``files`` | 6 | 9 | 12 | files (6 to 12) |
    | ``clues`` | no | yes | yes | whether files are told by words and notes too |
    | ``cost`` | 0.02 | 0.02 | 0.02 | price of an utterance |
    | ``max_turns`` | 10 | 20 | 30 | truncation: ten a goal |

    ## Expert

    Exact from the start: one ``find`` or ``grep`` for each thing that has to be found (``find``, ``cat``, ``find`` for
    what a note names; nothing for a directory where all lie in ``/``, at depth 1), which no listing or guessing betters
    on average, and the fewest changes. After mistakes it mends one difference at a time, and writes a lost file anew
    with the text it had. It always succeeds; its mean return over 1000 episodes is 0.96 (easy), 0.90 (medium), 0.85
    (hard). Random tokens earn -0.20, -0.40 and -0.60 and never succeeded.

    ## Source

    A bash task as in InterCode (Yang et al. 2023), in a simulation of this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"goals": 1, "depth": 1, "files": 6, "clues": False},
        "medium": {},
        "hard": {"goals": 3, "depth": 3, "files": 12},
    }

    def __init__(self, goals: int = 2, depth: int = 2, files: int = 9, clues: bool = True, cost: float = 0.02) -> None:
        if not 1 <= goals <= 3:
            raise ValueError(f"goals must be 1 to 3, not {goals!r}")
        if not 1 <= depth <= 3:
            raise ValueError(f"depth must be 1 to 3, not {depth!r}")
        if not 6 <= files <= 12:
            raise ValueError(f"files must be 6 to 12, not {files!r}")
        if not 0 <= cost <= 0.1:
            raise ValueError(f"cost must be 0 to 0.1, not {cost!r}")
        self.goals, self.depth, self.files, self.clues, self.cost = goals, depth, files, clues, cost
        self.max_turns = 10 * goals

    def reset(self, rng: np.random.Generator) -> str:
        """Draw files and goals."""
        self._task = draw_task(self.goals, self.depth, self.files, self.clues, rng)
        self._system = FileSystem(copy.deepcopy(self._task.root))
        if self.depth == 1:
            self._system.seen.update(path for path, node in self._system.walk() if isinstance(node, dict))
        self._first = differences(self._task.root, self._task.goal)
        self._progress = 0.0
        price = f", {self.cost:g} each" if self.cost else ""
        return (
            f"{self._task.text}. you are in /. commands{price}: ls, cd, cat, mkdir, mv, cp, rm, echo text > file, and "
            "everywhere find name, grep word."
        )

    def instance(self) -> str:
        """The files and the goals."""
        return f"{self._task.root} {self._task.text}"

    def step(self, action: str) -> Turn:
        """Do a command."""
        try:
            text = self._system.run(action)
        except Refused as error:
            text = str(error)
        left = differences(self._system.root, self._task.goal)
        before, self._progress = self._progress, max(1 - left / self._first, 0.0)
        reward = self._progress - before - self.cost
        if left:
            return Turn(f"{text}.", reward)
        return Turn(f"{text}. done.", reward, True, {"success": True})

    def expert_action(self) -> str:
        """The next command of the planner."""
        return next_command(self._system, self._task.goal, self._task.clues)
