"""Value learners come near the optimum of a small game, from random weights: ``pytest -m slow -s`` prints by how much.

The game is TextGuessNumber-v0 at level easy: bisection is optimal and returns 0.84 on average, random guesses 0.24.
"""

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import agents
import textenvs
from agents.players import ExpertPlayer, PolicyPlayer

ID = "TextGuessNumber-v0"
CHOICE = {"level": "easy", "action_level": "choice", "window": 160, "max_utterance_tokens": 4, "tokenizer": "textenvs"}
OFF_POLICY = {
    "learning_rate": 1e-3,
    "batch_size": 64,
    "learning_starts": 200,
    "train_freq": 1,
    "gradient_steps": 1,
    "replay_buffer_kwargs": {"per_sequence": 4},
}
VALUE = {**OFF_POLICY, "target_update_interval": 500, "policy_kwargs": {"epsilon": (1.0, 0.05, 3000)}}

# settings and environment steps
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "dqn": (VALUE, 12_000),
    "ddqn": ({**VALUE, "prioritized": False}, 12_000),
    "qrdqn": (VALUE, 12_000),
    "sac_discrete": ({**OFF_POLICY, "tau": 0.02}, 12_000),
    "ilql": ({**OFF_POLICY, "tau": 0.02}, 12_000),
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a two-layer Llama with random weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=textenvs.load_tokenizer("textenvs").vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    folder = Path(tmp_path_factory.mktemp("reader"))
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("learner", CASES)
def test_it_comes_near_the_optimum(reader: str, learner: str, seed: int) -> None:
    settings, steps = CASES[learner]
    began = time.process_time()
    model = agents.make(learner, ID, reader, seed=seed, env_kwargs=CHOICE, **settings)
    model.learn(steps)
    seconds = time.process_time() - began
    found, optimum = (
        agents.evaluate(player, ID, 200, split="train", level="easy").returns.mean()
        for player in (PolicyPlayer(model), ExpertPlayer())
    )
    print(f"{learner}, seed {seed}: return {found:.3f}, optimum {optimum:.3f}, {seconds:.0f} s of processor time")
    assert found >= 0.9 * optimum
