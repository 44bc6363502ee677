"""The row-wise cache gives what a full forward pass gives, whatever happens to the rows."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from agents.backbones import CausalBackbone

WINDOW = 48
VOCABULARY = 50


def backbone(kind: str) -> CausalBackbone:
    torch.manual_seed(0)
    if kind == "gpt2":
        config = GPT2Config(vocab_size=VOCABULARY, n_positions=WINDOW, n_embd=32, n_layer=2, n_head=2)
        return CausalBackbone(GPT2LMHeadModel(config))
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation="eager" if kind == "llama-eager" else "sdpa",
    )
    return CausalBackbone(LlamaForCausalLM(config))


def plain(model: CausalBackbone, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(ids)[torch.arange(len(ids)), lengths - 1]


@pytest.mark.parametrize("kind", ["gpt2", "llama", "llama-static", "llama-eager"])
def test_rows_that_grow_restart_slide_and_stay_equal_full_recomputation(kind: str) -> None:
    model = backbone(kind)
    rows, rng = 5, np.random.default_rng(1)
    cache = model.new_cache(rows, WINDOW)
    cache.static = kind == "llama-static"
    ids = torch.zeros(rows, WINDOW, dtype=torch.int64)
    lengths = torch.zeros(rows, dtype=torch.int64)
    for _ in range(60):
        for row in range(rows):
            event = rng.choice(["grow", "restart", "slide", "stay"], p=[0.7, 0.1, 0.1, 0.1])
            new = int(rng.integers(1, 25))
            length = int(lengths[row])
            if event == "restart" or length == 0 or length + new > WINDOW:
                ids[row] = 0
                length, new = 0, int(rng.integers(1, WINDOW))
            elif event == "slide" and length > 6:
                kept = torch.cat([ids[row, :3], ids[row, 5:length]])
                ids[row] = 0
                ids[row, : len(kept)] = kept
                length, new = len(kept), 1
            elif event == "stay":
                continue
            ids[row, length : length + new] = torch.as_tensor(rng.integers(1, VOCABULARY, size=new))
            lengths[row] = length + new
        torch.testing.assert_close(cache.last_hidden(ids, lengths), plain(model, ids, lengths), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_what_was_handed_out_stays_when_some_rows_go_on(kind: str) -> None:
    cache = backbone(kind).new_cache(3, WINDOW)
    ids, lengths = torch.randint(VOCABULARY, (3, WINDOW)), torch.tensor([4, 5, 6])
    first = cache.last_hidden(ids, lengths)
    kept = first.clone()
    second = cache.last_hidden(ids, lengths + torch.tensor([0, 1, 0]))
    assert torch.equal(first, kept)
    assert torch.equal(second != kept, torch.tensor([[False], [True], [False]]).expand_as(kept))


def test_changed_weights_empty_the_cache() -> None:
    model = backbone("llama")
    ids = torch.randint(1, VOCABULARY, (2, 10))
    lengths = torch.tensor([10, 7])
    cache = model.new_cache(2, WINDOW)
    before = cache.last_hidden(ids, lengths)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model(ids).square().sum().backward()
    optimizer.step()
    after = cache.last_hidden(ids, lengths)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, plain(model, ids, lengths), atol=1e-5, rtol=0)


def counted(model: Any) -> list[int]:
    """How many tokens go through the layers, a number for each pass from now on."""
    computed: list[int] = []
    forward = model.decoder.generate
    model.decoder.generate = lambda tokens, *rest: computed.append(len(tokens)) or forward(tokens, *rest)
    return computed


def test_only_new_tokens_are_computed() -> None:
    model = backbone("llama")
    cache = model.new_cache(3, WINDOW)
    computed = counted(model)
    ids = torch.randint(1, VOCABULARY, (3, 30))
    cache.last_hidden(ids, torch.tensor([20, 10, 29]))
    cache.last_hidden(ids, torch.tensor([21, 11, 30]))
    ids[1, 11] = 7
    cache.last_hidden(ids, torch.tensor([21, 12, 30]))
    assert computed == [20 + 10 + 29, 3, 1]


def test_rows_that_begin_alike_are_filled_once() -> None:
    model = backbone("llama")
    cache = model.new_cache(6, WINDOW)
    computed = counted(model)
    ids = torch.randint(1, VOCABULARY, (6, 40))
    ids[:4] = ids[0]  # a group
    ids[5, :25] = ids[4, :25]
    lengths = torch.tensor([40, 40, 40, 40, 38, 36])
    torch.testing.assert_close(cache.last_hidden(ids, lengths), plain(model, ids, lengths), atol=1e-5, rtol=0)
    assert computed == [40 + 3 + 38 + 36 - 25]


def test_rows_that_share_a_whole_window_are_filled_once() -> None:
    model = backbone("llama")
    cache = model.new_cache(2, WINDOW)
    ids, lengths = torch.randint(1, VOCABULARY, (1, WINDOW)).repeat(2, 1), torch.tensor([WINDOW, WINDOW])
    torch.testing.assert_close(cache.last_hidden(ids, lengths), plain(model, ids, lengths), atol=1e-5, rtol=0)


def test_weights_that_an_optimizer_changes_unseen_are_read_anew_after_being_told() -> None:
    model = backbone("llama")
    cache = model.new_cache(2, WINDOW)
    ids, lengths = torch.randint(1, VOCABULARY, (2, 10)), torch.tensor([10, 7])
    cache.last_hidden(ids, lengths)
    for parameter in model.parameters():
        parameter.data.mul_(1.5)  # does not count as a change
    cache.lengths.zero_()
    torch.testing.assert_close(cache.last_hidden(ids, lengths), plain(model, ids, lengths), atol=1e-5, rtol=0)
