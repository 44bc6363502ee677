"""How alike two texts are, by the libraries of the field; each takes and gives plain values and is imported at need."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any


def chrf(text: str, reference: str) -> float:
    """Character n-gram F-score (Popovic 2015) by sacrebleu with its defaults, 0 to 1."""
    return float(_sacrebleu("CHRF").sentence_score(text, [reference]).score) / 100


def bleu(text: str, reference: str) -> float:
    """BLEU of a sentence by sacrebleu, of the n-gram orders that it is long enough for, 0 to 1."""
    return float(_sacrebleu("BLEU", effective_order=True).sentence_score(text, [reference]).score) / 100


def gleu(words: Sequence[str], reference: Sequence[str]) -> float:
    """Google's GLEU of a sentence by nltk: the least of n-gram precision and recall, n from 1 to 4; 0 to 1."""
    return float(import_module("nltk.translate.gleu_score").sentence_gleu([list(reference)], list(words)))


def rouge(text: str, reference: str) -> float:
    """The mean of the F-scores ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004) by rouge-score, with stemming; 0 to 1."""
    scores = _rouge_scorer().score(reference, text)
    return float(sum(score.fmeasure for score in scores.values()) / len(scores))


@cache
def _rouge_scorer() -> Any:
    return import_module("rouge_score.rouge_scorer").RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)


@cache
def _sacrebleu(metric: str, **options: Any) -> Any:
    return getattr(import_module("sacrebleu.metrics"), metric)(**options)
