"""How near an answer comes to the right one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def f1(said: Iterable[str], answer: Iterable[str]) -> float:
    """The harmonic mean of precision and recall over items, each as often as it occurs; 0 where none agrees."""
    one, other = Counter(said), Counter(answer)
    return 2 * (one & other).total() / max(one.total() + other.total(), 1)
