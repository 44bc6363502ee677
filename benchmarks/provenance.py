"""Where results come from: packages, processor; and files that are whole or not there."""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("torch", "transformers", "stable-baselines3", "gymnasium", "numpy")


def versions() -> dict[str, str]:
    """The versions of Python, of this package and of those it stands on."""
    import textenvs

    found = {"python": platform.python_version(), "textenvs": textenvs.__version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def machine() -> dict[str, Any]:
    """The processor, its cores, this process's threads and the system."""
    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }


def machine_line() -> str:
    """``machine()`` and the versions in one line for people."""
    about, packages = machine(), versions()
    names = ", ".join(f"{name} {packages[name]}" for name in _PACKAGES)
    cores = f"{about['cores']} cores, {about['threads']} threads"
    return f"{about['processor']}, {cores}, {about['system']}; Python {packages['python']}, {names}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def digest_of(path: Path) -> str:
    """Twelve hexadecimal digits that stand for the content of a file."""
    about = path.stat()
    return _digest_of(path, about.st_mtime_ns, about.st_size)


@cache
def _digest_of(path: Path, *_: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def write_text(path: Path, text: str) -> Path:
    """Write a file that takes the place of an older one in one step."""
    return write_bytes(path, text.encode("utf-8"))


def write_between(path: Path, name: str, text: str) -> None:
    """Put text between a page's marks, such as ``<!-- demo:start -->`` and ``<!-- demo:end -->``.

    Raises:
        OSError: there is no such page.
        ValueError: the page lacks them.
    """
    head, tail = around(path, name)
    write_text(path, f"{head}\n{text}\n{tail}")


def around(path: Path, name: str) -> tuple[str, str]:
    """A page up to and from what lies between its marks; raises as ``write_between``."""
    marks = [f"<!-- {name}:{each} -->" for each in ("start", "end")]
    head, start, rest = path.read_text("utf-8").partition(marks[0])
    _, end, tail = rest.partition(marks[1])
    if not start or not end:
        raise ValueError(f"{path} lacks the marks {marks[0]} and {marks[1]}")
    return head + start, end + tail


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file that takes the place of an older one in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
