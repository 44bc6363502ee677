"""Cheap suites of a game that ends within a few turns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.suite import Suite
from tests.agents.conftest import small_model  # noqa: F401

GUESS = "TextGuessNumber-v0"
BANDIT = "TextBandit-v0"


def small_suite(**changes: Any) -> Suite:
    """Random play and the expert on two games, six episodes each."""
    suite = Suite("small", ids=(GUESS, BANDIT), seeds=2, episodes=6, keep=2, env={"window": 128})
    return replace(suite, **changes)


@pytest.fixture
def learning(small_model: str) -> Suite:  # noqa: F811
    """All learners on a random model, with next to no training."""
    from agents.learners import LEARNERS
    from tests.agents.conftest import small_settings

    names = tuple(sorted(LEARNERS))
    return small_suite(
        ids=(GUESS,),
        players=(),
        learners=names,
        backbones=(small_model,),
        seeds=1,
        budget={"token": 64, "turn": 32, "choice": 32},
        settings={name: {**small_settings(name), "num_envs": 2} for name in names},
        env={"window": 96, "max_utterance_tokens": 6, "tokenizer": "textenvs"},
    )


@pytest.fixture
def played(tmp_path: Path) -> Path:
    """A folder with the results of ``small_suite``."""
    from benchmarks.runner import run

    run(small_suite().cells(), tmp_path / "played", jobs=0)
    return tmp_path / "played"
