"""Where candidates part."""

from __future__ import annotations

import numpy as np

from agents.memory.branches import branches

PAD, END = 0, 9


def padded(*steps: list[list[int]]) -> np.ndarray:
    """Candidates ``(steps, choices, 4)``."""
    rows = [[[*choice, *[PAD] * (4 - len(choice))] for choice in step] for step in steps]
    most = max(map(len, rows))
    return np.array([[*step, *[[PAD] * 4] * (most - len(step))] for step in rows], dtype=np.int64)


def test_single_tokens_need_no_reading() -> None:
    found = branches(padded([[1], [2], [3]]), PAD, END)
    assert len(found.tokens) == 0 and found.nodes.tolist() == [-1]
    assert found.edges.tolist() == [1, 2, 3] and found.edge_nodes.tolist() == [0, 0, 0]
    assert list(zip(found.path_choices.tolist(), found.path_edges.tolist(), strict=True)) == [(0, 0), (1, 1), (2, 2)]


def test_what_is_certain_is_no_node() -> None:
    """1 2 3, 1 2 4 and 5 6: the model is asked at the start and after 1 2, and reads these two."""
    found = branches(padded([[1, 2, 3], [1, 2, 4], [5, 6]]), PAD, END)
    assert found.tokens.tolist() == [1, 2] and found.parents.tolist() == [-1, 0] and found.depths.tolist() == [0, 1]
    assert found.nodes.tolist() == [-1, 1]
    assert found.edges.tolist() == [1, 5, 3, 4] and found.edge_nodes.tolist() == [0, 0, 1, 1]
    paths = list(zip(found.path_choices.tolist(), found.path_edges.tolist(), strict=True))
    assert paths == [(0, 0), (0, 2), (1, 0), (1, 3), (2, 1)]


def test_a_candidate_that_begins_another_may_end() -> None:
    found = branches(padded([[1], [1, 2]]), PAD, END)
    assert found.tokens.tolist() == [1] and found.nodes.tolist() == [0] and found.edges.tolist() == [END, 2]


def test_one_candidate_or_none_asks_nothing() -> None:
    for step in ([[1, 2]], [[]]):
        found = branches(padded(step), PAD, END)
        assert not any(len(getattr(found, name)) for name in ("tokens", "nodes", "edges", "path_choices"))


def test_steps_are_kept_apart() -> None:
    two = branches(padded([[1, 2], [1, 3]], [[4], [5], [6, 7]], [[1, 2], [1, 3]]), PAD, END)
    assert two.tokens.tolist() == [1, 1] and two.steps.tolist() == [0, 2] and two.parents.tolist() == [-1, -1]
    assert two.node_steps.tolist() == [0, 1, 2] and two.nodes.tolist() == [0, -1, 1]
    assert two.edge_nodes.tolist() == [0, 0, 1, 1, 1, 2, 2] and two.edges.tolist() == [2, 3, 4, 5, 6, 2, 3]
    assert two.path_choices.tolist() == [0, 1, 3, 4, 5, 6, 7] and two.path_edges.tolist() == list(range(7))
