"""Causal models of other families: what they keep is cached by rows where that is exact, and else read anew."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

import agents
from agents.backbones import Backbone, CausalBackbone, load_backbone
from agents.memory.cache import ContextCache, RowCache

WINDOW, NEAR = 40, 8
SIZES = {"vocab_size": 512, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "pad_token_id": 0}
LLAMA = {**SIZES, "intermediate_size": 64, "num_key_value_heads": 2}
BOTH = ["sliding_attention", "full_attention"]
CACHED: dict[str, dict[str, Any]] = {
    "opt": {**SIZES, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "gpt_neox": {**SIZES, "intermediate_size": 64},
    "bert": {**SIZES, "intermediate_size": 64, "is_decoder": True},
    "phi": LLAMA,
    "mixtral": {**LLAMA, "num_local_experts": 2},
    "mistral": {**LLAMA, "sliding_window": NEAR},
    "qwen2": {**LLAMA, "sliding_window": NEAR, "use_sliding_window": True, "max_window_layers": 1},
    "gemma2": {**LLAMA, "head_dim": 8, "sliding_window": NEAR},
    "gemma3_text": {**LLAMA, "head_dim": 8, "sliding_window": NEAR, "layer_types": BOTH},
}
READ_ANEW: dict[str, dict[str, Any]] = {
    "bloom": {**SIZES, "n_layer": 2, "n_head": 4},  # tells places by the attention mask
    "blenderbot": {"vocab_size": 512, "d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4},  # counts them
    "gpt_neo": {
        **SIZES,
        "num_layers": 2,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 8,
    },
    "mamba": SIZES,  # has a state
}


def load(family: str, settings: dict[str, Any], **keywords: Any) -> Backbone:
    torch.manual_seed(0)
    return load_backbone(AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **settings)), **keywords)


def hold_to_plain_reading(backbone: Backbone, cache: Any) -> None:
    """Rows that grow and begin anew, through the cache and alone."""
    rng = np.random.default_rng(1)
    ids, rows = torch.as_tensor(rng.integers(1, 512, size=(3, WINDOW))), torch.arange(3)
    lengths = torch.tensor([3, 20, 11])
    for turn in range(12):
        expected = backbone.states(ids, rows, lengths - 1)
        torch.testing.assert_close(cache.last_hidden(ids, lengths), expected, atol=1e-4, rtol=0)
        lengths = (lengths + torch.as_tensor(rng.integers(0, 6, size=3))).clamp(max=WINDOW)
        if turn % 4 == 3:
            ids[turn % 3], lengths[turn % 3] = torch.as_tensor(rng.integers(1, 512, size=WINDOW)), 2


@torch.no_grad()
@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("family", CACHED)
def test_keys_and_values_are_cached_by_rows(family: str, eager: bool) -> None:
    backbone = load(family, CACHED[family])
    if eager:
        backbone.model.set_attn_implementation("eager")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache = backbone.new_cache(3, WINDOW)
    assert isinstance(cache, RowCache)
    hold_to_plain_reading(backbone, cache)


@torch.no_grad()
@pytest.mark.parametrize("family", READ_ANEW)
def test_what_cannot_be_cached_by_rows_is_read_anew_and_said(family: str) -> None:
    backbone = load(family, READ_ANEW[family])
    with pytest.warns(UserWarning, match=f"a {family} model of this configuration .* reads its context anew"):
        cache = backbone.new_cache(3, WINDOW)
    assert isinstance(cache, ContextCache)
    hold_to_plain_reading(backbone, cache)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(backbone.new_cache(2, 2 * WINDOW), ContextCache)


@pytest.mark.parametrize("family", ["opt", "phi", "gemma2"])
def test_models_in_bfloat16_are_cached_by_rows_too(family: str) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **CACHED[family]), dtype=torch.bfloat16)
    assert isinstance(load_backbone(model).new_cache(3, WINDOW), RowCache)


def test_longer_rows_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    monkeypatch.setattr(CausalBackbone, "_try_cache", lambda _, length: bool(tried.append(length) or length < WINDOW))
    backbone = load("opt", CACHED["opt"])
    kinds = [type(backbone.new_cache(2, length)) for length in (16, 12, WINDOW, 16)]
    assert kinds == [RowCache, RowCache, ContextCache, ContextCache] and tried == [16, WINDOW]


def test_what_looks_ahead_is_refused() -> None:
    backbone = load("bert-generation", {**SIZES, "intermediate_size": 64})
    with pytest.raises(
        ValueError, match=r"a bert-generation model of this configuration is not causal.*is_decoder=True"
    ):
        backbone.new_cache(2, WINDOW)


def test_a_model_with_a_state_learns() -> None:
    sizes = {"model_type": "mamba", "hidden_size": 32, "num_hidden_layers": 1}
    model = agents.make("ppo", "TextBandit-v0", backbone=sizes, num_envs=2, n_steps=8, batch_size=8)
    with pytest.warns(UserWarning, match="reads its context anew"):
        model.learn(16)
    assert model.num_timesteps == 16


@torch.no_grad()
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "opt"])
def test_weights_that_do_not_learn_are_kept_in_bfloat16(family: str, tmp_path: Path) -> None:
    settings = {"gpt2": SIZES, "llama": LLAMA, **CACHED}[family]
    exact = load(family, settings)
    exact.model.save_pretrained(tmp_path)
    ids = torch.randint(1, 512, (2, 12))
    backbone = load_backbone(tmp_path, dtype="bfloat16", frozen=True)
    assert {each.dtype for each in backbone.parameters()} == {torch.bfloat16}
    logits = backbone.logits(backbone(ids))
    assert logits.dtype == torch.float32 and 0 < (logits - exact.logits(exact(ids))).abs().max() < 0.02
    cached = backbone.new_cache(2, 16).last_hidden(ids, torch.tensor([7, 12]))
    torch.testing.assert_close(backbone.logits(cached)[1], logits[1, 11], atol=0.01, rtol=0)
    learns = load_backbone(tmp_path, dtype="bfloat16")
    assert {each.dtype for each in learns.parameters()} == {torch.float32}
