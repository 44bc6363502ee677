"""A language model on this machine as a prompted player."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agents.players.prompted import Messages, PromptedPlayer, first_line
from agents.speaking import Decoder, Request, load_speaker


class HFPlayer(PromptedPlayer):
    """Any causal model that ``agents.load_backbone`` takes, prompted with zero or a few examples.

    Messages are laid out by the model's chat template where it has one. All environments' replies are written together,
    a token each in every step, and what a row has read is not read again.

    Args:
        model: ``"tiny"``, a Hugging Face name, a folder, a ``.gguf`` file, a checkpoint, or a ``Speaker``.
        shots: episodes of the expert that are shown first.
        instructions: what the model is told first; ``None`` takes the game's own page, except for a model of the
            shipped vocabulary, which has never read prose; ``""`` nothing.
        temperature: 0 takes the most probable token.
        max_tokens: the most tokens of a reply.
        limit: the most tokens of a prompt and its reply; the oldest exchanges give way. ``None`` for 2,048 or what the
            model has.
        rows: the most replies side by side.
        seed: fixes the examples.
        name: what reports call it.
        lora: keywords of ``peft.LoraConfig``.
        dtype: ``"bfloat16"`` runs the model in that type and, without ``lora``, keeps its weights in it.
        device: where it computes; ``None`` for a GPU where there is one.

    Raises:
        ValueError, FileNotFoundError: no such model or device.
    """

    def __init__(
        self,
        model: Any = "tiny",
        shots: int = 0,
        instructions: str | None = None,
        temperature: float = 0.0,
        max_tokens: int = 64,
        limit: int | None = None,
        rows: int = 32,
        seed: int = 0,
        name: str | None = None,
        lora: Mapping[str, Any] | None = None,
        dtype: str | None = None,
        device: str | None = None,
    ) -> None:
        if temperature < 0:
            raise ValueError(f"temperature must be at least 0, not {temperature!r}")
        self.speaker = load_speaker(model, lora=lora, dtype=dtype, device=device, frozen=lora is None)
        if instructions is None and not self.speaker.reads_prose:
            instructions = ""
        super().__init__(name or f"hf:{self.speaker.name}", shots, instructions, seed)
        self.temperature, self.max_tokens, self.rows = temperature, max_tokens, rows
        self._decoder: Decoder | None = None
        self.limit = self.speaker.decoder(1, limit).limit
        if not 0 < max_tokens < self.limit:
            raise ValueError(f"max_tokens must be from 1 to {self.limit - 1}, not {max_tokens!r}")

    def replies(self, dialogues: Sequence[tuple[Messages, int]]) -> list[str]:
        """The model's replies, decoded in one batch."""
        rows = min(self.rows, len(dialogues))
        if self._decoder is None or self._decoder.rows < rows:
            self._decoder = self.speaker.decoder(rows, self.limit)
        room = self.limit - self.max_tokens
        requests = [
            Request(
                self.speaker.layout.fit(messages, room, start),
                max_tokens=self.max_tokens,
                temperature=self.temperature,
                until=_is_over,
            )
            for messages, start in dialogues
        ]
        self._decoder.run(requests)
        self.usage.replies += len(requests)
        self.usage.prompt_tokens += sum(len(request.context) for request in requests)
        self.usage.completion_tokens += sum(len(request.ids) for request in requests)
        return [request.text for request in requests]

    def room(self, head: Messages) -> bool:
        """Whether ``head`` leaves at least half of the room to the episode."""
        return len(self.speaker.layout.encode(head)) <= (self.limit - self.max_tokens) // 2


def _is_over(reply: str) -> bool:
    """Whether the first line is whole."""
    said = first_line(reply)
    return bool(said) and "\n" in reply[reply.rfind(said) :]
