"""Where the candidates of a step part: what a language model has to be asked to say how probable each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Branches:
    """The trees of some steps' candidates, as far as they branch.

    A node is a beginning that several candidates of a step have in common and that goes on in different ways; an edge
    is one of these ways, a token. What is certain once the candidates are known, a beginning with one way on, is no
    node: no model has to be asked about it.

    Attributes:
        tokens: ``(tokens,)`` int64, what has to be read beyond the contexts to be at all nodes.
        steps: ``(tokens,)`` int64, the step of each.
        parents: ``(tokens,)`` int64, which of ``tokens`` stands before each; -1 for the context.
        depths: ``(tokens,)`` int64, how many of ``tokens`` stand before each.
        node_steps, nodes: ``(nodes,)`` int64, the step of each node and which of ``tokens`` it ends with, -1 for none.
        edge_nodes, edges: ``(edges,)`` int64, the node of each edge and its token.
        path_choices, path_edges: ``(path edges,)`` int64, pairs of a candidate (``step * choices + choice``) and an
            edge on its way.
    """

    tokens: np.ndarray
    steps: np.ndarray
    parents: np.ndarray
    depths: np.ndarray
    node_steps: np.ndarray
    nodes: np.ndarray
    edge_nodes: np.ndarray
    edges: np.ndarray
    path_choices: np.ndarray
    path_edges: np.ndarray

    def paths(self) -> list[np.ndarray]:
        """The tokens that lead to each node beyond the contexts."""
        found = []
        for place in self.nodes[self.nodes >= 0].tolist():
            path = []
            while place >= 0:
                path.append(self.tokens[place])
                place = self.parents[place]
            found.append(np.array(path[::-1]))
        return found


def branches(candidates: np.ndarray, pad_id: int, end_id: int) -> Branches:
    """The trees of ``candidates`` ``(steps, choices, tokens)``, right-padded with ``pad_id``; empty ones are absent.

    Where a candidate is the beginning of another, ``end_id`` is its way on.
    """
    columns: list[list[np.ndarray]] = [[] for _ in range(10)]
    tokens = nodes = edges = 0
    for step, own in enumerate(candidates):
        one = _tree(own.tobytes(), own.shape, own.dtype.str, pad_id, end_id)
        moved = (
            one.tokens,
            one.steps + step,
            np.where(one.parents < 0, -1, one.parents + tokens),
            one.depths,
            one.node_steps + step,
            np.where(one.nodes < 0, -1, one.nodes + tokens),
            one.edge_nodes + nodes,
            one.edges,
            one.path_choices + step * candidates.shape[1],
            one.path_edges + edges,
        )
        tokens, nodes, edges = tokens + len(one.tokens), nodes + len(one.nodes), edges + len(one.edges)
        for column, part in zip(columns, moved, strict=True):
            column.append(part)
    return Branches(*(np.concatenate([np.zeros(0, np.int64), *column]) for column in columns))


@lru_cache(maxsize=4096)
def _tree(data: bytes, shape: tuple[int, ...], dtype: str, pad_id: int, end_id: int) -> Branches:
    """``branches`` of one step: games offer the same candidates again and again."""
    rows = [tuple(row[row != pad_id].tolist()) for row in np.frombuffer(data, dtype).reshape(shape)]
    ways: dict[tuple[int, ...], dict[int, None]] = {}  # beginning -> tokens that go on
    for row in rows:
        for place, token in enumerate((*row, end_id) if row else ()):
            ways.setdefault(row[:place], {})[token] = None
    branching = [start for start, own in ways.items() if len(own) > 1]
    read = dict.fromkeys(start[:end] for start in branching for end in range(1, len(start) + 1))
    place_of = {start: place for place, start in enumerate(read)}
    edge_of: dict[tuple[int, ...], int] = {}
    edge_nodes = []
    for node, start in enumerate(branching):
        for token in ways[start]:
            edge_of[(*start, token)] = len(edge_of)
            edge_nodes.append(node)
    paths = [
        (choice, edge_of[said[:end]])
        for choice, row in enumerate(rows)
        for said in ((*row, end_id),)
        for end in range(1, len(said) + 1)
        if row and said[:end] in edge_of
    ]
    as_array = lambda values: np.array(list(values), dtype=np.int64)  # noqa: E731
    return Branches(
        as_array(start[-1] for start in read),
        np.zeros(len(read), np.int64),
        as_array(place_of.get(start[:-1], -1) for start in read),
        as_array(len(start) - 1 for start in read),
        np.zeros(len(branching), np.int64),
        as_array(place_of.get(start, -1) for start in branching),
        as_array(edge_nodes),
        as_array(said[-1] for said in edge_of),
        as_array(choice for choice, _ in paths),
        as_array(edge for _, edge in paths),
    )
