"""How token sequences lie flat, one after another, with what several of them begin with only once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from agents.memory.branches import Branches

_LEAST = 8  # a shorter common beginning is not worth its own attention
_GAIN = 0.05  # nor are common beginnings that save less than this share of the tokens
_WASTE = 1.25  # rows share a block as long as padding makes it at most so much larger


@dataclass(frozen=True)
class Families:
    """Sequences with a common beginning.

    Attributes:
        family: ``(sequences,)``, the family of each, -1 for one of its own.
        shared: ``(families,)``, how many first tokens the members of each have in common.
    """

    family: np.ndarray
    shared: np.ndarray


def families(ids: np.ndarray, lengths: np.ndarray) -> Families:
    """Put sequences into families so that few tokens are left.

    Args:
        ids: ``(sequences, tokens)``, right-padded with whatever.
        lengths: ``(sequences,)``.
    """
    rows = len(ids)
    none = Families(np.full(rows, -1), np.zeros(0, dtype=np.int64))
    if rows < 2:
        return none
    order = np.array(
        sorted(range(rows), key=[row[:n].tobytes() for row, n in zip(ids, lengths, strict=True)].__getitem__)
    )
    ordered, sizes = ids[order], lengths[order]
    same = (ordered[1:] == ordered[:-1]).cumprod(axis=1, dtype=np.int64).sum(axis=1)
    common = np.minimum(np.minimum(same, sizes[1:]), sizes[:-1])  # of each with the next
    best, saved = none, _GAIN * lengths.sum()
    for least in np.unique(common[common >= _LEAST])[::-1][:8]:
        joined = common >= least
        family = np.concatenate([[0], np.cumsum(~joined)])
        count = np.bincount(family)
        shared = np.full(len(count), np.iinfo(np.int64).max)
        np.minimum.at(shared, family[1:][joined], common[joined])
        many = count > 1
        gain = int(((count - 1) * shared)[many].sum())
        if gain > saved:
            numbers = np.where(many, np.cumsum(many) - 1, -1)
            found = np.empty(rows, dtype=np.int64)
            found[order] = numbers[family]
            best, saved = Families(found, shared[many]), gain
    return best


@dataclass(frozen=True)
class _Block:
    """Rows of like length that attend together.

    Attributes:
        rows, width: the shape of the block.
        parent: the block that holds what the rows begin with, and each row's row in it; ``None`` for whole sequences.
        mask: ``(rows, 1, width, parent's width + width)`` float, 0 or minus infinity; ``None`` for a causal one.
    """

    rows: int
    width: int
    parent: tuple[int, Tensor] | None = None
    mask: Tensor | None = None


class Trees:
    """The branches of the steps of some sequences laid flat, sequence by sequence: their tokens attend to the sequence
    as far as their step has come, to what leads to them and to themselves.

    Args:
        found: the branches; there has to be a token.
        segment: ``(steps,)``, the sequence of each step.
        last: ``(steps,)``, the place of the last token of each step's context.
        device: of the tensors.

    Attributes:
        tokens, positions: ``(tokens,)``.
        steps, parents: ``(tokens,)``, the step of each, and the token that it follows or -1.
        nodes: ``(nodes beyond the contexts,)``, which of ``tokens`` each ends with.
        sequences: ``(rows,)``, those with branches.
        lengths: ``(rows,)``, how much of each is seen.
    """

    def __init__(self, found: Branches, segment: np.ndarray, last: np.ndarray, device: Any) -> None:
        order = np.argsort(segment[found.steps], kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        steps, parents = found.steps[order], found.parents[order]
        parents, seen = np.where(parents < 0, -1, rank[parents]), last[steps]
        self.tokens, self.positions = found.tokens[order], seen + 1 + found.depths[order]
        self.steps, self.parents = steps, parents
        self.nodes = rank[found.nodes[found.nodes >= 0]]
        self.sequences, starts, rows, counts = np.unique(
            segment[steps], return_index=True, return_inverse=True, return_counts=True
        )
        self.lengths = np.zeros(len(counts), dtype=np.int64)
        np.maximum.at(self.lengths, rows, seen + 1)
        columns = np.arange(len(rows)) - starts[rows]
        own = starts[:, None] + np.minimum(np.arange(counts.max()), counts[:, None] - 1)  # what is padding repeats one
        leads = np.zeros((*own.shape, own.shape[1]), dtype=bool)
        here = before = np.arange(len(rows))
        while len(here):
            leads[rows[here], columns[here], columns[before]] = True
            going = parents[before] >= 0
            here, before = here[going], parents[before[going]]
        context = np.arange(self.lengths.max()) <= seen[own][:, :, None]
        mask = np.concatenate([context, leads[np.arange(len(own))[:, None], columns[own]]], axis=2)
        self._shape = own.shape
        self._own, self._real, self._mask = (
            torch.as_tensor(each, device=device)
            for each in (
                own.ravel(),
                rows * own.shape[1] + columns,
                np.where(mask, np.float32(0), np.float32(-np.inf))[:, None],
            )
        )

    def attend(self, own: Sequence[Tensor], contexts: Sequence[Tensor], scale: float) -> Tensor:
        """``(tokens, heads * size)`` from their ``own`` queries, keys and values ``(tokens, heads, size)`` and keys and
        values of the ``contexts`` ``(rows, key heads, longest length, size)``."""

        def rows(states: Tensor) -> Tensor:
            return states.index_select(0, self._own).view(*self._shape, *states.shape[1:]).transpose(1, 2)

        queries, *beyond = map(rows, own)
        keys, values = (torch.cat(each, dim=2) for each in zip(contexts, beyond, strict=True))
        seen = scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=self._mask.to(queries.dtype),
            scale=scale,
            enable_gqa=queries.shape[1] != keys.shape[1],
        )
        return seen.transpose(1, 2).reshape(len(self._own), -1).index_select(0, self._real)


class Layout:
    """Sequences laid flat for one forward pass.

    Args:
        ids: ``(sequences, tokens)`` int64, right-padded with whatever.
        segment: ``(steps,)`` int64, the sequence of each step.
        position: ``(steps,)`` int64, the last token that the step may depend on.
        found: branches of the steps' candidates, to be read, too.

    Attributes:
        tokens, positions: ``(tokens,)`` int64.
        starts, before: ``(tokens,)`` int64 arrays: the token with which the run begins that each lies in, and the token
            that the run goes on from, or -1.
        wanted: ``(distinct steps,)`` int64, places of the steps' last tokens, and of the nodes beyond the contexts.
        which: ``(steps,)`` int64 into ``wanted``, or ``None`` where it is ``0, 1, 2 ...``.
    """

    def __init__(self, ids: Tensor, segment: Tensor, position: Tensor, found: Branches | None = None) -> None:
        self.device = ids.device
        rows, segments, last = (each.cpu().numpy() for each in (ids, segment, position))
        lengths = np.zeros(len(rows), dtype=np.int64)
        np.maximum.at(lengths, segments, last + 1)
        kin = families(rows, lengths)
        # Pieces: the common beginning of each family, then what each sequence has of its own.
        count = len(kin.shared)
        member = kin.family >= 0
        begins = np.where(member, kin.shared[kin.family] if count else 0, 0)
        elder = np.array([int(np.flatnonzero(kin.family == number)[0]) for number in range(count)], dtype=np.int64)
        sequence = np.concatenate([elder, np.arange(len(rows))])
        first = np.concatenate([np.zeros(count, dtype=np.int64), begins])
        sizes = np.concatenate([kin.shared, lengths - begins]).astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        places = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - first, sizes)
        of = np.repeat(sequence, sizes)

        def lies(sequence: np.ndarray, place: np.ndarray) -> np.ndarray:
            """Where a sequence's token is."""
            piece = np.where(place < begins[sequence], kin.family[sequence], count + sequence)
            return offsets[piece] + place - first[piece]

        tokens, asked = rows[of, places], lies(segments, last)
        self._count = len(tokens)
        piece = np.repeat(np.arange(len(sizes)), sizes)
        elders = np.where(member, offsets[kin.family] + begins - 1, -1) if count else np.full(len(rows), -1)
        starts, before = offsets[piece], np.concatenate([np.full(count, -1), elders])[piece]
        self._trees = None
        if found is not None and len(found.tokens):
            self._trees = trees = Trees(found, segments, last, self.device)
            tokens, places = np.concatenate([tokens, trees.tokens]), np.concatenate([places, trees.positions])
            asked = np.concatenate([asked, self._count + trees.nodes])
            along = np.minimum(np.arange(trees.lengths.max()), trees.lengths[:, None] - 1)
            self._contexts = self._tensor(lies(trees.sequences[:, None], along))  # (rows, longest length)
            context = lies(segments, last)[trees.steps]
            starts = np.concatenate([starts, self._count + np.arange(len(trees.tokens))])
            before = np.concatenate([before, np.where(trees.parents < 0, context, self._count + trees.parents)])
        self.starts, self.before = starts, before
        self.tokens, self.positions = self._tensor(tokens), self._tensor(places)
        wanted, which = np.unique(asked, return_inverse=True)
        self.wanted = self._tensor(wanted)
        self.which = None if np.array_equal(which, np.arange(len(which))) else self._tensor(which)
        self._pieces = sizes, offsets, kin, count

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, device=self.device)

    def _block(self, sizes: np.ndarray, offsets: np.ndarray, kin: Families, count: int) -> None:
        """Sort pieces into blocks of like length and say where each token's slot is."""
        self.blocks: list[_Block] = []
        slots, home = [], np.zeros(offsets[-1], dtype=np.int64)
        real, filled = [], 0
        alone = count + np.flatnonzero((kin.family < 0) & (sizes[count:] > 0))
        own = count + np.flatnonzero((kin.family >= 0) & (sizes[count:] > 0))
        chunks = [np.arange(count)] if count else []
        chunks += [alone[each] for each in _cut(sizes[alone])]
        plain = len(chunks)
        chunks += [own[each] for each in _cut(sizes[own])]
        for number, pieces in enumerate(chunks):
            width = int(sizes[pieces].max())
            inside = np.arange(width) < sizes[pieces, None]  # (rows, width)
            slots.append(np.where(inside, offsets[pieces, None] + np.arange(width), offsets[pieces, None]).ravel())
            home[slots[-1][inside.ravel()]] = filled + np.flatnonzero(inside)
            real.append(inside.ravel())
            filled += inside.size
            if number < plain:
                self.blocks.append(_Block(len(pieces), width))
                continue
            parents = kin.family[pieces - count]
            before = int(kin.shared.max())
            seen = np.concatenate(
                [
                    np.broadcast_to(
                        (np.arange(before) < kin.shared[parents, None])[:, None], (len(pieces), width, before)
                    ),
                    np.broadcast_to(np.tri(width, dtype=bool), (len(pieces), width, width)),
                ],
                axis=2,
            )
            mask = np.where(seen, np.float32(0), np.float32(-np.inf))[:, None]
            self.blocks.append(_Block(len(pieces), width, (0, self._tensor(parents)), self._tensor(mask)))
        padded = np.concatenate(slots)
        self._flat = np.array_equal(padded, np.arange(len(padded)))  # nothing has to move
        self._slots, self._home = self._tensor(padded), self._tensor(home)
        empty = np.flatnonzero(~np.concatenate(real))
        self._empty = self._tensor(empty) if len(empty) else None

    def attend(self, scale: float) -> Any:
        """The ``Attend`` of this layout."""
        self._block(*self._pieces)

        def attention(layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            values = values.to(keys.dtype)
            grouped = queries.shape[1] != keys.shape[1]
            spread = [self._spread(each[: self._count]) for each in (queries, keys, values)]
            done: list[tuple[Tensor, Tensor]] = []
            outputs = []
            for block, q, k, v in zip(self.blocks, *spread, strict=True):
                done.append((k, v))
                if block.parent is not None:
                    number, rows = block.parent
                    before = [each.index_select(0, rows) for each in done[number]]
                    k, v = torch.cat([before[0], k], dim=1), torch.cat([before[1], v], dim=1)
                seen = scaled_dot_product_attention(
                    q.transpose(1, 2),
                    k.transpose(1, 2),
                    v.transpose(1, 2),
                    attn_mask=None if block.mask is None else block.mask.to(q.dtype),
                    is_causal=block.mask is None,
                    scale=scale,
                    enable_gqa=grouped,
                )
                outputs.append(seen.transpose(1, 2).reshape(block.rows * block.width, -1))
            together = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
            read = together if self._flat else _Move.apply(together, self._home, self._slots, self._empty)
            if self._trees is None:
                return read
            contexts = [
                each.index_select(0, self._contexts.flatten()).unflatten(0, self._contexts.shape).transpose(1, 2)
                for each in (keys, values)
            ]
            own = [each[self._count :] for each in (queries, keys, values)]
            return torch.cat([read, self._trees.attend(own, contexts, scale)])

        return attention

    def _spread(self, states: Tensor) -> list[Tensor]:
        """Flat states ``(tokens, heads, size)`` as blocks ``(rows, width, heads, size)``."""
        flat = states.flatten(1)
        padded = flat if self._flat else _Move.apply(flat, self._slots, self._home, None)
        parts = padded.split([block.rows * block.width for block in self.blocks])
        shape = states.shape[1:]
        return [part.reshape(block.rows, block.width, *shape) for part, block in zip(parts, self.blocks, strict=True)]


class _Move(torch.autograd.Function):
    """Rows to other places and, for the gradient, back. Slots that hold nothing of their own (``empty``) give none."""

    @staticmethod
    def forward(context: Any, rows: Tensor, there: Tensor, back: Tensor, empty: Tensor | None) -> Tensor:
        context.save_for_backward(back, empty)
        return rows.index_select(0, there)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        back, empty = context.saved_tensors
        moved = gradient.index_select(0, back)
        return (moved if empty is None else moved.index_fill(0, empty, 0.0)), None, None, None


def _cut(sizes: np.ndarray) -> list[np.ndarray]:
    """Places of ``sizes`` in runs of like size."""
    order = np.argsort(-sizes, kind="stable")
    cuts, start, total = [], 0, 0
    for end, place in enumerate(order.tolist()):
        total += int(sizes[place])
        if (end + 1 - start) * int(sizes[order[start]]) > _WASTE * total:
            cuts.append(end)
            start, total = end, int(sizes[place])
    return [each for each in np.split(order, cuts) if len(each)]
