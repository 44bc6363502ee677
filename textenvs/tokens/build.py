"""Trains the shipped tokenizer: ``python -m textenvs.tokens.build [--out FILE] [--vocab 2048]``.

The corpus is made by the package itself: transcripts of every registered game at every level, played by its expert
with four random actions in ten, and the package's own docstrings. Texts count as often as they are said, so that the
games' words are whole tokens; the docstrings give pieces for the rest of English. The same inputs give the same bytes.
A model is tied to the vocabulary that it was trained with: build again only together with the model.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import textenvs
from textenvs.game import Game
from textenvs.registration import ids, spec
from textenvs.tokens.tokenizer import APART, SHIPPED_FILE, SPECIAL_TOKENS

EPISODES = 300
RANDOM_SHARE = 0.4


def transcripts(game_class: type[Game], episodes: int) -> Iterator[str]:
    """Everything said in ``episodes`` episodes of each level, text by text."""
    for keywords in game_class.levels.values():
        game = game_class(**keywords)
        for seed in range(episodes):
            rng = np.random.default_rng([seed, 1])
            yield game.reset(np.random.default_rng(seed))
            for _ in range(game.max_turns):
                expert, valid = game.expert_action(), game.valid_actions()
                yield expert
                said = str(rng.choice(valid)) if valid and rng.random() < RANDOM_SHARE else expert
                turn = game.step(said)
                yield said
                yield turn.text
                if turn.terminated:
                    break


def docstrings() -> Iterator[str]:
    """Every docstring of the package, in the order of the files' names."""
    root = Path(textenvs.__file__).parent
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, documented) and (text := ast.get_docstring(node)):
                yield text


def corpus(episodes: int = EPISODES) -> Iterator[str]:
    """All training text."""
    from textenvs.env import load_game

    for id in ids():
        yield from transcripts(load_game(spec(id).entry), episodes)
    yield from docstrings()


def build(vocab_size: int = 2048, episodes: int = EPISODES) -> str:
    """The trained tokenizer as the JSON text of its file."""
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE())
    # A word has the same ids where a text begins as inside it: an utterance repeats what was read, token by token.
    tokenizer.normalizer = normalizers.Prepend(" ")
    # Numbers and maps are read sign by sign.
    apart = pre_tokenizers.Split(tokenizers.Regex(f" ?{APART}"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([apart, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=1,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(episodes), trainer)
    if tokenizer.get_vocab_size() != vocab_size:
        raise ValueError(f"the corpus gives only {tokenizer.get_vocab_size()} entries, not vocab={vocab_size}")
    return tokenizer.to_str(pretty=True) + "\n"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SHIPPED_FILE, help="the file to write")
    parser.add_argument("--vocab", type=int, default=2048, help="entries, special tokens included")
    arguments = parser.parse_args()
    arguments.out.write_text(build(arguments.vocab), "utf-8", newline="\n")
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
