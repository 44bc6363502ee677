"""Causal language-model pretraining on transcripts of imperfect players: how the shipped ``tiny`` model is made.

``python -m agents.learners.pretrain`` re-creates it. The players err often, so the model learns to speak the games'
language and to repeat values from its context, but not to play well: that is left to reinforcement learning.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import textenvs
from agents.backbones import CausalBackbone, load_backbone
from agents.backbones.loading import TINY, model_path
from agents.memory.packed import pad_sequences
from agents.players.imperfect import ImperfectPlayer
from textenvs.tokens.spaces import TokenSpace
from textenvs.tokens.tokenizer import Tokenizer

TINY_CONFIG: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 320,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}


def transcripts(
    env_id: str, tokens: int, error: float, seed: int, split: str = "train", num_envs: int = 64, **env_kwargs: Any
) -> list[np.ndarray]:
    """About ``tokens`` token ids of episodes, each ``(length,)`` int64, played by an expert who errs with
    probability ``error``.

    An error is a uniformly drawn admissible utterance. The last reply is included; of an episode longer than the
    window the opening and the end are there.
    """
    player = ImperfectPlayer(error=error, seed=seed)
    rows: list[Any] = [gym.make(env_id, split=split, **env_kwargs).unwrapped for _ in range(num_envs)]
    space = rows[0].observation_space
    assert isinstance(space, TokenSpace)
    observations = [row.reset(seed=seed + index)[0] for index, row in enumerate(rows)]
    found: list[np.ndarray] = []
    while tokens > 0:
        actions = player.act(rows, np.stack(observations))
        for index, (row, action) in enumerate(zip(rows, actions, strict=True)):
            observation, _, terminated, truncated, _ = row.step(action)
            if terminated or truncated:
                found.append(observation[observation != space.pad_id].astype(np.int64))
                tokens -= len(found[-1])
                observation, _ = row.reset()
            observations[index] = observation
    return found


def spoken(ids: Tensor, tokenizer: Tokenizer) -> Tensor:
    """Which of ``ids`` ``(batch, tokens)`` the agent wrote, end tokens included, as bool of that shape."""
    opened = (ids == tokenizer.agent_prefix[-1]).long()
    closed = (ids == tokenizer.end_id).long()
    before = (opened.cumsum(dim=1) - opened) - (closed.cumsum(dim=1) - closed)
    return (before > 0) & (ids != tokenizer.pad_id)


def token_loss(backbone: CausalBackbone, ids: Tensor, tokenizer: Tokenizer, context_share: float) -> Tensor:
    """Mean negative log-likelihood in nats of ``ids`` ``(batch, tokens)``, each token given those before it.

    Of what the environment says a random ``context_share`` counts: most of it is chance, and what reinforcement
    learning needs from pretraining is to speak and to copy.
    """
    targets = ids[:, 1:]
    heard = (targets != tokenizer.pad_id) & (torch.rand(targets.shape) < context_share)
    counted = spoken(ids, tokenizer)[:, 1:] | heard
    hidden = backbone(ids[:, :-1])[counted]  # (counted tokens, hidden)
    return functional.cross_entropy(backbone.logits(hidden), targets[counted])


def batches(sequences: Sequence[np.ndarray], tokens: int, rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
    """Endless batches of about ``tokens`` tokens, of sequences of like length to waste little padding."""
    lengths = np.array([len(sequence) for sequence in sequences])
    while True:
        order = np.argsort(lengths + rng.uniform(0, 8, size=len(lengths)))
        cuts = np.flatnonzero(np.diff(np.cumsum(lengths[order]) // tokens)) + 1
        pieces = np.split(order, cuts)
        for index in rng.permutation(len(pieces)):
            yield [sequences[i] for i in pieces[index]]


def agent_accuracy(backbone: CausalBackbone, sequences: Sequence[np.ndarray], env_id: str, **env_kwargs: Any) -> float:
    """Share of the agent's own tokens that are the model's first choice: on expert transcripts this measures whether
    it can copy values from its context, which reinforcement learning builds on."""
    tokenizer = gym.make(env_id, **env_kwargs).unwrapped.tokenizer  # type: ignore[attr-defined]
    right = total = 0
    for start in range(0, len(sequences), 32):
        ids = pad_sequences(list(sequences[start : start + 32]), tokenizer.pad_id, "cpu")
        own = spoken(ids, tokenizer)[:, 1:]
        with torch.no_grad():
            hidden = backbone(ids[:, :-1])[own]
            right += int((backbone.logits(hidden).argmax(dim=1) == ids[:, 1:][own]).sum())
        total += int(own.sum())
    return right / max(total, 1)


def pretrain(
    backbone: CausalBackbone,
    sequences: Sequence[np.ndarray],
    tokenizer: Tokenizer,
    updates: int,
    tokens: int = 2048,
    learning_rate: float = 2e-3,
    context_share: float = 0.1,
    warmup: int = 100,
    seed: int = 0,
    report: Callable[[int, float], None] | None = None,
) -> CausalBackbone:
    """Train ``backbone`` on next-token prediction; AdamW, linear warm-up, cosine decay to a tenth.

    Args:
        sequences: id arrays, each ``(tokens,)``.
        updates: number of optimizer steps of about ``tokens`` tokens each.
        report: called with the update's number and its loss in nats.
    """
    optimizer = torch.optim.AdamW(backbone.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.05)
    stream = batches(sequences, tokens, np.random.default_rng(seed))
    for update in range(updates):
        progress = update / updates
        rate = min(1.0, (update + 1) / warmup) * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * rate
        ids = pad_sequences(next(stream), tokenizer.pad_id, "cpu")
        loss = token_loss(backbone, ids, tokenizer, context_share)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(backbone.parameters(), 1.0)
        optimizer.step()
        if report is not None:
            report(update, loss.item())
    return backbone


def main() -> None:
    """Make the shipped model: play, train, measure, save."""
    from transformers import LlamaConfig, LlamaForCausalLM

    parser = argparse.ArgumentParser(prog="python -m agents.learners.pretrain", description=__doc__)
    parser.add_argument("--out", default=model_path(TINY), help="folder to write (default: the shipped model's)")
    parser.add_argument("--start", default=None, help="folder of a model to go on with (default: random weights)")
    parser.add_argument("--ids", nargs="*", default=None, help="environment ids (default: all registered)")
    parser.add_argument(
        "--transcripts",
        type=int,
        nargs="+",
        default=[300_000],
        help="tokens of transcripts a level, or one for each id",
    )
    parser.add_argument("--error", type=float, default=0.8, help="share of random admissible utterances")
    parser.add_argument("--updates", type=int, default=8000)
    parser.add_argument("--tokens", type=int, default=2048, help="tokens per update")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    tokenizer = textenvs.load_tokenizer("textenvs")
    sequences: list[np.ndarray] = []
    ids = options.ids or textenvs.ids()
    sizes = options.transcripts * len(ids) if len(options.transcripts) == 1 else options.transcripts
    for env_id, size in zip(ids, sizes, strict=True):
        for level in gym.make(env_id).unwrapped.game.levels:  # type: ignore[attr-defined]
            sequences += transcripts(env_id, size, options.error, options.seed, level=level)
        print(f"{env_id}: {len(sequences):,} episodes, {sum(map(len, sequences)):,} tokens so far", flush=True)

    config = LlamaConfig(
        vocab_size=tokenizer.vocab_size, pad_token_id=0, bos_token_id=1, eos_token_id=tokenizer.end_id, **TINY_CONFIG
    )
    backbone = load_backbone(options.start) if options.start else CausalBackbone(LlamaForCausalLM(config))
    print(f"{sum(p.numel() for p in backbone.parameters()):,} weights", flush=True)

    def write() -> None:
        copy.deepcopy(backbone.model).to(torch.float16).save_pretrained(Path(options.out))

    def report(update: int, loss: float) -> None:
        if update % 500 == 499:
            write()
        if update % 100 == 0 or update == options.updates - 1:
            print(f"update {update:5d}  loss {loss:.3f}", flush=True)

    pretrain(backbone, sequences, tokenizer, options.updates, options.tokens, options.learning_rate, report=report)
    for env_id in ids:
        held_out = transcripts(env_id, 20_000, 0.0, options.seed + 1, split="test")
        print(f"{env_id}: agent-token accuracy on expert play {agent_accuracy(backbone, held_out, env_id):.3f}")
    write()


if __name__ == "__main__":
    main()
