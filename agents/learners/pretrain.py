"""Language-model pretraining on transcripts of imperfect players: how the shipped ``tiny`` model is made.

``python -m agents.learners.pretrain`` re-creates it; ``--kind`` and ``--config`` make other models. The players err
often, so the model learns to speak the games' language and to repeat values from its context, but not to play well:
that is left to reinforcement learning.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import textenvs
from agents.backbones import TINY, Backbone, load_backbone
from agents.backbones.loading import find_device, model_path
from agents.backbones.tokenizers import read_tokenizer, shipped_tokenizer
from agents.learners.objectives import objective, spoken
from agents.memory.packed import pad_sequences
from agents.players.imperfect import ImperfectPlayer
from textenvs.tokens.spaces import TokenSpace
from textenvs.tokens.tokenizer import Tokenizer

CONFIGS: dict[str, dict[str, Any]] = {
    "causal": {
        "model_type": "llama",
        "hidden_size": 128,
        "intermediate_size": 320,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    },
    "masked": {
        "model_type": "bert",
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "initializer_range": 0.08,  # 1 / sqrt(hidden size): the usual 0.02 is for wide models
    },
    "permutation": {
        "model_type": "xlnet",
        "d_model": 128,
        "d_inner": 512,
        "n_layer": 4,
        "n_head": 4,
        "initializer_range": 0.08,
    },
    "recurrent": {"model_type": "gru", "hidden_size": 256, "num_hidden_layers": 1},
}  # what --kind makes; causal is the shipped model

# Tokens of transcripts a level. The shipped model reads the games of the benchmark's suites most.
TRANSCRIPTS = 80_000
TRANSCRIPTS_OF = {"TextDialogue-v0": 700_000} | dict.fromkeys(
    (
        "TextArithmetic-v0",
        "TextBandit-v0",
        "TextCalculator-v0",
        "TextChessEndgame-v0",
        "TextClassification-v0",
        "TextCooking-v0",
        "TextCraft-v0",
        "TextFrozenLake-v0",
        "TextGuessCity-v0",
        "TextGuessNumber-v0",
        "TextMaze-v0",
        "TextMemory-v0",
        "TextRobot-v0",
        "TextTicTacToe-v0",
        "TextTreasure-v0",
        "TextTwentyQuestions-v0",
        "TextWordle-v0",
    ),
    220_000,
)


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


def batches(sequences: Sequence[np.ndarray], tokens: int, rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
    """Endless batches of about ``tokens`` tokens, of sequences of like length to waste little padding."""
    lengths = np.array([len(sequence) for sequence in sequences])
    while True:
        order = np.argsort(lengths + rng.uniform(0, 8, size=len(lengths)))
        cuts = np.flatnonzero(np.diff(np.cumsum(lengths[order]) // tokens)) + 1
        pieces = np.split(order, cuts)
        for index in rng.permutation(len(pieces)):
            yield [sequences[i] for i in pieces[index]]


def agent_accuracy(backbone: Backbone, sequences: Sequence[np.ndarray], tokenizer: Tokenizer) -> float:
    """Share of the agent's own tokens that are the model's first choice: on expert transcripts this measures whether
    it can copy values from its context, which reinforcement learning builds on."""
    right = total = 0
    for start in range(0, len(sequences), 32):
        ids = pad_sequences(list(sequences[start : start + 32]), tokenizer.pad_id, backbone.device)
        row, place = spoken(ids, tokenizer)[:, 1:].nonzero(as_tuple=True)
        with torch.no_grad():
            logits = backbone.logits(backbone.states(ids, row, place))
        right += int((logits.argmax(dim=1) == ids[row, place + 1]).sum())
        total += len(row)
    return right / max(total, 1)


def pretrain(
    backbone: Backbone,
    sequences: Sequence[np.ndarray],
    tokenizer: Tokenizer,
    updates: int,
    tokens: int = 4096,
    learning_rate: float = 2e-3,
    context_share: float = 0.1,
    warmup: int = 100,
    seed: int = 0,
    report: Callable[[int, float], None] | None = None,
) -> Backbone:
    """Train ``backbone`` with the objective of its kind; AdamW, linear warm-up, cosine decay to a tenth.

    Args:
        sequences: id arrays, each ``(tokens,)``.
        updates: number of optimizer steps of about ``tokens`` tokens each.
        report: called with the update's number and its loss in nats.
    """
    loss_of = objective(backbone, tokenizer, context_share)
    optimizer = torch.optim.AdamW(loss_of.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.05)
    stream = batches(sequences, tokens, np.random.default_rng(seed))
    for update in range(updates):
        progress = update / updates
        rate = min(1.0, (update + 1) / warmup) * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * rate
        loss = loss_of(next(stream))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(loss_of.parameters(), 1.0)
        optimizer.step()
        if report is not None:
            report(update, loss.item())
    return backbone


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a model: play, train, measure, save."""
    parser = argparse.ArgumentParser(prog="python -m agents.learners.pretrain", description=__doc__)
    parser.add_argument("--out", default=model_path(TINY), help="folder to write (default: the shipped model's)")
    parser.add_argument("--start", default=None, help="model to go on with (default: random weights)")
    parser.add_argument("--kind", default=None, help=f"{', '.join(CONFIGS)} (causal)")
    parser.add_argument("--config", default="{}", help="JSON, or a file of it, over the kind's configuration")
    parser.add_argument("--ids", nargs="*", default=None, help="environment ids (default: all registered)")
    parser.add_argument(
        "--transcripts",
        type=int,
        nargs="+",
        default=None,
        help="tokens of transcripts a level, or one for each id (default: what the shipped model read)",
    )
    parser.add_argument(
        "--error",
        type=float,
        default=0.8,
        help="share of random admissible utterances; none in a game that lists no utterances",
    )
    parser.add_argument("--updates", type=int, default=13_000)
    parser.add_argument("--tokens", type=int, default=4096, help="tokens per update")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="where to train (a GPU where there is one)")
    options = parser.parse_args(arguments)
    if options.kind is not None and options.kind not in CONFIGS:
        parser.error(f"--kind must be one of {', '.join(CONFIGS)}, not {options.kind}")
    if options.out == model_path(TINY) and (options.kind not in (None, "causal") or options.config != "{}"):
        parser.error("give --out: the shipped model's folder is for the shipped model")

    try:
        device = find_device(options.device)
    except ValueError as refusal:
        parser.error(str(refusal))

    torch.manual_seed(options.seed)
    own = own_tokenizer(options.start)
    tokenizer = textenvs.load_tokenizer(own)
    sequences: list[np.ndarray] = []
    ids = options.ids or textenvs.ids()
    sizes = options.transcripts or [TRANSCRIPTS_OF.get(env_id, TRANSCRIPTS) for env_id in ids]
    for env_id, size in zip(ids, sizes * len(ids) if len(sizes) == 1 else sizes, strict=True):
        game = gym.make(env_id).unwrapped.game  # type: ignore[attr-defined]
        error = options.error if game.max_choices else 0.0  # random tokens teach nothing
        for level in game.levels:
            sequences += transcripts(env_id, size, error, options.seed, level=level, tokenizer=own)
        print(f"{env_id}: {len(sequences):,} episodes, {sum(map(len, sequences)):,} tokens so far", flush=True)

    if options.start:
        backbone = load_backbone(options.start, kind=options.kind or "auto")
    else:
        text = options.config if options.config.lstrip().startswith("{") else Path(options.config).read_text("utf-8")
        config = json.loads(text)
        preset = {} if "model_type" in config else CONFIGS[options.kind or "causal"]
        backbone = load_backbone({**preset, **config}, kind=options.kind or "auto")
    backbone.to(device)
    print(f"{backbone.kind}, {sum(p.numel() for p in backbone.parameters()):,} weights", flush=True)

    def write() -> None:
        copy.deepcopy(backbone.model).to(torch.float16).save_pretrained(Path(options.out))
        if options.out != model_path(TINY):
            (shipped_tokenizer() if own == "textenvs" else own).save_pretrained(options.out)

    def report(update: int, loss: float) -> None:
        if update % 500 == 499:
            write()
        if update % 100 == 0 or update == options.updates - 1:
            print(f"update {update:5d}  loss {loss:.3f}", flush=True)

    pretrain(backbone, sequences, tokenizer, options.updates, options.tokens, options.learning_rate, report=report)
    for env_id in ids:
        held_out = transcripts(env_id, 20_000, 0.0, options.seed + 1, split="test", tokenizer=own)
        print(f"{env_id}: agent-token accuracy on expert play {agent_accuracy(backbone, held_out, tokenizer):.3f}")
    write()


def own_tokenizer(model: str | None) -> Any:
    """The tokenizer in a model's folder, or ``"textenvs"`` where there is none."""
    if model in (None, TINY):
        return "textenvs"
    try:
        return read_tokenizer(model)
    except (OSError, ValueError):
        return "textenvs"


if __name__ == "__main__":
    main()
