"""``agents chat``: a dialogue at the terminal, in which the person may teach the model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.memory.preferences import Preference, PreferenceFile
from agents.speaking.decoder import Request
from agents.speaking.speaker import Speaker

_TOKENS, _WINDOW = 32, 512  # of a model that speaks the games' short lines
_PROSE_TOKENS, _PROSE_WINDOW = 128, 1024
HELP = "you speak as `user: ...` or `database: ...`; /reset starts over, /quit or Ctrl-D ends"
PROSE_HELP = "/reset starts over, /quit or Ctrl-D ends"
TEACHING_HELP = (
    "after a reply: + says that it was good, - that it was bad, = TEXT what would have been better; "
    "/again has it answer again, /undo takes the last rating back, /save PATH keeps the model"
)


class Chat:
    """One dialogue with a language model, laid out as an environment's token stream.

    Args:
        speaker: the model.
        greedy: take the most probable token instead of a sample.

    Attributes:
        messages: the dialogue so far; the assistant's have the ``ids`` that were written.
    """

    def __init__(self, speaker: Speaker, greedy: bool = False) -> None:
        self.speaker, self.temperature = speaker, 0.0 if greedy else 1.0
        self.tokens, window = (_PROSE_TOKENS, _PROSE_WINDOW) if speaker.reads_prose else (_TOKENS, _WINDOW)
        self.decoder = speaker.decoder(1, window + self.tokens)
        self.window = self.decoder.limit - self.tokens
        if self.window < 2:
            raise ValueError(f"the model has {speaker.backbone.max_length} positions: too few to talk")
        self.messages: list[dict[str, Any]] = []

    def reset(self) -> None:
        """Start over."""
        self.messages.clear()

    def context(self) -> list[int]:
        """The ids that the model answers to; the oldest exchanges go when the window is full."""
        return self.speaker.layout.fit(self.messages, self.window)

    def reply(self, text: str) -> str:
        """What the model says to ``text``."""
        self.messages.append({"role": "user", "content": text})
        return self._answer()

    def again(self) -> str:
        """Another reply in place of the last.

        Raises:
            ValueError: there is none.
        """
        self.last()
        self.messages.pop()
        return self._answer()

    def correct(self, text: str) -> None:
        """Go on as if the last reply had been ``text``."""
        self.last()
        self.messages[-1] = {"role": "assistant", "content": text}

    def last(self) -> Preference:
        """The last reply and what was said before it, as one that is chosen.

        Raises:
            ValueError: there is none.
        """
        if not self.messages or self.messages[-1]["role"] != "assistant":
            raise ValueError("there is no reply yet")
        return Preference(list(self.messages[:-1]), chosen=self.messages[-1])

    def _answer(self) -> str:
        request = Request(self.context(), max_tokens=self.tokens, temperature=self.temperature)
        self.decoder.run([request])
        content = request.text.strip()
        self.messages.append({"role": "assistant", "content": content, "ids": request.ids})
        return content


class Teaching:
    """Ratings of a chat's replies: learned at once and kept in a file.

    Args:
        chat: the dialogue.
        learner: learns from them.
        file: keeps them, or ``None``.
    """

    def __init__(self, chat: Chat, learner: Any, file: PreferenceFile | None = None) -> None:
        self.chat, self.learner, self.file = chat, learner, file

    def good(self) -> dict[str, float]:
        """The last reply was good."""
        return self._rate(self.chat.last())

    def bad(self) -> dict[str, float]:
        """The last reply was bad."""
        last = self.chat.last()
        return self._rate(Preference(last.prompt, rejected=last.chosen))

    def better(self, text: str) -> dict[str, float]:
        """``text`` would have been a better reply than the last; the dialogue goes on from it.

        Raises:
            ValueError: there is no text, or it is what was said.
        """
        last = self.chat.last()
        assert last.chosen is not None
        if not text:
            raise ValueError("say what would have been better, as in: = what area would you like")
        if text == last.chosen["content"]:
            raise ValueError("that is what was said: rate it with +")
        figures = self._rate(Preference(last.prompt, {"role": "assistant", "content": text}, last.chosen))
        self.chat.correct(text)
        return figures

    def undo(self) -> None:
        """Take the last rating back, from the model and from the file."""
        if not self.learner.undoable:
            raise ValueError("there is no rating to take back, or it lies too far back to be kept")
        if self.file is not None:
            self.file.undo()
        self.learner.undo()

    def _rate(self, preference: Preference) -> dict[str, float]:
        if self.file is not None:  # first: a rating outlives whatever happens while it is learned
            self.file.append(preference)
        return self.learner.rate(preference)


def talk(
    speaker: Speaker,
    show: Callable[[str], None],
    greedy: bool = False,
    raw: bool = False,
    learner: Any = None,
    preferences: Path | None = None,
    save: Path | None = None,
) -> int:
    """Talk at the terminal until the person ends it.

    Args:
        speaker: the model.
        show: prints a line.
        greedy: take the most probable token instead of a sample.
        raw: send lines as they are; else ``user: `` is put before them for a model of the games' language.
        learner: a ``FeedbackLearner``, where the person teaches.
        preferences: the file that keeps the ratings.
        save: where the model is saved in the end.

    Returns:
        0.
    """
    chat = Chat(speaker, greedy)
    file = PreferenceFile(preferences) if learner is not None and preferences is not None else None
    teaching = Teaching(chat, learner, file) if learner is not None else None
    named = not raw and not speaker.reads_prose
    prompt = "you: " if sys.stdin.isatty() else ""
    if prompt:
        show(HELP if named else PROSE_HELP)
        if teaching is not None:
            show(TEACHING_HELP)
    try:
        while (line := _line(prompt)) not in (None, "/quit"):
            assert line is not None
            try:
                if line == "/reset":
                    chat.reset()
                    show("(a new dialogue)")
                elif teaching is not None and line[:1] in ("+", "-", "=", "/"):
                    show(_taught(teaching, line))
                elif line:
                    spoken = f"user: {line}" if named and not line.startswith(("user:", "database:")) else line
                    show(f"assistant: {chat.reply(spoken)}")
            except ValueError as error:
                if teaching is None:
                    raise
                show(f"({error})")
        if teaching is not None and learner.ratings:
            if file is not None:
                show(f"({len(learner.ratings)} ratings; the file is {file.path})")
            if save is not None:
                show(f"(saved: {speaker.save(save)})")
    finally:
        if file is not None:
            file.close()
    return 0


def _line(prompt: str) -> str | None:
    try:
        return input(prompt).strip()
    except EOFError:
        return None


def _taught(teaching: Teaching, line: str) -> str:
    """Carry out a line that teaches; what to show of it.

    Raises:
        ValueError: it cannot be done; the message says why.
    """
    command, _, rest = line.partition(" ")
    if command == "/again":
        return f"assistant: {teaching.chat.again()}"
    if command == "/undo":
        teaching.undo()
        return "(taken back)"
    if command == "/save":
        if not rest:
            raise ValueError("say where, as in: /save runs/taught")
        return f"(saved: {teaching.chat.speaker.save(rest.strip())})"
    if line == "+":
        figures = teaching.good()
    elif line == "-":
        figures = teaching.bad()
    elif line.startswith("="):
        figures = teaching.better(line[1:].strip())
    else:
        raise ValueError(TEACHING_HELP)
    return f"(learned in {figures['seconds']:.1f} s; {figures['kl']:.3f} nats a token from the start)"
