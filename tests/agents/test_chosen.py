"""Drawing and scoring with few passes give what ``torch.distributions`` gives."""

import pytest
import torch
from torch.distributions import Categorical

from agents.backbones import native
from agents.policies import chosen
from agents.policies.reader import MASKED


@pytest.fixture(params=["compiled", "torch"])
def _drawing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "torch":
        monkeypatch.setattr(chosen, "drawn", lambda *_: None)
    elif native.loaded() is None:
        pytest.skip("no C compiler")


@pytest.mark.usefixtures("_drawing")
def test_picks_follow_the_distribution_and_never_fall_on_what_is_forbidden() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([1.0, 0.0, MASKED, 2.0, 5.0])
    expected = logits[:4].log_softmax(0)
    actions, log_probs = chosen.pick(logits.expand(40_000, 5), forbidden=torch.arange(5) == 4)
    shares = torch.bincount(actions, minlength=5) / len(actions)
    assert shares[2] == shares[4] == 0
    torch.testing.assert_close(shares[:4], expected.exp(), atol=0.01, rtol=0)
    torch.testing.assert_close(log_probs, expected[actions])
    actions, log_probs = chosen.pick(logits.expand(3, 5), deterministic=True)
    assert actions.tolist() == [4, 4, 4] and log_probs.tolist() == [logits.log_softmax(0)[4]] * 3


@pytest.mark.parametrize("count", [1, 7, 256, 257, 5000])
def test_compiled_picks_equal_those_of_torch(count: int) -> None:
    if native.loaded() is None:
        pytest.skip("no C compiler")
    generator = torch.Generator().manual_seed(count)
    logits, points = 3 * torch.randn(500, count, generator=generator), torch.rand(500, generator=generator)
    points[:2] = torch.tensor([0.0, 1 - 2**-24])  # the least and the most that there can be
    forbidden = torch.rand(count, generator=generator) < 0.5
    forbidden[count // 2] = False
    for given in (points, None):
        ours, theirs = native.drawn(logits, given, forbidden), chosen._by_torch(logits, given, forbidden)
        assert ours is not None and not forbidden[ours[0]].any()
        same = ours[0] == theirs[0]  # where a point is next to a border, rounding decides
        assert same.float().mean() >= 0.99
        torch.testing.assert_close(ours[1][same], theirs[1][same], atol=1e-5, rtol=1e-6)


@pytest.mark.usefixtures("_drawing")
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("deterministic", [True, False])
def test_a_model_that_broke_is_told_of(wrong: float, deterministic: bool) -> None:
    logits = torch.zeros(3, 300)
    logits[1, 299] = wrong
    with pytest.raises(ValueError, match="smaller learning_rate"):
        chosen.pick(logits, deterministic)


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
