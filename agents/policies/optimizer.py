"""The optimizer of the policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.graph import increment_version


class FusedAdam(torch.optim.Adam):
    """Adam in one pass over each weight: without weight decay the same as AdamW.

    torch's own ``fused=True`` changes weights without counting it in their version, from which caches learn that they
    are out of date; here it is counted.

    Args:
        params: the weights or groups of them.
        lr: learning rate.
        keywords: those of ``torch.optim.Adam``.
    """

    def __init__(self, params: Any, lr: float = 1e-3, **keywords: Any) -> None:
        super().__init__(params, lr=lr, **{"fused": True, **keywords})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; what ``closure`` returns."""
        loss = super().step(closure)
        increment_version([weight for group in self.param_groups for weight in group["params"]])
        return loss
