"""What prompted language models share as players: the prompt, the reading of a reply, and the account of tokens."""

from __future__ import annotations

import inspect
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from textenvs.env import TextEnv
from textenvs.pages import section
from textenvs.recording import Recording, expert_who_errs, record

Messages = list[dict[str, Any]]

_SECTIONS = ("Description", "Observation", "Action")
_TASK = "Answer each message with one line: what you say next, word for word, and nothing else."
_NEXT_EPISODE = "\n\nA new episode begins.\n\n"
_NOT_OF_THE_GAME = {name for name in inspect.signature(TextEnv).parameters if name not in ("level", "max_turns")}
_THOUGHT = re.compile(r"\s*<think>.*?(</think>|\Z)", re.DOTALL)
_SPEAKER = re.compile(r"(?:>|(?:assistant|agent|player|answer|action)\s*:)\s*", re.IGNORECASE)


@dataclass
class Usage:
    """Tokens that a player used, and what they cost.

    Attributes:
        replies: how many were asked for.
        prompt_tokens: read, those of every reply's whole context.
        completion_tokens: written.
        unmetered: replies of which the server told no tokens.
        retries: requests that were sent again.
        input_price, output_price: of a million tokens read and written, or ``None`` where there is no price.
    """

    replies: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unmetered: int = 0
    retries: int = 0
    input_price: float | None = None
    output_price: float | None = None

    @property
    def cost(self) -> float | None:
        """In the unit of the prices; ``None`` without prices."""
        if self.input_price is None and self.output_price is None:
            return None
        read, written = self.prompt_tokens * (self.input_price or 0), self.completion_tokens * (self.output_price or 0)
        return (read + written) / 1e6

    def to_dict(self) -> dict[str, Any]:
        """All figures by name, the cost among them."""
        return {**asdict(self), "cost": self.cost}

    def __sub__(self, before: Usage) -> Usage:
        """What was used since ``before``."""
        counts = ("replies", "prompt_tokens", "completion_tokens", "unmetered", "retries")
        since = {name: getattr(self, name) - getattr(before, name) for name in counts}
        return Usage(**since, input_price=self.input_price, output_price=self.output_price)

    def __str__(self) -> str:
        told = f"{self.prompt_tokens:,} tokens read, {self.completion_tokens:,} written in {self.replies:,} replies"
        told += f", {self.retries:,} sent again" if self.retries else ""
        told += f", {self.unmetered:,} without an account of tokens" if self.unmetered else ""
        return told + (f", cost {self.cost:,.4f}" if self.cost is not None else "")


class PromptedPlayer(ABC):
    """A chat model that is told the rules, maybe shown episodes of the expert, and then plays at turn level.

    The environment is the ``user``, the player the ``assistant``. Examples are the first episodes of the train split.

    Args:
        name: what reports call it.
        shots: episodes of the expert that are shown first; with 0 the model plays zero-shot.
        instructions: what the model is told first; ``None`` takes the rules from the game's own page, ``""`` nothing.
        seed: fixes the examples.

    Attributes:
        usage: tokens so far.
    """

    action_level = "turn"

    def __init__(self, name: str, shots: int = 0, instructions: str | None = None, seed: int = 0) -> None:
        if shots < 0:
            raise ValueError(f"shots must be at least 0, not {shots!r}")
        self.name, self.shots, self.instructions, self.seed = name, shots, instructions, seed
        self.env_kwargs: dict[str, Any] = {"as_text": True}
        self.usage = Usage()
        self._heads: dict[str, tuple[Messages, str]] = {}

    def act(self, envs: Sequence[TextEnv], observations: np.ndarray) -> Sequence[Any]:
        """The first line of the model's reply in each environment."""
        return [first_line(reply) for reply in self.replies([self.messages(env) for env in envs])]

    @abstractmethod
    def replies(self, dialogues: Sequence[tuple[Messages, int]]) -> list[str]:
        """The model's replies to dialogues, each with the number of messages at its start that must stay."""

    def room(self, head: Messages) -> bool:
        """Whether the model has room for ``head``, the prompt up to an opening, and for the episode after it."""
        return True

    def messages(self, env: TextEnv) -> tuple[Messages, int]:
        """The prompt and the episode so far, and how many of the messages are the prompt with the opening."""
        key = f"{type(env.game).__qualname__} {env.level} {_keywords(env)}"
        if key not in self._heads:
            self._heads[key] = self._head(env)
        head, joint = self._heads[key]
        said = [{"role": "assistant" if role == "agent" else "user", "content": text} for role, text in env.transcript]
        said[0] = {"role": "user", "content": joint + said[0]["content"]}
        return [*head, *said], len(head) + 1

    def _head(self, env: TextEnv) -> tuple[Messages, str]:
        """What comes before the opening, and what must be put before its text."""
        examples = _examples(env, self.shots, self.seed) if self.shots else []
        rules = _rules(env) if self.instructions is None else self.instructions
        while True:
            head, joint = _laid_out(rules, examples)
            if not examples or self.room(head):
                break
            examples.pop()
        if len(examples) < self.shots:
            warnings.warn(
                f"{self.name} has room for {len(examples)} of {self.shots} examples", RuntimeWarning, stacklevel=2
            )
        return head, joint


def first_line(reply: str) -> str:
    """What a reply says: its first line with words in it, without thoughts, a speaker's name or quotation marks."""
    for line in _THOUGHT.sub("", reply).splitlines():
        if line.strip().startswith("```"):
            continue
        said = _SPEAKER.sub("", line.strip(), count=1) if _SPEAKER.match(line.strip()) else line.strip()
        if len(said) > 1 and said[0] == said[-1] and said[0] in "\"'`":
            said = said[1:-1].strip()
        if said:
            return said
    return ""


def _rules(env: TextEnv) -> str:
    sections = [f"{title}: {section(type(env.game), title)}" for title in _SECTIONS if section(type(env.game), title)]
    return "\n\n".join([*sections, _TASK]).replace("``", "`")


def _laid_out(rules: str, examples: Sequence[Recording]) -> tuple[Messages, str]:
    head: Messages = [{"role": "system", "content": rules}] if rules else []
    joint = ""
    for example in examples:
        first, *others, last = example.messages
        head += [{"role": "user", "content": joint + first["content"]}, *others]
        joint = last["content"] + _NEXT_EPISODE  # so that user and assistant still take turns
    return head, joint


def _keywords(env: TextEnv) -> dict[str, Any]:
    """The keywords of the game that an environment was made with."""
    made_with = env.spec.kwargs if env.spec is not None else {}
    return {name: value for name, value in made_with.items() if name not in _NOT_OF_THE_GAME}


def _examples(env: TextEnv, shots: int, seed: int) -> list[Recording]:
    if env.spec is None:
        raise ValueError("examples need an environment made by gymnasium.make: give shots=0 otherwise")
    keywords = {**_keywords(env), "level": env.level, "split": "train"}
    return list(record(env.spec.id, "expert", expert_who_errs(), shots, seed, **keywords))
