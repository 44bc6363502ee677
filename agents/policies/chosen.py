"""Drawing actions and scoring those that were drawn, with few passes over large vocabularies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from agents.backbones.native import drawn
from agents.policies.reader import MASKED

_BLOCK = 1 << 18  # logits worked on at once: they stay in the processor's cache
_INSIDE = 1 - 2**-22  # a float32 times this is smaller, whatever the rounding
_KEPT = 1 << 26  # logits kept for the gradient; of more, they are computed again instead


def pick(logits: Tensor, deterministic: bool = False, forbidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Actions ``(rows,)`` int64 under ``logits`` ``(rows, actions)``, and their log-probabilities ``(rows,)``.

    By the inverse of the distribution function: one random number a row, where ``torch.multinomial`` draws one for
    every action (on processors ten times slower for 2,000 of them).

    Args:
        deterministic: take the most probable action of each row.
        forbidden: ``(actions,)`` bool, what has no probability.

    Raises:
        ValueError: the logits are no numbers.
    """
    points = None if deterministic else torch.rand(len(logits), device=logits.device, dtype=torch.float32)
    actions, log_probs = drawn(logits, points, forbidden) or _by_torch(logits, points, forbidden)
    if math.isnan(log_probs.sum()):
        raise ValueError(
            "the model's logits are no numbers: its weights have become infinite or none; go back to a checkpoint, "
            "and train with a smaller learning_rate or max_grad_norm"
        )
    return actions, log_probs


def _by_torch(logits: Tensor, points: Tensor | None, forbidden: Tensor | None) -> tuple[Tensor, Tensor]:
    log_probs = (logits if forbidden is None else logits.masked_fill(forbidden, MASKED)).log_softmax(dim=1)
    if points is None:
        actions = log_probs.argmax(dim=1, keepdim=True)
    else:
        totals = log_probs.softmax(dim=1).cumsum(dim=1)  # exp would take twenty times as long where much is forbidden
        # Rounding must not carry the point to the end, behind which nothing has any probability.
        aims = points[:, None] * totals[:, -1:] * _INSIDE
        actions = torch.searchsorted(totals, aims, right=True).clamp_(max=logits.shape[1] - 1)
    return actions[:, 0], log_probs.gather(1, actions)[:, 0]


def score(logits: Tensor, actions: Tensor, forbidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Log-probabilities of ``actions`` ``(rows,)`` and entropies, both ``(rows,)``, under ``logits`` ``(rows, all)``.

    Args:
        forbidden: ``(all,)`` bool, what has no probability.
    """
    return _Score.apply(logits, actions, forbidden)


def score_states(
    logits: Callable[[Tensor], Tensor], hidden: Tensor, width: int, actions: Tensor, forbidden: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As ``score``, of ``logits(hidden)`` with ``width`` logits a row, a part at a time where they are many."""

    def part(hidden: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        return score(logits(hidden), actions, forbidden)

    rows = max(1, _KEPT // 4 // width)
    if len(hidden) * width <= _KEPT:
        return part(hidden, actions)
    parts = [
        checkpoint(part, *each, use_reentrant=False) if torch.is_grad_enabled() else part(*each)
        for each in zip(hidden.split(rows), actions.split(rows), strict=True)
    ]
    log_probs, entropies = zip(*parts, strict=True)
    return torch.cat(log_probs), torch.cat(entropies)


def _blocks(logits: Tensor) -> Iterator[slice]:
    rows = max(1, _BLOCK // logits.shape[1])
    return (slice(start, start + rows) for start in range(0, len(logits), rows))


class _Score(torch.autograd.Function):
    """With ``p = softmax(logits)`` and ``H`` the entropy, ``d log p_a = onehot_a - p`` and ``dH = -p (log p + H)``."""

    @staticmethod
    def forward(context: Any, logits: Tensor, actions: Tensor, forbidden: Tensor | None) -> tuple[Tensor, Tensor]:
        log_probs = torch.empty_like(logits)
        entropy = logits.new_empty(len(logits))
        for rows in _blocks(logits):
            block = logits[rows] if forbidden is None else logits[rows].masked_fill(forbidden, MASKED)
            block = block.log_softmax(dim=1)
            log_probs[rows] = block
            entropy[rows] = block.softmax(dim=1).mul_(block).sum(dim=1).neg_()
        context.save_for_backward(log_probs, actions, entropy, forbidden)
        return log_probs.gather(1, actions[:, None])[:, 0], entropy

    @staticmethod
    @once_differentiable
    def backward(context: Any, log_prob: Tensor, entropy: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        log_probs, actions, entropies, forbidden = context.saved_tensors
        gradient = torch.empty_like(log_probs)
        entropy_counts = bool(entropy.any())
        for rows in _blocks(log_probs):
            block = log_probs[rows]
            if entropy_counts:
                factor = (block + entropies[rows, None]).mul_(entropy[rows, None]).add_(log_prob[rows, None]).neg_()
                gradient[rows] = factor.mul_(block.softmax(dim=1))
            else:
                gradient[rows] = block.softmax(dim=1).mul_(-log_prob[rows, None])
        if forbidden is not None:  # a forbidden action's logit was never read
            log_prob = log_prob.masked_fill(forbidden[actions], 0.0)
        gradient.scatter_add_(1, actions[:, None], log_prob[:, None])
        return gradient, None, None
