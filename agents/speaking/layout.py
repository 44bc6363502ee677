"""Chat messages as token ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from textenvs.tokens.tokenizer import load_tokenizer

Message = Mapping[str, Any]

ROLES = ("system", "user", "assistant")
_MARK = re.compile(r"MESSAGE(\d+)TEXT")
_SAME_DATE = "26 Jul 2024"  # some templates write the day's date; with this one the same text comes every day


class Layout:
    """Writes chat messages as a model reads them: by its chat template, or by the tokenizer's own pieces.

    The ids are those of an environment's token stream with the same tokenizer. Only the template writes special tokens;
    what stands in a message is plain text.

    Args:
        source: a ``transformers`` tokenizer, or what ``textenvs.load_tokenizer`` takes.

    Attributes:
        tokenizer: strings <-> ids.
        raw: ``source`` itself.
    """

    def __init__(self, source: Any = "textenvs") -> None:
        self.tokenizer = load_tokenizer(source)
        self.raw = source
        self.source = source if getattr(source, "chat_template", None) else None
        self._markup: dict[tuple[str, ...], list[list[int]]] = {}

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The ids of ``messages``, up to where the model is to answer.

        Args:
            messages: each with ``role`` and ``content``; an assistant's may have its own ``ids``, which then stand for
                the content.

        Raises:
            ValueError: no messages, or an order of roles that the model's template cannot write.
        """
        if not messages:
            raise ValueError("there must be at least one message")
        if self.source is None:
            return self._plain(_alternating(messages))
        try:
            return self._templated(messages)
        except _NotWritten:
            return self._templated(_alternating(messages))

    def fit(self, messages: Sequence[Message], room: int, start: int = 1) -> list[int]:
        """``encode`` in at most ``room`` ids: the oldest exchanges go, the first ``start`` messages stay.

        Half of what follows those goes at once, so that a conversation that goes on keeps its beginning for many turns:
        whoever has read that need not read it again. Where the first messages and the newest exchange alone do not fit,
        only their end is kept.
        """
        kept, rest = list(messages[:start]), list(messages[start:])
        ids = self.encode(messages)
        if len(ids) > room and len(rest) > 2:
            del rest[: 2 * self._outdated(kept, rest, room)]
            ids = self.encode([*kept, *rest])
        while len(ids) > room and len(rest) > 2:
            del rest[:2]
            ids = self.encode([*kept, *rest])
        return ids[-room:]

    def _outdated(self, kept: list[Message], rest: list[Message], room: int) -> int:
        """How many of the oldest exchanges of ``rest`` have gone by now, if half went whenever ``room`` was full."""
        words = [len(self.spoken(message)) for message in rest]
        base = len(self.encode(kept))
        markup = len(self.encode([*kept, *rest[:2]])) - base - sum(words[:2])
        sizes = [sum(words[place : place + 2]) + markup for place in range(0, len(rest), 2)]
        free, held, gone = room - base, 0, 0
        for newest, size in enumerate(sizes):
            held += size
            if held > free:
                while gone < newest and held > free // 2:
                    held -= sizes[gone]
                    gone += 1
        return gone

    def spoken(self, message: Message) -> list[int]:
        """The ids of what a message says."""
        return list(message["ids"]) if message.get("ids") is not None else self.tokenizer.encode(message["content"])

    def _plain(self, messages: Sequence[Message]) -> list[int]:
        tokenizer = self.tokenizer
        ids = [*tokenizer.opening_prefix, *self.spoken(messages[0])]
        for message in messages[1:]:
            if message["role"] == "assistant":
                ids += [*tokenizer.agent_prefix, *self.spoken(message), tokenizer.end_id]
            else:
                ids += [*tokenizer.env_prefix, *self.spoken(message)]
        return [*ids, *tokenizer.agent_prefix]

    def _templated(self, messages: Sequence[Message]) -> list[int]:
        roles = tuple(message["role"] for message in messages)
        if roles not in self._markup:
            self._markup[roles] = self._pieces(roles)
        first, *others = self._markup[roles]
        ids = list(first)
        for message, markup in zip(messages, others, strict=True):
            ids += [*self.spoken(message), *markup]
        return ids

    def _pieces(self, roles: tuple[str, ...]) -> list[list[int]]:
        """What the template writes before, between and after messages of these roles."""
        from jinja2 import TemplateError

        assert self.source is not None
        marked = [{"role": role, "content": f"MESSAGE{place}TEXT"} for place, role in enumerate(roles)]
        try:
            markup = self.source.apply_chat_template(
                marked, tokenize=False, add_generation_prompt=True, date_string=_SAME_DATE
            )
        except TemplateError as error:
            raise _NotWritten(
                f"the model's chat template cannot write the roles {', '.join(roles)}: {error}"
            ) from error
        pieces = _MARK.split(markup)
        if pieces[1::2] != [str(place) for place in range(len(roles))]:
            raise _NotWritten(f"the model's chat template does not write each of the roles {', '.join(roles)} once")
        return [list(self.source.encode(piece, add_special_tokens=False)) for piece in pieces[::2]]


class _NotWritten(ValueError):
    """A template refuses an order of roles."""


def _alternating(messages: Sequence[Message]) -> list[Message]:
    """The same words by user and assistant in turn: a system text goes before what the user says next."""
    merged: list[Message] = []
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        if merged and merged[-1]["role"] == role:
            content = f"{merged[-1]['content']}\n\n{message['content']}"
            merged[-1] = {"role": role, "content": content}
        else:
            merged.append({**message, "role": role})
    return merged if merged[0]["role"] == "user" else [{"role": "user", "content": ""}, *merged]
