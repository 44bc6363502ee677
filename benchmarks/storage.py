"""Results in files: one JSON file for each cell while a suite runs, one compressed file for a submission."""

from __future__ import annotations

import json
import lzma
import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import UnionType
from typing import Any

from benchmarks.cells import FORMAT, defaults, instances, reference
from benchmarks.provenance import write_bytes, write_text
from benchmarks.suite import Cell

COMMITTED = Path(__file__).parent / "results"
_FIELDS = ("format", "digest", "cell", "status", "versions")
# Shapes of what reports tell: a type, [of each], (of one, of the next, ...) or {name: shape}.
_NUMBER = int | float
_TRANSCRIPT = {"messages": [{"content": str}], "rewards": [_NUMBER], "success": bool | None, "terminated": bool}
_THOUGHTS = {"measure": str, "turns": [[(str, _NUMBER, [(str, _NUMBER)])]]}
_EVALUATION = {
    "episodes": [{"seed": int, "said": [str], "rewards": [_NUMBER], "success": bool | None}],
    "summary": {"return": _NUMBER, "success": _NUMBER | None, "turns": _NUMBER},
    "transcripts": [_TRANSCRIPT],
    "tokens": {"said": int},
    "seconds": _NUMBER,
}
_POINT = {"tokens": int, "episodes": int, "seconds": _NUMBER, "return": _NUMBER, "success": _NUMBER | None}
_TRAINING = {"seconds": _NUMBER, "timesteps": int, "tokens": int, "parameters": int, "curve": [_POINT]}
_SCALE = {"random": _NUMBER, "expert": _NUMBER}
_RESULT = {
    "versions": dict, "machine": dict, "started": str, "reference": _SCALE, "seconds": _NUMBER, "evaluations": dict
}  # fmt: skip


def write_cell(folder: Path, result: dict[str, Any]) -> Path:
    """Write a cell's result, in one step: the file is whole or not there."""
    return write_text(folder / Cell.from_dict(result["cell"]).filename, json.dumps(result, ensure_ascii=False))


def finished(folder: Path, cell: Cell) -> bool:
    """Whether the folder has this cell's result; one that failed is not finished, nor is one of other defaults or
    weights than today's, or of a game whose scores or test episodes are others by now. Into a finished one goes
    the price of today."""
    path = folder / cell.filename
    try:
        result = check(json.loads(path.read_text("utf-8")))
    except (FileNotFoundError, ValueError):
        return False
    if result["status"] != "done" or result.get("defaults") not in (None, defaults(cell)):
        return False
    first = instances(cell.env_id, cell.level, cell.instances_seed, 1)[0]
    played = all(each["episodes"][0]["seed"] == first for each in result["evaluations"].values() if each["episodes"])
    if not played or result["reference"] != reference(cell.env_id, cell.level):
        return False
    if Cell.from_dict(result["cell"]).price != cell.price:
        write_cell(folder, {**result, "cell": {**result["cell"], "price": cell.price}})
    return True


def remove_leftovers(folder: Path) -> None:
    """Remove half-written files of a killed run."""
    for path in folder.glob(".*.json.*"):
        path.unlink(missing_ok=True)


def write_submission(path: Path, results: Iterable[dict[str, Any]]) -> Path:
    """Write results as one ``.jsonl.xz`` file, a line for each cell, in the order of contestant, task and seed."""
    ordered = sorted(results, key=lambda each: Cell.from_dict(each["cell"]).filename)
    lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in ordered)
    return write_bytes(path, lzma.compress(lines.encode("utf-8"), preset=9))


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The results in a file (``.json``, ``.jsonl`` or ``.jsonl.xz``), or in all such files of a folder.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: a file holds something else; the message names it.
    """
    if path.is_dir():
        for each in sorted(path.rglob("*.json*")):
            if not each.name.startswith(".") and each.name.endswith((".json", ".jsonl", ".jsonl.xz")):
                yield from read(each)
        return
    if not path.exists():
        raise FileNotFoundError(f"no results at {path}: give the folder or file that `python -m benchmarks run` wrote")
    try:
        content = path.read_bytes()
        text = (lzma.decompress(content) if path.suffix == ".xz" else content).decode("utf-8")
        lines = [text] if path.suffix == ".json" else [line for line in text.split("\n") if line.strip()]
        yield from (check(json.loads(line)) for line in lines)
    except (lzma.LZMAError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def check(result: Any) -> dict[str, Any]:
    """The result, if that is what it is.

    Raises:
        ValueError: it is not, or is of another format.
    """
    if not isinstance(result, dict) or any(name not in result for name in _FIELDS):
        raise ValueError("not the result of a cell: write it with `python -m benchmarks run`")
    if result["format"] != FORMAT:
        raise ValueError(f"the result has format {result['format']!r}, this version reads {FORMAT}: update textenvs")
    Cell.from_dict(result["cell"])
    if result["status"] == "done":
        _check_figures(result)
    return result


def _check_figures(result: dict[str, Any]) -> None:
    """Refuse what reports could not tell."""
    _refuse_other(result, _RESULT, "the result")
    for way, evaluation in result["evaluations"].items():
        where = f"evaluation {way!r}"
        _refuse_other(evaluation, _EVALUATION, where)
        for each in evaluation["transcripts"]:
            if each.get("thoughts") is not None:
                _refuse_other(each["thoughts"], _THOUGHTS, f"thoughts of {where}")
            if len(each["messages"]) != 2 * len(each["rewards"]) + 1:
                raise ValueError(f"not the result of a cell: a transcript of {where} has no reward for each turn")
    if "training" in result:
        _refuse_other(result["training"], _TRAINING, "the training")


def _refuse_other(value: Any, shape: Any, where: str) -> None:
    """Refuse a value of another shape, and say which part of it that is."""
    parts: Iterable[tuple[Any, Any, str]] = ()
    if isinstance(shape, dict) and isinstance(value, dict):
        parts = ((value.get(name), part, name) for name, part in shape.items())
    elif isinstance(shape, list) and isinstance(value, list):
        parts = ((each, shape[0], "a part") for each in value)
    elif isinstance(shape, tuple) and isinstance(value, list) and len(value) == len(shape):
        parts = ((each, part, "a part") for each, part in zip(value, shape, strict=True))
    elif isinstance(shape, dict | list | tuple) or not isinstance(value, shape):
        raise ValueError(f"not the result of a cell: {where} is {reprlib.repr(value)}")
    for each, part, name in parts:
        if not (isinstance(part, type | UnionType) and isinstance(each, part)):  # a submission has millions of parts
            _refuse_other(each, part, f"{name} of {where}")
