from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest

from textenvs.games.language import metrics

PAIRS = [("kam rul tes", "kam rul tes"), ("kam rul tes", "kam rul"), ("ab cd", "xy zw"), ("lupo tes ka", "tes lupo ka")]


def grams(items: Sequence[Any], size: int) -> Counter[Any]:
    return Counter(tuple(items[i : i + size]) for i in range(len(items) - size + 1))


@pytest.mark.parametrize(("text", "reference"), PAIRS)
def test_chrf_is_the_mean_of_character_f_scores(text: str, reference: str) -> None:
    precisions, recalls = [], []
    for size in range(1, 7):
        said, told = grams(text.replace(" ", ""), size), grams(reference.replace(" ", ""), size)
        if said and told:
            precisions.append((said & told).total() / said.total())
            recalls.append((said & told).total() / told.total())
    p, r = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    expected = 5 * p * r / (4 * p + r) if p + r else 0
    assert metrics.chrf(text, reference) == pytest.approx(expected)


@pytest.mark.parametrize(("text", "reference"), PAIRS)
def test_gleu_is_the_least_of_precision_and_recall(text: str, reference: str) -> None:
    said, told = text.split(), reference.split()
    ours: Counter[Any] = sum((grams(said, size) for size in range(1, 5)), Counter())
    theirs: Counter[Any] = sum((grams(told, size) for size in range(1, 5)), Counter())
    expected = (ours & theirs).total() / max(ours.total(), theirs.total())
    assert metrics.gleu(said, told) == pytest.approx(expected)


def test_bleu() -> None:
    assert metrics.bleu("a b c d", "a b c d") == pytest.approx(1)
    assert metrics.bleu("a b", "a b") == pytest.approx(1)
    assert metrics.bleu("a b c e", "a b c d") == pytest.approx((3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** (1 / 4))  # smoothed
    assert metrics.bleu("", "a b c d") == 0


@pytest.mark.parametrize(
    ("text", "reference"),
    [*PAIRS, ("flood in redford on monday, three hurt", "a flood hit redford on monday, three hurt"), ("x", "y z")],
)
def test_rouge_is_the_mean_of_three_f_scores(text: str, reference: str) -> None:
    said, told = text.replace(",", "").split(), reference.replace(",", "").split()

    def f_score(common: int, ours: int, theirs: int) -> float:
        return 2 * common / (ours + theirs) if common else 0.0

    pairs = [(grams(said, size), grams(told, size)) for size in (1, 2)]
    scores = [f_score((ours & theirs).total(), ours.total(), theirs.total()) for ours, theirs in pairs]
    longest = max(
        len(common)
        for size in range(len(said) + 1)
        for common in combinations(said, size)
        if not common or common in set(combinations(told, size))
    )
    assert metrics.rouge(text, reference) == pytest.approx(sum([*scores, f_score(longest, len(said), len(told))]) / 3)


def test_rouge_stems() -> None:
    assert metrics.rouge("floods", "flooding") == pytest.approx(2 / 3)  # there are no pairs of words
