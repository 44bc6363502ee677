"""The fewest moves that solve a Sokoban level: A* over pushes."""

from __future__ import annotations

import heapq
from functools import lru_cache
from itertools import count, permutations

from textenvs.games.control.sokoban_levels import reach, steps

_FAR = 1 << 20
_MOST_STATES = 200_000


@lru_cache(maxsize=4096)
def solve(
    size: int, floor: frozenset[int], targets: frozenset[int], boxes: frozenset[int], player: int
) -> tuple[str, ...] | None:
    """The moves, or ``None`` if the level cannot be solved from here.

    A node is a position after a push; a box that can reach no target by pushes, were it alone, is stuck for good.
    """
    order = count()
    bound = _pushes_left(size, floor, targets, boxes)
    start = boxes, player
    costs = {start: 0}
    parents: dict[tuple[frozenset[int], int], tuple[tuple[frozenset[int], int], int, int]] = {}
    queue = [(bound, next(order), start)] if bound < _FAR else []
    closed = set()
    while queue and len(costs) < _MOST_STATES:
        _, _, node = heapq.heappop(queue)
        if node in closed:
            continue
        closed.add(node)
        boxes, player = node
        if boxes == targets:
            return _moves(size, floor, node, parents)
        far = reach(floor, boxes, player, size)
        for box in sorted(boxes):  # a set has no order to rely on
            for step in (-size, size, -1, 1):
                if box - step not in far or box + step not in floor or box + step in boxes:
                    continue
                after = boxes - {box} | {box + step}, box
                cost = costs[node] + far[box - step] + 1
                if cost >= costs.get(after, _FAR):
                    continue
                bound = _pushes_left(size, floor, targets, after[0])
                if bound < _FAR:
                    costs[after] = cost
                    parents[after] = node, box, step
                    heapq.heappush(queue, (cost + bound, next(order), after))
    return None


@lru_cache(maxsize=65536)
def _pushes_left(size: int, floor: frozenset[int], targets: frozenset[int], boxes: frozenset[int]) -> int:
    """No solution has fewer pushes: the best assignment of boxes to targets, each box being alone."""
    tables = [_pushes(size, floor, target) for target in targets]
    return min(
        sum(table.get(box, _FAR) for table, box in zip(tables, order, strict=True)) for order in permutations(boxes)
    )


@lru_cache(maxsize=4096)
def _pushes(size: int, floor: frozenset[int], target: int) -> dict[int, int]:
    """From where a box that is alone can be pushed to a target, the player being anywhere, and by how many pushes."""
    far = {target: 0}
    queue = [target]
    for cell in queue:
        for step in (-size, size, -1, 1):
            if cell + step in floor and cell + 2 * step in floor and cell + step not in far:
                far[cell + step] = far[cell] + 1
                queue.append(cell + step)
    return far


def _moves(
    size: int,
    floor: frozenset[int],
    node: tuple[frozenset[int], int],
    parents: dict[tuple[frozenset[int], int], tuple[tuple[frozenset[int], int], int, int]],
) -> tuple[str, ...]:
    """The walks and pushes that lead to a node, from its last to its first."""
    names = {step: name for name, step in steps(size).items()}
    moves = []
    while node in parents:
        node, box, step = parents[node]
        moves.append(names[step])
        boxes, player = node
        far = reach(floor, boxes, player, size)
        cell = box - step
        while cell != player:
            name, cell = next(
                (name, cell - by) for by, name in names.items() if far.get(cell - by, _FAR) == far[cell] - 1
            )
            moves.append(name)
    return tuple(reversed(moves))
