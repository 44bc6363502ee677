"""One GRPO update against that of TRL: the same model, prompts, groups, numbers of tokens and reward.

The game is one turn: read a prompt, write 32 words, get the share of them that end with 7. On both sides an update is
generation, reward and one gradient step, with AdamW, no divergence term and nothing logged.
"""

from __future__ import annotations

import copy
import os
import statistics
import tempfile
import warnings
from typing import Any

import numpy as np

from benchmarks.speed_measure import CLOCKS, Comparison, compare
from textenvs.game import Game, Turn

_WORDS = 1024
_SPECIAL = ("<pad>", "<bos>", "<end>", "<agent>")
_PROMPT = 60
_NEW = 32
_ID = "BenchmarkSevens-v0"


def reward_of(text: str) -> float:
    """The share of the words that end with 7."""
    words = text.split()
    return sum(word.endswith("7") for word in words) / max(len(words), 1)


class Sevens(Game):
    """A prompt of random words, one utterance, and a reward for its words."""

    max_turns = 1

    def __init__(self, words: int = _PROMPT - 2) -> None:
        self.words = words

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the prompt."""
        return prompt(rng, self.words)

    def step(self, action: str) -> Turn:
        """Judge the utterance."""
        return Turn("", reward_of(action), True)


def prompt(rng: np.random.Generator, words: int) -> str:
    """Random words of the vocabulary."""
    return " ".join(f"w{number}" for number in rng.integers(_WORDS - len(_SPECIAL), size=words))


def word_tokenizer() -> Any:
    """A ``transformers`` tokenizer of 1,024 words, one token each."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [*_SPECIAL, *(f"w{number}" for number in range(_WORDS - len(_SPECIAL)))]
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="w0"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<end>",
        chat_template="{{ '<bos>' }}{% for message in messages %}{% if message['role'] == 'assistant' %}"
        "{{ ' <agent> ' + message['content'] + ' <end> ' }}{% else %}{{ ' ' + message['content'] + ' ' }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}{{ ' <agent> ' }}{% endif %}",
    )


def small_llama() -> Any:
    """A random Llama: hidden size 128, 2 layers, 1,024 words."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=_WORDS,
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config)


def smollm2(path: str) -> Any:
    """The model in a ``.gguf`` file."""
    from agents.backbones import load_backbone

    return load_backbone(path).model


def compare_groups(
    group: int,
    repeats: int,
    clock: str = "wall",
    model: Any = None,
    name: str = "small Llama",
    goal: float = 2.0,
    dtype: str = "float32",
) -> Comparison:
    """Measure updates of one group of ``group`` episodes in ``dtype`` on both sides; needs ``trl``.

    Raises:
        ImportError: there is no ``trl`` here.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import trl  # noqa: F401
    except ImportError as error:
        raise ImportError("this comparison needs the package trl: pip install trl") from error
    model = model if model is not None else small_llama()
    tokenizer = word_tokenizer()
    ours = _Ours(copy.deepcopy(model), tokenizer, group, dtype)
    now = CLOCKS[clock]
    taken: dict[str, list[float]] = {"TRL": [], "textenvs": []}
    counts: list[tuple[int, int]] = []
    warm_up = 2

    def between(seconds: float, tokens: int) -> None:
        """After each update of TRL: one of ours."""
        nonlocal warm_up
        start = now()
        own = ours.update()
        own_seconds = now() - start
        if warm_up:
            warm_up -= 1
            return
        taken["TRL"].append(seconds)
        taken["textenvs"].append(own_seconds)
        counts.append((tokens, own))

    _run_trl(model, tokenizer, group, repeats + 2, dtype, now, between)
    # An utterance may end early by chance: what counts is the time for a token generated and learned from.
    per_token = {
        side: [seconds / tokens[which] for seconds, tokens in zip(taken[side], counts, strict=True)]
        for which, side in enumerate(taken)
    }
    tokens = statistics.median(own for _, own in counts)
    title = f"GRPO update, {name}, prompt {_PROMPT}, {_NEW} new tokens, group of {group}"
    title += "" if dtype == "float32" else f", {dtype}"
    note = f"{tokens:.0f} tokens an update"
    return compare(per_token, "TRL", "textenvs", title, 1.0, "tokens/s", goal=goal, note=note)


class _Ours:
    """GRPO at token level on the game."""

    def __init__(self, model: Any, tokenizer: Any, group: int, dtype: str) -> None:
        from stable_baselines3.common.logger import Logger

        import agents
        import textenvs

        textenvs.register_game(_ID, Sevens)
        self.model: Any = agents.make(
            "grpo",
            _ID,
            backbone=model,
            num_envs=group,
            env_kwargs={
                "action_level": "token",
                "tokenizer": tokenizer,
                "window": _PROMPT + _NEW + 4,
                "max_utterance_tokens": _NEW,
            },
            group_size=group,
            n_starts=1,
            n_epochs=1,
            advantage="normalized",
            learning_rate=1e-5,
            policy_kwargs={"dtype": dtype},
        )
        self.model.set_logger(Logger(None, []))  # otherwise each `learn` of one update would make one

    def update(self) -> int:
        """One update; the number of tokens generated."""
        before = self.model.num_timesteps
        self.model.learn(1, reset_num_timesteps=False)
        return int(self.model.num_timesteps - before)


def _run_trl(model: Any, tokenizer: Any, group: int, updates: int, dtype: str, now: Any, between: Any) -> None:
    """Let TRL's trainer make ``updates``, and call ``between(seconds, tokens)`` after each."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    rng = np.random.default_rng(0)
    prompts = Dataset.from_list([{"prompt": prompt(rng, _PROMPT)} for _ in range(updates)])
    generated: list[int] = []

    def judge(completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        generated.append(sum(map(len, completion_ids)))
        return [reward_of(text) for text in completions]

    class Marks(TrainerCallback):
        """Times whole updates."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.start = now()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            between(now() - self.start, generated[-1])
            self.start = now()

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=group,
            num_generations=group,
            max_completion_length=_NEW,
            max_steps=updates,
            learning_rate=1e-5,
            lr_scheduler_type="constant",
            beta=0.0,
            bf16=dtype == "bfloat16",
            gradient_checkpointing=False,
            report_to=[],
            logging_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = GRPOTrainer(
            model=model, reward_funcs=judge, args=settings, train_dataset=prompts, processing_class=tokenizer
        )
        trainer.add_callback(Marks())
        trainer.train()
