"""What all tests share."""

import signal
from collections.abc import Iterator

import gymnasium
import pytest
from hypothesis import settings

from textenvs import registration

# A shell's background jobs ignore Ctrl-C, and so would the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


@pytest.fixture(scope="module", autouse=True)
def registry_is_left_as_it_was() -> Iterator[None]:
    """Games that a module registers are unknown to the others, which go through all ids."""
    before = {*registration._table}
    yield
    for id in {*registration._table} - before:
        del registration._table[id], gymnasium.registry[id]
