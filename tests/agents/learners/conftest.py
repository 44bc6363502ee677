"""The three-state problem has an id in the modules that ask for it."""

import pytest

from tests.agents.learners import chain
from textenvs.registration import register_game


@pytest.fixture(scope="module")
def chain_is_registered() -> None:
    register_game(chain.ID, f"{chain.__name__}:Chain", "toys")
