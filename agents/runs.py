"""Runs of ``agents train``, found by name."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

FILE = "checkpoint.pt"
PLAIN_PLAYERS = ("random", "expert")


def checkpoint_file(target: str) -> Path | None:
    """The checkpoint that ``target`` names, as a file or as its folder, or ``None`` where it names a model.

    Raises:
        FileNotFoundError, ValueError: it looks like a path or a misspelt name; the message suggests one that exists.
    """
    path = Path(target)
    if path.is_file() and path.suffix != ".gguf":
        return path
    if (path / FILE).is_file():
        return path / FILE
    if path.exists():
        return None
    in_a_folder = path.parent != Path() and path.parent.is_dir()
    if path.suffix in (".pt", ".gguf", ".zip") or in_a_folder:
        raise FileNotFoundError(f"no file or folder {target}{closest_run(path)}")
    close = difflib.get_close_matches(target, ("tiny", *PLAIN_PLAYERS), 1, 0.7)
    if close and close[0] != target:
        raise ValueError(f"no player {target!r}: did you mean {close[0]!r}?")
    return None


def load_run(target: str, device: str | None = None) -> BaseAlgorithm:
    """The learner of a run, by its checkpoint or its folder; ``device`` as in ``agents.load``.

    Raises:
        FileNotFoundError: there is none.
        ValueError: no such device.
    """
    from agents.checkpoint import load

    file = checkpoint_file(target)
    if file is None:
        raise FileNotFoundError(f"{target} is no checkpoint: give {FILE} of a run of `agents train`, or its folder")
    return load(file, device)


def run_name(file: str | Path) -> str:
    """What reports call the run with this checkpoint."""
    path = Path(file)
    return path.parent.name if path.name == FILE else path.name


def closest_run(path: Path) -> str:
    """``"; did you mean ...?"`` with the run that lies nearest to a path where there is none."""
    folder = path.parent if path.suffix == ".pt" else path
    runs = [str(file.parent) for file in folder.parent.glob(f"*/{FILE}")]
    if path.suffix == ".pt":
        runs += [str(file) for file in folder.glob("*.pt")]
    close = difflib.get_close_matches(str(path), runs, 1)
    return f"; did you mean {close[0]}?" if close else ""
