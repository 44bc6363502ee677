"""Names, folders, configurations and their options, and the errors of what cannot work."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    BertModel,
    LlamaConfig,
    T5Config,
    T5ForConditionalGeneration,
)

import agents
from agents.backbones import load_backbone
from tests.agents.conftest import SMALL_BACKBONES

BERT = {**SMALL_BACKBONES["bert"], "model_type": "bert"}


@pytest.mark.parametrize("name", SMALL_BACKBONES)
def test_a_saved_folder_is_the_same_model(name: str, tmp_path: Path) -> None:
    backbone = load_backbone(SMALL_BACKBONES[name])
    backbone.model.save_pretrained(tmp_path)
    again = load_backbone(tmp_path)
    assert type(again) is type(backbone) and again.own_ids == backbone.own_ids
    ids = torch.randint(8, 500, (2, 12))
    with torch.no_grad():
        torch.testing.assert_close(again.logits(again(ids)), backbone.logits(backbone(ids)), atol=0, rtol=0)


@pytest.mark.parametrize("name", SMALL_BACKBONES)
def test_frozen_adapters_and_lower_precision(name: str) -> None:
    frozen = load_backbone(SMALL_BACKBONES[name], frozen=True)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    low = load_backbone(SMALL_BACKBONES[name], dtype="bfloat16")
    ids = torch.randint(8, 500, (2, 12))
    logits = low.logits(low(ids))
    assert logits.dtype == torch.float32 and all(p.dtype == torch.float32 for p in low.parameters())
    logits.square().mean().backward()
    with torch.no_grad():
        high = load_backbone(low.model)
        exact = high.logits(high(ids))
    assert 0 < (logits - exact).abs().max() < 0.1
    if name == "gru":
        with pytest.raises(ValueError, match="no linear layers"):
            load_backbone(SMALL_BACKBONES[name], lora={"r": 2})
        return
    pytest.importorskip("peft")
    adapted = load_backbone(SMALL_BACKBONES[name], lora={"r": 2})
    learns = [n for n, p in adapted.named_parameters() if p.requires_grad]
    assert learns and all("lora_" in n for n in learns)


def test_the_gru_by_its_name_and_by_its_kind() -> None:
    assert load_backbone("gru").kind == "recurrent"
    small = load_backbone({"hidden_size": 16}, kind="recurrent")
    assert small.hidden_size == 16 and small.vocab_size == load_backbone("tiny").vocab_size
    assert load_backbone({"hidden_size": 16, "num_attention_heads": 2}, kind="masked").kind == "masked"


def test_a_sentence_encoder_gets_a_fresh_head_and_says_so(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=100, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    config.mask_token_id = 5
    encoder = BertModel(config)
    encoder.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="has no masked-language-model head"):
        backbone: Any = load_backbone(tmp_path)
    assert backbone.model.get_output_embeddings().weight is backbone.model.get_input_embeddings().weight
    ids, real = torch.randint(8, 100, (1, 9)), torch.ones(1, 9, dtype=torch.bool)
    ids[0, -1] = 5
    with torch.no_grad():  # its state is the mean over the row
        expected = encoder.eval()(input_ids=ids).last_hidden_state.mean(dim=1)
        state = backbone.states(ids[:, :-1], torch.zeros(1).long(), torch.tensor([7]))
    torch.testing.assert_close(state, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(backbone.encode(ids, real).mean(dim=1), state, atol=1e-5, rtol=0)
    backbone.model.save_pretrained(tmp_path / "again")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        again = load_backbone(tmp_path / "again")
    with torch.no_grad():
        torch.testing.assert_close(again.states(ids[:, :-1], torch.zeros(1).long(), torch.tensor([7])), state)


def test_what_cannot_be_loaded_says_why(tmp_path: Path, small_model: str) -> None:
    with pytest.raises(ValueError, match="'auto' or one of"):
        load_backbone("tiny", kind="bidirectional")
    with pytest.raises(ValueError, match="is causal, not masked"):
        load_backbone("tiny", kind="masked")
    with pytest.raises(ValueError, match="is masked, not causal"):
        load_backbone(BERT, kind="causal")
    with pytest.raises(TypeError, match="did you mean 'hidden_size'"):
        load_backbone({"model_type": "bert", "hiden_size": 8})
    with pytest.raises(ValueError, match="needs a model_type"):
        load_backbone({"hidden_size": 8})
    with pytest.raises(ValueError, match="knows no model_type"):
        load_backbone({"model_type": "abacus"})
    with pytest.raises(ValueError, match="exclude each other"):
        load_backbone(BERT, lora={"r": 2}, frozen=True)
    with pytest.raises(FileNotFoundError, match="no model"):
        load_backbone(tmp_path / "nothing")
    with pytest.raises(ValueError, match="holds no language model"):
        load_backbone(tmp_path)
    t5 = T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    with pytest.raises(ValueError, match="encoder-decoder"):
        load_backbone(T5ForConditionalGeneration(t5))
    with pytest.raises(ValueError, match="encoders that mix padding in"):
        load_backbone({"model_type": "fnet"})
    with pytest.raises(ValueError, match="its 4 heads do not divide hidden_size=33"):
        load_backbone({"model_type": "bert", "hidden_size": 33, "num_attention_heads": 4})
    load_backbone(BERT).model.save_pretrained(tmp_path / "bert")
    config = (tmp_path / "bert" / "config.json").read_text().replace('"mask_token_id": 5', '"spare": 5')
    (tmp_path / "bert" / "config.json").write_text(config)
    with pytest.raises(ValueError, match="needs its mask token"):
        load_backbone(tmp_path / "bert")
    with pytest.raises(ValueError, match="mask token 9 is a word"):
        agents.make("ppo", "TextGuessNumber-v0", {**BERT, "mask_token_id": 9})
    with pytest.raises(ValueError, match="at most 511"):
        agents.make("ppo", "TextGuessNumber-v0", {**BERT, "max_position_embeddings": 512})


def test_a_decoder_made_of_bert_stays_causal() -> None:
    config = BertConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        is_decoder=True,
    )
    assert load_backbone(BertLMHeadModel(config)).kind == "causal"


def test_models_from_scratch_have_room_for_the_default_window() -> None:
    for config in SMALL_BACKBONES.values():
        limit = load_backbone(config).max_length
        assert limit is None or limit >= 512 + 32
    assert isinstance(
        load_backbone(
            {
                "model_type": "llama",
                "hidden_size": 32,
                "num_attention_heads": 2,
                "num_hidden_layers": 1,
                "intermediate_size": 8,
            }
        ).model.config,
        LlamaConfig,
    )


def test_the_gru_is_read_by_transformers_too(tmp_path: Path) -> None:
    load_backbone("gru").model.save_pretrained(tmp_path)
    assert type(AutoModelForCausalLM.from_pretrained(tmp_path)).__name__ == "GRULanguageModel"
