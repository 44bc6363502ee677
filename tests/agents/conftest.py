"""Small random models that speak the shipped tokenizer's vocabulary."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from transformers import LlamaConfig, LlamaForCausalLM

import textenvs
from agents.learners.episodic import EpisodicAlgorithm
from agents.learners.table import LEARNERS

SMALL_BACKBONES: dict[str, dict[str, Any]] = {
    "gpt2": {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2},
    "bert": {
        "model_type": "bert",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
    "xlnet": {"model_type": "xlnet", "d_model": 32, "d_inner": 64, "n_layer": 2, "n_head": 2},
    "gru": {"model_type": "gru", "hidden_size": 32, "num_hidden_layers": 2},
}  # one of each kind, with random weights, for the shipped tokenizer


def small_settings(learner: str) -> dict[str, Any]:
    """Keywords with which any learner of the table updates its model within a hundred steps."""
    algorithm = LEARNERS[learner].algorithm
    if issubclass(algorithm, EpisodicAlgorithm):
        return {"n_starts": 2, "group_size": 2, "ent_coef": 0.01}  # equal returns alone teach nothing
    if issubclass(algorithm, OffPolicyAlgorithm):
        return {"learning_starts": 16, "batch_size": 8, "buffer_size": 200}
    batches = "batch_size" in inspect.signature(algorithm.__init__).parameters  # type: ignore[misc]
    return {"n_steps": 16, **({"batch_size": 16} if batches else {})}


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a one-layer Llama with random weights."""
    torch.manual_seed(0)
    tokenizer = textenvs.load_tokenizer("textenvs")
    config = LlamaConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    folder = Path(tmp_path_factory.mktemp("model"))
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)
