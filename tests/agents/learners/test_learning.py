"""Value learners come near the optimum of a small game: ``pytest -m slow -s`` prints by how much.

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
EASY = {"level": "easy", "window": 160, "max_utterance_tokens": 4, "tokenizer": "textenvs"}
CHOICE = {**EASY, "action_level": "choice"}
TOKEN = {**EASY, "action_level": "token"}  # the whole vocabulary: an utterance is a number and the end
OFF_POLICY = {"batch_size": 64, "train_freq": 1, "gradient_steps": 1}
FROM_SCRATCH = {
    **OFF_POLICY,
    "learning_rate": 1e-3,
    "learning_starts": 200,
    "replay_buffer_kwargs": {"per_sequence": 4},
}
SPEAKING = {
    **OFF_POLICY,
    "learning_rate": 5e-4,
    "learning_starts": 400,
    "replay_buffer_kwargs": {"per_sequence": 8, "n_steps": 6},
}
GREEDY = {"target_update_interval": 500, "policy_kwargs": {"epsilon": (1.0, 0.05, 3000)}}
SOFTMAX = {"target_update_interval": 500, "policy_kwargs": {"temperature": (0.1, 0.02, 6000)}}

FOUR = {"high": 4}  # the same with four numbers: bisection returns 0.90, random guesses 0.66

# learner, model (shipped, or random weights), environment, the game's own knobs, settings, environment steps
CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any], int]] = {
    "dqn, choice": ("dqn", "scratch", CHOICE, FOUR, {**FROM_SCRATCH, **GREEDY}, 8000),
    "ddqn, choice": ("ddqn", "scratch", CHOICE, {}, {**FROM_SCRATCH, **GREEDY, "prioritized": False}, 8000),
    "ddqn, token": ("ddqn", "tiny", TOKEN, {}, {**SPEAKING, **SOFTMAX, "prioritized": False, "dueling": False}, 6000),
    "qrdqn, choice": ("qrdqn", "scratch", CHOICE, {}, {**FROM_SCRATCH, **GREEDY}, 8000),
    "ilql, choice": ("ilql", "scratch", CHOICE, {}, {**FROM_SCRATCH, "tau": 0.02}, 4000),
    "sac_discrete, choice": (
        "sac_discrete",
        "scratch",
        CHOICE,
        FOUR,
        {**FROM_SCRATCH, "tau": 0.02, "gradient_steps": 2},
        8000,
    ),
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
@pytest.mark.parametrize("case", CASES)
def test_it_comes_near_the_optimum(reader: str, case: str, seed: int) -> None:
    learner, backbone, env_kwargs, knobs, settings, steps = CASES[case]
    began = time.process_time()
    backbone = reader if backbone == "scratch" else backbone
    model = agents.make(learner, ID, backbone, seed=seed, env_kwargs={**env_kwargs, **knobs}, **settings)
    model.learn(steps)
    seconds = time.process_time() - began
    found, optimum = (
        agents.evaluate(player, ID, 200, split="train", level="easy", **knobs).returns.mean()
        for player in (PolicyPlayer(model), ExpertPlayer())
    )
    print(f"{case}, seed {seed}: return {found:.3f}, optimum {optimum:.3f}, {seconds:.0f} s of processor time")
    assert found >= 0.9 * optimum
