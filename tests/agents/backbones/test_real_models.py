"""Real pretrained models load, act, learn and are exported. Slow; the models come from ``benchmarks.models``."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

import agents
from agents.backbones import load_backbone
from agents.learners.table import tokenizer_of
from benchmarks.models import real_model

pytestmark = pytest.mark.slow
SMALL = {"window": 160, "max_utterance_tokens": 8}


@pytest.fixture(scope="module")
def smollm2() -> str:
    pytest.importorskip("gguf")
    return _found("smollm2")


@pytest.fixture(scope="module")
def minilm() -> str:
    return _found("minilm")


def _found(name: str) -> str:
    try:
        return str(real_model(name))
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_smollm2_answers_a_question(smollm2: str) -> None:
    backbone, tokenizer = load_backbone(smollm2), tokenizer_of(smollm2)
    assert backbone.kind == "causal" and backbone.max_length == 8192
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=False)
    cache, start = backbone.new_cache(1, 64), ids.shape[1]
    for _ in range(8):
        hidden = cache.last_hidden(ids, torch.tensor([ids.shape[1]]))
        ids = torch.cat([ids, backbone.logits(hidden).argmax(dim=1)[None]], dim=1)
    assert "Paris" in tokenizer.decode(ids[0, start:])


def test_smollm2_learns_with_adapters_and_is_exported_merged(smollm2: str, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    model: Any = agents.make(
        "ppo",
        "TextGuessNumber-v0",
        smollm2,
        num_envs=2,
        env_kwargs={**SMALL, "level": "easy"},
        n_steps=16,
        batch_size=16,
        learning_rate=1e-3,
        policy_kwargs={"lora": {"r": 4}},
    )
    before = {name: weight.clone() for name, weight in model.policy.named_parameters()}
    model.learn(64)
    changed = {n for n, weight in model.policy.named_parameters() if not torch.equal(weight, before[n])}
    assert {n for n in changed if "backbone" in n} == {n for n in before if "lora_" in n}
    agents.save(model, tmp_path / "a.pt")
    agents.export(model, tmp_path / "out")
    ids = torch.randint(100, 40_000, (2, 12))
    ours = model.policy.reader.backbone
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    again: Any = agents.load(tmp_path / "a.pt")
    with torch.no_grad():
        logits = ours.logits(ours(ids))
        torch.testing.assert_close(plain(ids).logits, logits, atol=1e-2, rtol=1e-3)
        loaded = again.policy.reader.backbone
        torch.testing.assert_close(loaded.logits(loaded(ids)), logits, atol=1e-4, rtol=1e-4)
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template


@pytest.mark.parametrize("way", [{"frozen": True}, {}, {"lora": {"r": 4}}], ids=["frozen", "whole", "lora"])
def test_minilm_is_a_q_network(minilm: str, way: dict[str, Any], tmp_path: Path) -> None:
    model: Any = agents.make(
        "dqn",
        "TextClassification-v0",
        minilm,
        num_envs=4,
        env_kwargs={**SMALL, "level": "easy"},
        learning_starts=16,
        batch_size=8,
        buffer_size=200,
        policy_kwargs=way,
    )
    backbone = model.policy.q_net.reader.backbone
    assert backbone.kind == "masked" and backbone.hidden_size == 384
    before = {name: weight.clone() for name, weight in model.policy.q_net.named_parameters()}
    observation = model.get_env().reset()
    values = model.policy.q_net(torch.as_tensor(observation))
    assert values.shape == (4, 3) and values.isfinite().all()
    model.learn(64)
    learned = {n for n, weight in model.policy.q_net.named_parameters() if not torch.equal(weight, before[n])}
    inside = {n for n in learned if "backbone" in n}
    assert {"reader.query.weight", "reader.key.weight", "value.weight"} <= learned
    if "frozen" in way:
        assert not inside
    elif "lora" in way:
        assert inside and all("lora_" in n for n in inside)
    else:
        assert len(inside) > 50

    agents.export(model, tmp_path / "out")
    again = load_backbone(tmp_path / "out")
    ids, rows = torch.randint(1000, 20_000, (3, 12)), torch.arange(3)
    with torch.no_grad():
        expected = backbone.states(ids, rows, torch.full((3,), 11))
        torch.testing.assert_close(again.states(ids, rows, torch.full((3,), 11)), expected, atol=1e-4, rtol=1e-4)
    assert type(AutoModelForMaskedLM.from_pretrained(tmp_path / "out")) is type(backbone.model)


def test_minilm_states_tell_sentences_apart(minilm: str) -> None:
    backbone, tokenizer = load_backbone(minilm), AutoTokenizer.from_pretrained(minilm)
    sentences = ["A man is eating food.", "Someone has a meal.", "The stock market fell sharply today."]
    states = []
    for sentence in sentences:
        ids = torch.tensor([tokenizer(sentence)["input_ids"]])
        with torch.no_grad():
            states.append(backbone.states(ids, torch.zeros(1).long(), torch.tensor([ids.shape[1] - 1]))[0])
    near, far = (float(torch.cosine_similarity(states[0], other, dim=0)) for other in states[1:])
    assert near > far + 0.3
