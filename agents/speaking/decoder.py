"""Many replies written at once, a token each in every step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from textenvs.tokens.tokenizer import Tokenizer

_REPLACEMENT = "\ufffd"  # stands at the end of a text whose last character is not whole


@dataclass(eq=False)
class Request:
    """A context to continue and how, and what came of it.

    Args:
        context: ids, at least one.
        max_tokens: the most ids to write.
        temperature: 0 takes the most probable token.
        top_p: draw from the most probable tokens that have this probability together (Holtzman et al. 2020).
        seed: of the draws; ``None`` takes one from torch's generator.
        stop: the reply ends before the first of these.
        until: the reply ends when this says so of its text.
        logprobs: record each token's log-probability, at temperature 1.
        top_logprobs: and those of so many of the most probable.

    Attributes:
        ids: what was written, without the end token.
        scores: log-probabilities of ``ids`` and, where it was written, of the end token.
        alternatives: for each score the most probable ``(id, log-probability)``, best first.
        text: the reply so far; what may still change at its end is left out until ``finish`` is set.
        finish: ``None`` while it goes on, then ``"stop"``, ``"length"`` or ``"cancelled"``.
    """

    context: Sequence[int]
    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    until: Callable[[str], bool] | None = None
    logprobs: bool = False
    top_logprobs: int = 0
    ids: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    alternatives: list[list[tuple[int, float]]] = field(default_factory=list)
    text: str = ""
    finish: str | None = None
    generator: torch.Generator | None = None


class Decoder:
    """Continues up to ``rows`` contexts side by side; one that ends makes room for the next at once.

    A row's keys and values are kept, and a context goes to the row that knows most of it: a dialogue that goes on, or a
    prompt that begins as an earlier one did, costs its new tokens only. For one thread at a time.

    Args:
        backbone: the model.
        tokenizer: strings <-> its ids.
        rows: replies side by side.
        limit: the most ids of a context and its reply; ``None`` for what the model has positions for.

    Raises:
        ValueError: ``limit`` leaves no room for a reply.
    """

    def __init__(self, backbone: Any, tokenizer: Tokenizer, rows: int, limit: int | None = None) -> None:
        if limit is not None and limit < 2:
            raise ValueError(f"limit must be at least 2, a token to read and one to write, not {limit!r}")
        self.backbone, self.tokenizer, self.rows = backbone, tokenizer, rows
        self.limit = min(limit or backbone.max_length or 1 << 16, backbone.max_length or 1 << 16)
        self.active: list[Request | None] = [None] * rows
        self.steps = 0
        device = backbone.device
        self.forbidden = torch.zeros(backbone.vocab_size, dtype=torch.bool, device=device)
        self.forbidden[[*tokenizer.special_ids]] = True
        self.forbidden[tokenizer.vocab_size :] = True
        self.lengths = torch.ones(rows, dtype=torch.int64, device=device)
        self.ids = torch.zeros(rows, 0, dtype=torch.int64, device=device)
        self.cache: Any = None

    @property
    def free(self) -> int:
        """Rows that wait for a request."""
        return sum(request is None for request in self.active)

    def check(self, request: Request) -> None:
        """See that a request can be answered.

        Raises:
            ValueError: it is empty or needs more ids than ``limit``.
        """
        if not len(request.context) or request.max_tokens < 1:
            raise ValueError("a request needs a context and room for at least one token")
        needed = len(request.context) + request.max_tokens
        if needed > self.limit:
            raise ValueError(
                f"{len(request.context)} tokens of context and {request.max_tokens} of reply are {needed}; "
                f"the model has room for {self.limit}"
            )

    def admit(self, request: Request) -> None:
        """Take a request in; there must be a ``free`` row."""
        self.check(request)
        self._make_room(len(request.context) + request.max_tokens)
        context = torch.tensor(request.context, device=self.ids.device)
        rows = torch.tensor([row for row, other in enumerate(self.active) if other is None], device=self.ids.device)
        same = (self.ids[rows, : len(context)] == context).long().cumprod(dim=1).sum(dim=1)
        row = int(rows[torch.minimum(same, self.lengths[rows]).argmax()])
        self.ids[row, : len(context)] = context
        self.lengths[row] = len(context)
        self.active[row] = request
        if request.temperature > 0:
            seed = int(torch.randint(1 << 62, ())) if request.seed is None else request.seed
            request.generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def step(self) -> list[Request]:
        """Write one token of every active reply.

        Returns:
            The replies, those that ended with this step among them.
        """
        for row, request in enumerate(self.active):
            if request is not None and request.finish is not None:  # cancelled from outside
                self.active[row] = None
        rows = [row for row, request in enumerate(self.active) if request is not None]
        if not rows:
            return []
        self.steps += 1
        hidden = self.cache.last_hidden(self.ids[:, : int(self.lengths.max())], self.lengths)
        logits = self.backbone.logits(hidden[rows]).masked_fill(self.forbidden, -torch.inf).cpu()
        written = []
        for row, scores in zip(rows, logits, strict=True):
            request = self.active[row]
            assert request is not None
            token = _pick(scores, request)
            if request.logprobs:
                _record(scores.log_softmax(0), token, request)
            if token == self.tokenizer.end_id:
                request.finish = "stop"
            else:
                request.ids.append(token)
                self.ids[row, self.lengths[row]] = token
                self.lengths[row] += 1
            self._read(request)
            written.append(request)
            if request.finish is not None:
                self.active[row] = None
        return written

    def run(self, requests: Iterable[Request]) -> None:
        """Answer all requests."""
        waiting = deque(requests)
        while waiting or self.free < self.rows:
            while waiting and self.free:
                self.admit(waiting.popleft())
            self.step()

    def _read(self, request: Request) -> None:
        """Decode what was written and see whether that ends it."""
        text = self.tokenizer.decode(request.ids)
        places = [place for place in map(text.find, request.stop) if place >= 0]
        if places:
            request.text, request.finish = text[: min(places)], "stop"
        elif request.finish is None and request.until is not None and request.until(text):
            request.text, request.finish = text, "stop"
        elif request.finish is not None or len(request.ids) >= request.max_tokens:
            request.text, request.finish = text, request.finish or "length"
        else:
            request.text = text[: len(text) - _unsettled(text, request.stop)]

    def _make_room(self, length: int) -> None:
        """Have rows of at least ``length``; longer ones start a new cache."""
        if self.cache is not None and self.ids.shape[1] >= length:
            return
        window = min(max(256, 1 << (length - 1).bit_length()), self.limit)
        ids = torch.zeros(self.rows, window, dtype=torch.int64, device=self.ids.device)
        ids[:, : self.ids.shape[1]] = self.ids
        self.ids, self.cache = ids, self.backbone.new_cache(self.rows, window)


def _pick(logits: torch.Tensor, request: Request) -> int:
    if request.temperature <= 0:
        return int(logits.argmax())
    probabilities = (logits.double() / request.temperature).softmax(0)
    if request.top_p < 1:
        ordered, places = probabilities.sort(descending=True)
        before = ordered.cumsum(0) - ordered
        probabilities[places[1:][before[1:] >= request.top_p]] = 0.0  # the most probable always stays
    return int(torch.multinomial(probabilities, 1, generator=request.generator))


def _record(log_probs: torch.Tensor, token: int, request: Request) -> None:
    request.scores.append(float(log_probs[token]))
    best = log_probs.topk(request.top_logprobs)
    request.alternatives.append(list(zip(best.indices.tolist(), best.values.tolist(), strict=True)))


def _unsettled(text: str, stop: Sequence[str]) -> int:
    """How many last characters may turn out otherwise: half a character, or the beginning of a stop text."""
    half = len(text) - len(text.rstrip(_REPLACEMENT))
    begun = [size for each in stop for size in range(1, len(each)) if text.endswith(each[:size])]
    return max([half, *begun])
