"""Timing several ways to do the same thing side by side, and saying on what machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Comparison:
    """One row of the table.

    Attributes:
        name: what was done.
        against: what it was held against.
        unit: of ``values``.
        ratio: how many times better than ``against``: the median over the rounds.
        spread: the smallest and the largest ratio of a round.
        goal: the ratio that was aimed at, or ``None``.
        values: medians of each side, by name.
        note: what a reader should know of it.
    """

    name: str
    against: str
    unit: str
    ratio: float
    spread: tuple[float, float]
    goal: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal was, if there is one."""
        return None if self.goal is None else self.ratio >= self.goal

    def as_json(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {**asdict(self), "reached": self.reached}


def interleaved(
    sides: Mapping[str, Callable[[], float | None]], repeats: int, clock: str = "wall", warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of each side in each of ``repeats`` rounds, one after the other in every round.

    A side that returns a number has timed itself. Interleaving lets whatever else the machine does fall on all sides.
    """
    now = CLOCKS[clock]
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(repeats + warm_up):
        for name, side in sides.items():
            start = now()
            seconds = side()
            seconds = now() - start if seconds is None else seconds
            if round_ >= warm_up:
                taken[name].append(seconds)
    return taken


def compare(
    taken: Mapping[str, list[float]], slow: str, fast: str, name: str, amount: float = 1.0, unit: str = "s", **more: Any
) -> Comparison:
    """How many times ``fast`` beats ``slow``, from seconds a round; ``amount`` of work a round makes rates of them."""
    ratios = [one / other for one, other in zip(taken[slow], taken[fast], strict=True)]
    medians = {side: statistics.median(seconds) for side, seconds in taken.items()}
    values = {side: amount / median if unit != "s" else median for side, median in medians.items()}
    spread = (min(ratios), max(ratios))
    return Comparison(name, slow, unit, statistics.median(ratios), spread, values=values, **more)


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    load = os.getloadavg() if hasattr(os, "getloadavg") else (float("nan"),) * 3
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16 instructions": _flags("avx512_bf16"),
        "AMX": _flags("amx_bf16"),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load average": round(load[0], 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    found = [line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()


def _flags(name: str) -> bool:
    return any(line.startswith("flags") and f" {name}" in line for line in _cpuinfo())


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []
