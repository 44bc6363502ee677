"""Drawing and scoring with few passes give what ``torch.distributions`` gives."""

import pytest
import torch
from torch.distributions import Categorical

from agents.policies import chosen
from agents.policies.reader import MASKED


def test_draws_follow_the_distribution_and_never_fall_on_what_is_masked() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([1.0, 0.0, MASKED, 2.0, MASKED])
    log_probs = logits.log_softmax(0)
    drawn = chosen.draw(log_probs.expand(40_000, 5))
    shares = torch.bincount(drawn, minlength=5) / len(drawn)
    assert shares[2] == shares[4] == 0
    torch.testing.assert_close(shares, log_probs.exp(), atol=0.01, rtol=0)


@pytest.mark.parametrize("kept", [1 << 26, 64])
def test_scores_and_gradients_equal_those_of_a_categorical(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "_BLOCK", 50)
    monkeypatch.setattr(chosen, "_KEPT", kept)
    torch.manual_seed(0)
    hidden = torch.randn(17, 8, requires_grad=True)
    head = torch.nn.Linear(8, 23)
    forbidden = torch.arange(23) % 5 == 0
    actions = torch.randint(5, (17,)) + 1
    one, two = torch.randn(17), torch.randn(17)

    distribution = Categorical(logits=head(hidden).masked_fill(forbidden, MASKED))
    expected = distribution.log_prob(actions), distribution.entropy()
    found = chosen.score_states(head, hidden, 23, actions, forbidden)
    for entropy_counts in (True, False):
        gradients = []
        for log_prob, entropy in (expected, found):
            loss = (log_prob * one).sum() + (entropy * two).sum() * entropy_counts
            gradients.append(torch.autograd.grad(loss, (hidden, head.weight, head.bias), retain_graph=True))
        for gradient, wanted in zip(gradients[1], gradients[0], strict=True):
            torch.testing.assert_close(gradient, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
