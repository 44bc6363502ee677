"""How probable whole utterances are: a product over their tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, kl_divergence, register_kl


def spoken(actions: Tensor, pad_id: int, end_id: int) -> tuple[Tensor, Tensor]:
    """Rows and columns, ``(tokens,)`` each, of what is said in utterances ``(steps, tokens)``, their ends included."""
    counted = (actions != pad_id) & ((actions == end_id).cumsum(dim=1) <= 1)
    step, offset = counted.nonzero(as_tuple=True)
    return step, offset


class Utterances(Distribution):
    """The distribution of ``steps`` utterances along given ones: of each token, given those before it.

    Args:
        tokens: the distributions of all tokens.
        step, offset: ``(tokens,)`` int64, the utterance and the place in it that each of them belongs to.
        steps: number of utterances.
    """

    arg_constraints = {}  # noqa: RUF012 (of torch)

    def __init__(self, tokens: Categorical | None, step: Tensor, offset: Tensor, steps: int) -> None:
        super().__init__(validate_args=False)
        self.tokens, self.step, self.offset, self.steps = tokens, step, offset, steps

    def sums(self, values: Tensor) -> Tensor:
        """Sums ``(steps,)`` of ``values`` ``(tokens,)`` over the tokens of each utterance."""
        return torch.zeros(self.steps, device=values.device).index_add(0, self.step, values)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probabilities ``(steps,)`` of the utterances ``(steps, tokens)`` along which the distribution lies."""
        assert self.tokens is not None
        return self.sums(self.tokens.log_prob(value.long()[self.step, self.offset]))

    def entropy(self) -> Tensor:
        """Sums ``(steps,)`` of the tokens' entropies."""
        assert self.tokens is not None
        return self.sums(self.tokens.entropy())


@register_kl(Utterances, Utterances)
def _divergence(p: Utterances, q: Utterances) -> Tensor:
    """Sums ``(steps,)`` of the divergences of the tokens' distributions, along the utterances of ``p``."""
    assert p.tokens is not None
    if q.tokens is None:  # TRPO makes both before it changes anything, and this one never learns of the utterances
        q.tokens = Categorical(logits=p.tokens.logits.detach(), validate_args=False)
    return p.sums(kl_divergence(p.tokens, q.tokens))
