"""The optimizer of the policies does what torch's does, and caches see that it did."""

import copy

import torch

from agents.backbones import load_backbone
from agents.policies.optimizer import FusedAdam


def test_it_steps_as_adamw_without_decay() -> None:
    torch.manual_seed(0)
    models = [torch.nn.Linear(5, 3)]
    models.append(copy.deepcopy(models[0]))
    optimizers = [
        FusedAdam(models[0].parameters(), lr=0.1),
        torch.optim.AdamW(models[1].parameters(), lr=0.1, weight_decay=0),
    ]
    for given in torch.randn(4, 7, 5):
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            model(given).square().sum().backward()
            optimizer.step()
    for own, other in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(own, other)


def test_what_was_computed_before_a_step_is_not_kept() -> None:
    backbone = load_backbone("tiny")
    optimizer = FusedAdam(backbone.parameters(), lr=0.01)
    ids, lengths = torch.randint(10, 500, (2, 12)), torch.tensor([12, 9])
    cache = backbone.new_cache(2, 16)
    cache.last_hidden(ids, lengths)
    backbone.states(ids, torch.arange(2), lengths - 1).sum().backward()
    optimizer.step()
    with torch.no_grad():
        expected = backbone.states(ids, torch.arange(2), lengths - 1)
        found = cache.last_hidden(ids, lengths)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        logits = backbone.logits(found)
    torch.testing.assert_close(logits, backbone.logits(found).detach(), atol=1e-3, rtol=1e-4)
