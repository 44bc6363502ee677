"""Talk with a language model by its token stream: the person is the environment, the model the agent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from agents.backbones import CausalBackbone
from textenvs.tokens.stream import TokenStream
from textenvs.tokens.tokenizer import Tokenizer


class Chat:
    """A conversation in the format of the environments.

    Args:
        backbone: the language model.
        tokenizer: its tokenizer, which knows the format.
        window: tokens of context; older exchanges are forgotten, the opening stays.
        max_utterance_tokens: the most tokens of one answer.
        greedy: take the most probable token instead of a sample.
        opening: how an environment opens; where its lines begin as in ``user: hello``, so do the person's.
    """

    def __init__(
        self,
        backbone: CausalBackbone,
        tokenizer: Tokenizer,
        window: int = 512,
        max_utterance_tokens: int = 64,
        greedy: bool = False,
        opening: str = "",
    ) -> None:
        self.backbone, self.tokenizer = backbone, tokenizer
        self.max_utterance_tokens, self.greedy = max_utterance_tokens, greedy
        speaker = re.match(r"\w+: ", opening)
        self.speaker = speaker.group() if speaker else ""
        self._ids = np.full(window, tokenizer.pad_id, np.int32)
        self._stream = TokenStream(self._ids, window, tokenizer.pad_id)
        self._cache = backbone.new_cache(1, window)
        self._forbidden = torch.zeros(backbone.vocab_size, dtype=torch.bool)
        self._forbidden[list(tokenizer.special_ids)] = True
        self._forbidden[tokenizer.vocab_size :] = True

    def say(self, text: str) -> Iterator[str]:
        """Say ``text`` to the model and yield its answer piece by piece as it is written; read it to its end."""
        tokenizer, stream = self.tokenizer, self._stream
        if not re.match(r"\w+: ", text):
            text = self.speaker + text
        heard = [*tokenizer.encode(text), *tokenizer.agent_prefix]
        if stream.length == 0:
            stream.start([*tokenizer.opening_prefix, *heard])
        else:
            stream.append([tokenizer.end_id, *tokenizer.env_prefix, *heard], closes=True)
        said: list[int] = []
        shown = 0
        while len(said) < self.max_utterance_tokens:
            token = self._next()
            if token == tokenizer.end_id:
                break
            said.append(token)
            stream.append([token], closes=False)
            answer = tokenizer.decode(said)
            if not answer.endswith("\ufffd"):  # a character of several tokens is not whole yet
                yield answer[shown:]
                shown = len(answer)

    def _next(self) -> int:
        length = self._stream.length
        ids: Any = torch.as_tensor(self._ids[None].astype(np.int64))
        with torch.no_grad():
            hidden = self._cache.last_hidden(ids, torch.tensor([length]))
            logits = self.backbone.logits(hidden)[0].masked_fill(self._forbidden, -torch.inf)
        return int(logits.argmax() if self.greedy else torch.multinomial(logits.softmax(dim=0), 1))
