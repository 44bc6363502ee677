"""sb3-contrib's TRPO with its gradients taken together."""

from __future__ import annotations

import sb3_contrib
import torch
from torch import Tensor, nn


class TRPO(sb3_contrib.TRPO):
    """Trust region policy optimisation (Schulman et al. 2015, "Trust region policy optimization", eq. 14 and app. C).

    The natural gradient by conjugate gradients on the Hessian of the divergence, then a line search that keeps ``mean
    KL(pi_old, pi) < target_kl`` and the surrogate ``mean r_t A_t`` rising; the critic learns apart. At turn level the
    divergence of utterances is the sum over their tokens along the utterances that were said. Attention and
    normalisation are plain ones, since the fused ones have no second derivative.

    The class is sb3-contrib's, but for how gradients are taken: there one pass back through the model for each of its
    weight tensors, and every product with the Hessian goes back through all of these; here one pass for all. The
    numbers are the same.
    """

    def _compute_actor_grad(
        self, kl_div: Tensor, policy_objective: Tensor
    ) -> tuple[list[nn.Parameter], Tensor, Tensor, list[tuple[int, ...]]]:
        """Gradients of the divergence and of the surrogate.

        Args:
            kl_div: scalar, with a graph.
            policy_objective: scalar, with a graph.

        Returns:
            The parameters that the divergence depends on; flat over these, the gradient of the surrogate and that of
            the divergence, which has a graph; and the parameters' shapes.
        """
        named = [parameter for _, parameter in self.policy.named_parameters()]
        gradients = torch.autograd.grad(kl_div, named, create_graph=True, allow_unused=True)
        used = [(each, own) for each, own in zip(named, gradients, strict=True) if own is not None]
        parameters = [each for each, _ in used]
        surrogate = torch.autograd.grad(policy_objective, parameters, retain_graph=True)
        return (
            parameters,
            torch.cat([own.reshape(-1) for own in surrogate]),
            torch.cat([own.reshape(-1) for _, own in used]),
            [tuple(own.shape) for _, own in used],
        )
