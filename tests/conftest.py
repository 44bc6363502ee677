"""What all tests share."""

from collections.abc import Iterator

import gymnasium
import pytest

from textenvs import registration


@pytest.fixture(scope="module", autouse=True)
def registry_is_left_as_it_was() -> Iterator[None]:
    """Games that a module registers are unknown to the others, which go through all ids."""
    before = {*registration._table}
    yield
    for id in {*registration._table} - before:
        del registration._table[id], gymnasium.registry[id]
