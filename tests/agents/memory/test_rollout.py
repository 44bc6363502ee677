"""How a rollout is cut into batches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.memory.rollout import _chunks


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 64))
def test_batches_hold_every_sequence_once_and_more_than_one_step(counts: list[int], batch_size: int) -> None:
    order = np.random.default_rng(0).permutation(len(counts))
    chunks = _chunks(order, np.array(counts), batch_size)
    assert np.concatenate(chunks).tolist() == order.tolist()
    sizes = [sum(counts[each] for each in chunk) for chunk in chunks]
    assert min(sizes) >= min(2, sum(counts))
    assert max(sizes) <= batch_size + max(counts) + batch_size / 2 + 2
