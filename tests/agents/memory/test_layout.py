"""Sequences laid flat are read as they are padded, with their common beginnings read once."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from agents.backbones import CausalBackbone
from agents.backbones.decoder import Decoder
from agents.memory.layout import Layout, families

SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=8)),
}


def batch(rng: np.random.Generator, shared: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Twelve sequences, the first five and the last four of which begin alike, and steps along them."""
    ids = rng.integers(1, 60, size=(12, 70))
    ids[:5, :shared] = ids[0, :shared]
    ids[8:, : shared // 2] = ids[8, : shared // 2]
    segment = rng.integers(11, size=80)  # no step lies on the last one
    position = rng.integers(70, size=80)
    return tuple(torch.as_tensor(each) for each in (ids, segment, position))  # type: ignore[return-value]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shared", [0, 40, 69])
def test_flat_states_and_gradients_equal_padded_ones(name: str, shared: int) -> None:
    torch.manual_seed(0)
    model = MODELS[name]()
    assert Decoder.reads(model)
    backbone = CausalBackbone(model)
    ids, segment, position = batch(np.random.default_rng(shared), shared)
    weight = torch.randn(len(segment), 32)
    found = []
    for states in (backbone.states(ids, segment, position), backbone(ids)[segment, position]):
        model.zero_grad()
        (states * weight).sum().backward()
        gradients = {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}
        found.append((states.detach(), gradients))
    (flat, flat_gradients), (padded, padded_gradients) = found
    torch.testing.assert_close(flat, padded, atol=1e-5, rtol=0)
    assert flat_gradients.keys() == padded_gradients.keys()
    for name_, gradient in padded_gradients.items():
        torch.testing.assert_close(flat_gradients[name_], gradient, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_second_derivatives_equal_padded_ones(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]()
    backbone = CausalBackbone(model)
    model.set_attn_implementation("eager")
    ids, segment, position = batch(np.random.default_rng(0), 40)
    weight = torch.randn(len(segment), 32)
    weights = [each for each_name, each in model.named_parameters() if "lm_head" not in each_name]
    along = [torch.randn_like(each) for each in weights]
    found = []
    for states in (backbone.states(ids, segment, position), backbone(ids)[segment, position]):
        gradients = torch.autograd.grad((states * weight).sum(), weights, create_graph=True)
        product = sum((one * other).sum() for one, other in zip(gradients, along, strict=True))
        assert isinstance(product, torch.Tensor)
        found.append(torch.autograd.grad(product, weights, allow_unused=True, materialize_grads=True))
    for flat, padded in zip(*found, strict=True):
        torch.testing.assert_close(flat, padded, atol=1e-3 * float(padded.abs().max()) + 1e-6, rtol=1e-3)
    assert max(float(each.abs().max()) for each in found[0]) > 0


def test_common_beginnings_are_laid_once() -> None:
    ids, segment, position = batch(np.random.default_rng(0), 40)
    kin = families(ids.numpy(), np.full(12, 70))
    assert kin.shared.tolist() == [40, 20] or kin.shared.tolist() == [20, 40]
    assert len({*kin.family[:5].tolist()}) == len({*kin.family[8:].tolist()}) == 1 and (kin.family[5:8] == -1).all()
    lengths = torch.zeros(12, dtype=torch.int64).scatter_reduce(0, segment, position + 1, "amax")
    assert len(Layout(ids, segment, position).tokens) == int(lengths.sum()) - 4 * 40 - 2 * 20


def test_adapters_are_merged_for_generation() -> None:
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    model = peft.get_peft_model(
        MODELS["llama"](), peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    ).get_base_model()
    backbone = CausalBackbone(model)
    ids, lengths = torch.randint(1, 60, (3, 20)), torch.tensor([20, 11, 5])
    with torch.no_grad():
        plain = backbone(ids)[torch.arange(3), lengths - 1]
    torch.testing.assert_close(backbone.new_cache(3, 32).last_hidden(ids, lengths), plain, atol=1e-5, rtol=0)
