"""sb3-contrib's TRPO with its derivatives taken together."""

from __future__ import annotations

from dataclasses import dataclass

import sb3_contrib
import torch
from torch import Tensor, nn

from agents.policies.trust_region import TokenTrustRegionPolicy


class TRPO(sb3_contrib.TRPO):
    """Trust region policy optimisation (Schulman et al. 2015, "Trust region policy optimization", eq. 14 and app. C).

    The natural gradient by conjugate gradients on the Hessian of the divergence, then a line search that keeps ``mean
    KL(pi_old, pi) < target_kl`` and the surrogate ``mean r_t A_t`` rising; the critic learns apart. At turn level the
    divergence of utterances is the sum over their tokens along the utterances that were said. Attention and
    normalisation are plain ones, since the fused ones have no second derivative.

    The class is sb3-contrib's, but for how derivatives are taken. There, one pass back through the model for each of
    its weight tensors, and a product with the Hessian goes back through all of these. Where the old policy is the new
    one the Hessian is Fisher's information ``J^T P J``: ``J`` takes a move of the weights to one of all
    log-probabilities, ``P`` multiplies each with its probability. So a product is one pass forward, as it were, and one
    back.
    """

    policy: TokenTrustRegionPolicy  # type: ignore[assignment]

    def _compute_actor_grad(  # type: ignore[override]
        self, kl_div: Tensor, policy_objective: Tensor
    ) -> tuple[list[nn.Parameter], Tensor, Curvature, list[tuple[int, ...]]]:
        """What a step needs of the divergence and the surrogate.

        Args:
            kl_div: scalar, with a graph; of the distribution that the policy was asked for last.
            policy_objective: scalar, with a graph.

        Returns:
            The parameters that the divergence depends on; flat over these, the gradient of the surrogate; the curvature
            of the divergence; and the parameters' shapes.
        """
        logits = self.policy.last_logits()
        # d/dl_a sum_b p_b (l_b - old_b) = p_a where l = old, times what the step counts in the mean.
        (shares,) = torch.autograd.grad(kl_div, logits, retain_graph=True)
        probe = torch.zeros_like(logits, requires_grad=True)
        named = [parameter for _, parameter in self.policy.named_parameters()]
        pulled = torch.autograd.grad(logits, named, probe, create_graph=True, allow_unused=True)
        used = [(each, own) for each, own in zip(named, pulled, strict=True) if own is not None]
        parameters = [each for each, _ in used]
        surrogate = torch.autograd.grad(policy_objective, parameters, retain_graph=True)
        return (
            parameters,
            torch.cat([own.reshape(-1) for own in surrogate]),
            Curvature(logits, shares, probe, torch.cat([own.reshape(-1) for _, own in used])),
            [tuple(own.shape) for _, own in used],
        )

    def hessian_vector_product(  # type: ignore[override]
        self, params: list[nn.Parameter], grad_kl: Curvature, vector: Tensor, retain_graph: bool = True
    ) -> Tensor:
        """The Hessian's product with a move of the weights, and ``cg_damping`` times that move; flat over the weights.

        Args:
            params: the weights.
            grad_kl: the curvature that ``_compute_actor_grad`` gave.
            vector: ``(weights,)``, the move.
            retain_graph: whether another product will follow.
        """
        (pushed,) = torch.autograd.grad(grad_kl.pulled, grad_kl.probe, vector, retain_graph=retain_graph)  # J v
        product = torch.autograd.grad(grad_kl.logits, params, grad_kl.shares * pushed, retain_graph=retain_graph)
        return torch.cat([own.reshape(-1) for own in product]) + self.cg_damping * vector


@dataclass(frozen=True)
class Curvature:
    """Of the divergence over the weights.

    Attributes:
        logits: ``(rows, actions)``, log-probabilities with a graph.
        shares: ``(rows, actions)``, the probabilities, times what each row counts.
        probe: ``(rows, actions)``, anything.
        pulled: ``(weights,)``, ``J^T probe`` with a graph: linear in ``probe``, so its own transpose is ``J``.
    """

    logits: Tensor
    shares: Tensor
    probe: Tensor
    pulled: Tensor
