"""Choice level: what a language model says of each candidate."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import agents
from agents.backbones import Backbone
from agents.memory.branches import branches
from agents.memory.layout import Trees
from agents.policies.masks import states_of
from agents.policies.reader import TokenReader
from tests.agents.conftest import SMALL_BACKBONES

GROUPED = {  # two query heads share a key head
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
MODELS = {**SMALL_BACKBONES, "llama": GROUPED}


def made(name: str) -> Any:
    """A PPO policy on dialogues, whose candidates part at several places, and its environments."""
    env_kwargs = {"action_level": "choice", "level": "easy", "window": 160, "tokenizer": "textenvs"}
    return agents.make("ppo", "TextDialogue-v0", MODELS[name], 3, 0, env_kwargs, n_steps=4, batch_size=4)


def played(model: Any, steps: int = 3) -> list[Tensor]:
    """Some observations ``(environments, observation size)`` one after the other."""
    rng, env = np.random.default_rng(0), model.get_env()
    seen = [env.reset()]
    for _ in range(steps - 1):
        present = ~model.policy.reader.absent(model.policy.reader.choices(torch.as_tensor(seen[-1])))
        seen.append(env.step(np.array([rng.integers(int(count)) for count in present.sum(dim=1)]))[0])
    return [torch.as_tensor(each) for each in seen]


@torch.no_grad()
def word_for_word(reader: TokenReader, observations: Tensor) -> Tensor:
    """Log-probabilities ``(environments, choices)``: each token's among all that go on to a candidate."""
    ids, lengths = reader.split(observations)
    choices = reader.choices(observations)
    found = torch.zeros(choices.shape[:2])
    for row in range(len(ids)):
        said = [tuple(each[each != reader.space.pad_id].tolist()) for each in choices[row]]
        whole = [(*each, reader.space.end_id) if each else () for each in said]
        for choice, own in enumerate(whole):
            for place, token in enumerate(own):
                ways = sorted({each[place] for each in whole if len(each) > place and each[:place] == own[:place]})
                context = torch.cat([ids[row, : lengths[row]], torch.tensor(own[:place], dtype=torch.int64)])[None]
                last = torch.tensor([context.shape[1] - 1])
                logits = reader.raw_logits(reader.backbone.states(context, torch.zeros(1, dtype=torch.int64), last))
                found[row, choice] += logits[0, ways].log_softmax(dim=0)[ways.index(token)]
    return found


@pytest.mark.parametrize("name", MODELS)
def test_a_candidate_is_as_probable_as_its_words_among_those_that_may_be_said(name: str) -> None:
    model = made(name)
    reader = model.policy.reader
    for observations in played(model):
        expected = word_for_word(reader, observations)
        with torch.no_grad():
            _, cached, _ = states_of(reader, observations)
        assert cached is not None and len(reader.branches(cached.ids).tokens) > 3
        _, plain, _ = states_of(reader, observations)
        _, packed, _ = states_of(reader, reader.single(observations))
        for found in (cached, plain, packed):
            torch.testing.assert_close(found.spoken, expected, atol=1e-4, rtol=0)
        total = (cached.spoken.exp() * ~cached.absent).sum(dim=1)
        torch.testing.assert_close(total, torch.ones(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_one_pass_and_reading_anew_have_the_same_gradients(name: str) -> None:
    model = made(name)
    reader = model.policy.reader
    batch = reader.single(played(model)[-1])
    found = reader.branches(batch.choices)
    gradients = []
    for one_pass in (True, False):
        read = reader.backbone.branched if one_pass else partial(Backbone.branched, reader.backbone)
        both = read(batch.ids, batch.segment, batch.position, found)
        spoken = reader.candidates(batch.choices, both[: len(batch)], both[len(batch) :], found).spoken
        weights = torch.linspace(-1, 1, spoken.numel()).view_as(spoken)
        own = torch.autograd.grad((weights * spoken).sum(), list(reader.backbone.parameters()), allow_unused=True)
        gradients.append([each for each in own if each is not None])
    assert len(gradients[0]) > 10
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_policy_starts_as_the_model_and_the_match_is_learned() -> None:
    model = made("llama")
    reader, observations = model.policy.reader, played(model)[0]
    hidden, candidates, _ = states_of(reader, observations)
    assert candidates is not None
    assert not reader.match(hidden, candidates).any()
    logits = reader.choice_logits(hidden, candidates)
    torch.testing.assert_close(logits[~candidates.absent], candidates.spoken[~candidates.absent])
    logits.log_softmax(dim=1)[:, 0].sum().backward()
    assert reader.query.weight.grad.any()
    torch.nn.init.normal_(reader.query.weight)
    assert reader.match(hidden, candidates).any()


def test_a_branch_sees_its_context_and_what_leads_to_it() -> None:
    """Of a step after two tokens and one after three of the same sequence, with the branches 5 6 and 7."""
    pad, end = 0, 9
    candidates = np.array([[[5, 6, 1], [5, 6, 2], [0, 0, 0]], [[7, 1, 0], [7, 2, 0], [8, 0, 0]]])
    trees = Trees(branches(candidates, pad, end), np.array([0, 0]), np.array([1, 2]), "cpu")
    assert trees.tokens.tolist() == [5, 6, 7] and trees.positions.tolist() == [2, 3, 3]
    assert trees.nodes.tolist() == [1, 2] and trees.lengths.tolist() == [3]
    seen = torch.isfinite(trees._mask[0, 0]).int().tolist()
    assert seen == [[1, 1, 0, 1, 0, 0], [1, 1, 0, 1, 1, 0], [1, 1, 1, 0, 0, 1]]
