"""Each kind of backbone reads steps without look-ahead, whatever stands around them, and so does its cache."""

from typing import Any

import numpy as np
import pytest
import torch

from agents.backbones import KINDS, Backbone, load_backbone
from tests.agents.conftest import SMALL_BACKBONES

WINDOW = 48
VOCABULARY = 2048
ENCODERS: dict[str, dict[str, Any]] = {
    "roberta": {"model_type": "roberta"},
    "albert": {"model_type": "albert", "embedding_size": 16},
    "electra": {"model_type": "electra", "embedding_size": 16},
    "distilbert": {"model_type": "distilbert"},
    "mpnet": {"model_type": "mpnet"},
    "deberta-v2": {"model_type": "deberta-v2"},
}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 50}


def load(name: str, **keywords: Any) -> Backbone:
    torch.manual_seed(0)
    if name in SMALL_BACKBONES:
        return load_backbone(SMALL_BACKBONES[name], **keywords)
    width = "hidden_dim" if name == "distilbert" else "intermediate_size"
    return load_backbone({**SIZES, width: 64, **ENCODERS[name]}, **keywords)


def steps(rng: np.random.Generator, sequences: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids ``(sequences, tokens)``, and steps on them, some of them twice."""
    ids = torch.as_tensor(rng.integers(8, VOCABULARY, size=(sequences, tokens)))
    segment = torch.as_tensor(rng.integers(sequences, size=25))
    position = torch.as_tensor(rng.integers(tokens, size=25))
    segment[:5], position[:5] = segment[5:10].clone(), position[5:10].clone()
    return ids, segment, position


@pytest.mark.parametrize("name", SMALL_BACKBONES)
def test_the_kind_is_read_from_the_configuration(name: str) -> None:
    kinds = {"gpt2": "causal", "bert": "masked", "xlnet": "permutation", "gru": "recurrent"}
    assert load(name).kind == kinds[name] and set(kinds.values()) == set(KINDS)
    assert load(name, kind=kinds[name]).kind == kinds[name]


@torch.no_grad()
@pytest.mark.parametrize("name", [*SMALL_BACKBONES, *ENCODERS])
def test_a_step_is_what_reading_its_context_alone_gives(name: str) -> None:
    """Whatever follows, however long the padding, in whatever company."""
    backbone, rng = load(name), np.random.default_rng(1)
    ids, segment, position = steps(rng, 4, 30)
    together = backbone.logits(backbone.states(ids, segment, position))
    for step in range(len(segment)):
        context = ids[segment[step], : position[step] + 1][None]
        alone = backbone.logits(backbone.states(context, torch.zeros(1, dtype=torch.int64), position[step, None]))
        torch.testing.assert_close(together[step], alone[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(together, backbone.logits(backbone(ids)[segment, position]), atol=1e-5, rtol=0)

    order = torch.as_tensor(rng.permutation(len(segment)))
    mixed = backbone.logits(backbone.states(ids, segment[order], position[order]))
    torch.testing.assert_close(mixed, together[order], atol=1e-5, rtol=0)
    padded = torch.nn.functional.pad(ids, (0, 13), value=77)
    torch.testing.assert_close(backbone.logits(backbone.states(padded, segment, position)), together, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", SMALL_BACKBONES)
def test_a_step_depends_on_all_of_its_context_and_on_nothing_after_it(name: str) -> None:
    backbone, rng = load(name), np.random.default_rng(2)
    ids, at, one = torch.as_tensor(rng.integers(8, VOCABULARY, size=(1, 20))), torch.tensor([11]), torch.zeros(1).long()
    here = backbone.states(ids, one, at)
    for place in range(20):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] + 100) % 1000 + 8
        difference = float((backbone.states(changed, one, at) - here).abs().max())
        if place > 11:
            assert difference < 1e-6, f"it looks ahead to {place}"
        else:
            assert difference > 1e-6, f"it does not see {place}"


@pytest.mark.parametrize("name", SMALL_BACKBONES)
def test_gradients_of_a_step_do_not_depend_on_the_batch(name: str) -> None:
    backbone, rng = load(name), np.random.default_rng(3)
    ids, segment, position = steps(rng, 3, 20)
    weights = torch.as_tensor(rng.normal(size=(len(segment), backbone.hidden_size)), dtype=torch.float32)

    def gradients(loss: torch.Tensor) -> dict[str, torch.Tensor]:
        backbone.zero_grad()
        loss.backward()
        return {n: p.grad.clone() for n, p in backbone.named_parameters() if p.grad is not None}

    together = gradients((backbone.states(ids, segment, position) * weights).sum())
    apart = gradients(
        sum(
            (backbone.states(ids[s, : p + 1][None], torch.zeros(1).long(), p[None]) * w).sum()
            for s, p, w in zip(segment, position, weights, strict=True)
        )  # type: ignore[arg-type]
    )
    assert together.keys() == apart.keys() and together
    for parameter in together:
        torch.testing.assert_close(together[parameter], apart[parameter], atol=1e-4, rtol=1e-4)


def test_a_large_batch_is_read_in_pieces_with_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, rng = load("bert"), np.random.default_rng(4)
    ids, segment, position = steps(rng, 4, 30)
    results = []
    for tokens in (1 << 20, 64):
        monkeypatch.setattr("agents.backbones.masked._CHUNK", tokens)
        backbone.zero_grad()
        backbone.states(ids, segment, position).square().sum().backward()
        results.append([p.grad.clone() for p in backbone.parameters() if p.grad is not None])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("name", ["roberta", "albert", "electra", "distilbert", "mpnet", "deberta-v2", "bert"])
def test_masked_logits_are_those_of_the_whole_model_at_the_mask(name: str) -> None:
    backbone = load(name)
    ids = torch.randint(8, VOCABULARY, (1, 10))
    row = torch.cat([ids, torch.tensor([[backbone.own_ids[0]]])], dim=1)
    ours = backbone.logits(backbone.states(ids, torch.zeros(1).long(), torch.tensor([9])))[0]
    torch.testing.assert_close(ours, backbone.model(input_ids=row).logits[0, -1], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet"])
def test_a_context_of_the_greatest_length_is_read(name: str) -> None:
    backbone = load(name)
    assert backbone.max_length is not None
    ids, none = torch.full((1, backbone.max_length), 9), torch.zeros(1).long()
    backbone.states(ids, none, torch.tensor([backbone.max_length - 1]))
    with pytest.raises((IndexError, RuntimeError)):
        backbone.states(torch.full((1, backbone.max_length + 1), 9), none, torch.tensor([backbone.max_length]))


@torch.no_grad()
def test_xlnet_states_are_the_query_stream_of_its_own_way_to_predict() -> None:
    backbone = load("xlnet")
    ids = torch.randint(8, VOCABULARY, (1, 6))
    row = torch.cat([ids, torch.tensor([[5]])], dim=1)
    hides = torch.ones(1, 7, 7).triu()
    target = torch.zeros(1, 1, 7)
    target[0, 0, 6] = 1.0
    whole = backbone.model(input_ids=row, perm_mask=hides, target_mapping=target).logits[0, 0]
    ours = backbone.logits(backbone.states(ids, torch.zeros(1).long(), torch.tensor([5])))[0]
    torch.testing.assert_close(ours, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["bert", "xlnet", "gru"])
def test_rows_of_a_cache_that_grow_restart_slide_and_stay_equal_full_reading(name: str) -> None:
    backbone, rng, rows = load(name), np.random.default_rng(1), 5
    cache = backbone.new_cache(rows, WINDOW)
    ids, lengths = torch.zeros(rows, WINDOW, dtype=torch.int64), torch.zeros(rows, dtype=torch.int64)
    for turn in range(50):
        for row in range(rows):
            event = rng.choice(["grow", "restart", "slide", "shrink", "stay"], p=[0.5, 0.1, 0.1, 0.1, 0.2])
            length, new = int(lengths[row]), int(rng.integers(1, 9))
            if event == "stay" and length:
                continue
            if event == "shrink" and length > 3:
                lengths[row] = length - 2
                ids[row, length - 2 :] = 0
                continue
            if event == "slide" and length > 6:
                kept = torch.cat([ids[row, :3], ids[row, 5:length]])
                ids[row] = 0
                ids[row, : len(kept)] = kept
                length, new = len(kept), 1
            elif event == "restart" or length == 0 or length + new > WINDOW:
                ids[row] = 0
                length = 0
            ids[row, length : length + new] = torch.as_tensor(rng.integers(1, VOCABULARY, size=new))
            lengths[row] = length + new
        if turn == 25:
            with torch.no_grad():
                next(backbone.parameters()).mul_(1.1)  # changed weights empty it
        with torch.no_grad():
            full = backbone.states(ids, torch.arange(rows), lengths - 1)
        torch.testing.assert_close(cache.last_hidden(ids, lengths), full, atol=1e-5, rtol=0)


def test_a_frozen_encoder_remembers_what_it_read() -> None:
    frozen: Any = load("bert", frozen=True)
    read: list[int] = []
    frozen.model.base_model.register_forward_hook(
        lambda module, inputs, keywords, output: read.append(len(keywords["input_ids"])), with_kwargs=True
    )
    ids, segment, position = steps(np.random.default_rng(5), 4, 20)
    first = frozen.states(ids, segment[:15], position[:15])
    both = frozen.states(ids, segment, position)
    torch.testing.assert_close(both, load("bert").states(ids, segment, position), atol=1e-5, rtol=0)
    torch.testing.assert_close(both[:15], first, atol=0, rtol=0)
    assert not both.requires_grad and sum(read) == len({*zip(segment.tolist(), position.tolist(), strict=True)})
    with torch.no_grad():
        next(frozen.parameters()).mul_(1.5)
    assert (frozen.states(ids, segment, position) - both).abs().max() > 1e-3, "other weights are another model"


def test_what_did_not_change_is_not_read_again() -> None:
    ids = torch.randint(8, VOCABULARY, (3, 30))
    read: list[int] = []
    bert: Any = load("bert")
    bert.model.base_model.register_forward_hook(
        lambda module, inputs, keywords, output: read.append(len(keywords["input_ids"])), with_kwargs=True
    )
    cache = bert.new_cache(3, 30)
    cache.last_hidden(ids, torch.tensor([20, 10, 29]))
    cache.last_hidden(ids, torch.tensor([20, 11, 29]))
    cache.last_hidden(ids, torch.tensor([20, 11, 29]))
    assert read == [3, 1]

    gru: Any = load("gru")
    gru.model.embeddings.register_forward_hook(lambda module, inputs, output: read.append(inputs[0].numel()))
    read.clear()
    cache = gru.new_cache(3, 30)
    cache.last_hidden(ids, torch.tensor([20, 10, 29]))
    cache.last_hidden(ids, torch.tensor([21, 10, 30]))
    assert read == [3 * 29, 2]
