"""Tokenizers and chat formats: strings <-> token ids.

A transcript is spelled with five pieces: ``opening_prefix`` text ``agent_prefix`` utterance ``end_id`` ``env_prefix``
reply ``agent_prefix`` and so on. The shipped tokenizer has a token for each; a Hugging Face tokenizer has them read
off its chat template, or, without one, off a plain "User:" / "Assistant:" layout closed by its end-of-sequence token.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

SPECIAL_TOKENS = ("<pad>", "<bos>", "<end>", "<env>", "<agent>", "<mask>", "<cls>", "<sep>")
SHIPPED_FILE = Path(__file__).with_name("bpe.json")
# Read sign by sign, each with the space before it: digits, punctuation and runs of capitals.
APART = r"(?:[0-9!-/:-@\[-`{-~]|[A-Z](?=[A-Z]))"


class Tokenizer(ABC):
    """Strings to token ids and back, with the pieces that lay out a dialogue.

    Attributes:
        name: what it was loaded from.
        vocab_size: ids are below it.
        pad_id: fills observations; no text is encoded to it where the vocabulary allows that.
        end_id: closes an utterance.
        special_ids: ids that a policy should never emit; ``end_id`` is not among them.
        opening_prefix: what stands before the opening text.
        agent_prefix: what stands before an utterance.
        env_prefix: what stands between ``end_id`` and the reply.
    """

    name: str
    vocab_size: int
    pad_id: int
    end_id: int
    special_ids: tuple[int, ...]
    opening_prefix: tuple[int, ...]
    agent_prefix: tuple[int, ...]
    env_prefix: tuple[int, ...]

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The ids of any text; special tokens typed in it are plain characters, lone surrogates become U+FFFD."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """``encode`` of each text."""
        return [self.encode(text) for text in texts]

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; special tokens are left out, bytes that are no UTF-8 become U+FFFD."""

    def piece(self, token: int, first: bool = False) -> str:
        """The text of one token where it stands inside a text, or ``first``: the pieces of a text make it up."""
        return self.decode([token]) if first else self.decode([*self.encode("0"), token]).removeprefix("0")

    def __deepcopy__(self, memo: Any) -> Tokenizer:
        return self  # it never changes, and a large vocabulary is slow to copy

    def __repr__(self) -> str:
        return f"Tokenizer({self.name!r}, vocab_size={self.vocab_size})"


class ByteTokenizer(Tokenizer):
    """The byte-level BPE that comes with the package: lossless for any text.

    A text is read with a space before it, so that a word has the same ids wherever it stands.
    Most of the time of such a tokenizer goes into splitting text into words. For ASCII that is done here with a
    regular expression that splits exactly as the library does, and each word's ids are remembered.
    """

    _WORD = re.compile(
        rf" ?{APART}"
        r"| ?(?:[a-z]|[A-Z](?![A-Z]))+| ?[\x00-\x08\x0e-\x1f\x7f]+"
        rf"|[\t-\r ]+(?= {APART})"
        r"|[\t-\r ]+(?![a-z\x00-\x08\x0e-\x1f\x7f]|[A-Z](?![A-Z]))|[\t-\r ]+"
    )
    _MAX_WORDS = 1 << 16  # forgotten when there are more, so that odd input cannot fill the memory

    def __init__(self, path: str | Path = SHIPPED_FILE, name: str = "textenvs") -> None:
        import tokenizers

        self._backend = tokenizers.Tokenizer.from_file(str(path))
        self._backend.encode_special_tokens = True
        self._backend.normalizer = None  # the first space is added here, to texts and not to each word
        self.name = name
        self.vocab_size = self._backend.get_vocab_size()
        ids: list[int] = [self._backend.token_to_id(token) for token in SPECIAL_TOKENS]  # type: ignore[misc]
        self.pad_id, bos, self.end_id, env, agent, *_ = ids
        self.special_ids = tuple(i for i in ids if i != self.end_id)
        self.opening_prefix = (bos, env)
        self.agent_prefix = (agent,)
        self.env_prefix = (env,)
        byte_of = _byte_of_character()
        self._bytes = [b""] * self.vocab_size
        for token, i in self._backend.get_vocab().items():
            if i not in ids:
                self._bytes[i] = bytes(byte_of[character] for character in token)
        self._words: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """The ids of any text; special tokens typed in it are plain characters, lone surrogates become U+FFFD."""
        if not text:
            return []
        text = " " + text
        if not text.isascii():
            return self._backend.encode(replace_surrogates(text), add_special_tokens=False).ids
        ids: list[int] = []
        words = self._words
        for word in self._WORD.findall(text):
            known = words.get(word)
            if known is None:
                known = self._backend.encode(word, add_special_tokens=False).ids
                if len(words) >= self._MAX_WORDS:
                    words.clear()
                if len(word) <= 32:
                    words[word] = known
            ids += known
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; special tokens are left out, bytes that are no UTF-8 become U+FFFD."""
        pieces = self._bytes
        text = b"".join([pieces[i] for i in ids]).decode("utf-8", "replace")
        return text.removeprefix(" ")

    def __reduce__(self) -> Any:
        return (load_tokenizer, (self.name,)) if self.name == "textenvs" else super().__reduce__()


class HuggingFaceTokenizer(Tokenizer):
    """A tokenizer of the ``transformers`` library, laid out by its chat template where it has one.

    Args:
        source: the tokenizer object; it is not changed.
        name: what to call it.

    Raises:
        ValueError: it has neither a chat template nor an end-of-sequence token.
    """

    def __init__(self, source: Any, name: str | None = None) -> None:
        self.name = name or str(getattr(source, "name_or_path", "") or type(source).__name__)
        self.vocab_size = len(source)
        self._source: Any = None
        self._backend: Any = None
        if hasattr(source, "backend_tokenizer"):
            self._backend = type(source.backend_tokenizer).from_str(source.backend_tokenizer.to_str())
            self._backend.no_padding()
            self._backend.no_truncation()
        else:
            self._source = source
        self._set_format(source)
        if self._backend is not None:
            self._backend.encode_special_tokens = True

        special = {int(i) for i in source.all_special_ids}
        special |= {int(i) for i, token in getattr(source, "added_tokens_decoder", {}).items() if token.special}
        self._dropped = frozenset(special | {self.end_id})
        self.pad_id = self._find_pad(source, special)
        self.special_ids = tuple(sorted((special | {self.pad_id}) - {self.end_id}))

    def encode(self, text: str) -> list[int]:
        """The ids of any text; special tokens typed in it are plain characters, lone surrogates become U+FFFD."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """``encode`` of each text."""
        texts = [replace_surrogates(text) for text in texts]
        if self._backend is None:
            return [self._source.encode(text, add_special_tokens=False, split_special_tokens=True) for text in texts]
        if len(texts) == 1:
            return [self._backend.encode(texts[0], add_special_tokens=False).ids]
        return [encoding.ids for encoding in self._backend.encode_batch(texts, add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; special tokens are left out, bytes that are no UTF-8 become U+FFFD."""
        ids = [i for i in ids if i not in self._dropped]
        if self._backend is None:
            return self._source.decode(ids, clean_up_tokenization_spaces=False)
        return self._backend.decode(ids, skip_special_tokens=False)

    def _parse(self, markup: str) -> list[int]:
        """The ids of trusted text, in which special tokens count."""
        if self._backend is None:
            return list(self._source.encode(markup, add_special_tokens=False))
        return list(self._backend.encode(markup, add_special_tokens=False).ids)

    def _set_format(self, source: Any) -> None:
        if getattr(source, "chat_template", None):
            opening, agent, turn = _chat_pieces(source)
            ids = self._parse(turn) or [source.eos_token_id]
            if ids[0] not in source.all_special_ids and source.eos_token_id in ids:
                del ids[: ids.index(source.eos_token_id)]  # a space before the token that ends an utterance
            end, *env = ids
        else:
            end = source.eos_token_id if source.eos_token_id is not None else source.sep_token_id
            start = source.bos_token or source.cls_token or ""
            opening, agent, env = f"{start}User:\n", "\nAssistant:\n", self._parse("\nUser:\n")
        if end is None:
            raise ValueError(
                f"tokenizer {self.name!r} has no token that ends an utterance: set its eos_token or its chat_template"
            )
        self.opening_prefix = tuple(self._parse(opening))
        self.agent_prefix = tuple(self._parse(agent))
        self.end_id, self.env_prefix = int(end), tuple(env)

    def _find_pad(self, source: Any, special: set[int]) -> int:
        """The padding token, or else a token that never stands inside a transcript, or else the end token."""
        if source.pad_token_id is not None and source.pad_token_id != self.end_id:
            return int(source.pad_token_id)
        used = {*self.opening_prefix, *self.agent_prefix, *self.env_prefix, self.end_id}
        used |= {source.unk_token_id, source.eos_token_id}
        if unused := sorted(special - used):
            return unused[0]
        # A byte-level vocabulary has the byte 0xFF (spelled so), which no UTF-8 text contains.
        never = self._backend.token_to_id("\xff") if self._backend is not None else None
        if never is not None and self._backend.decode([never]) == "\ufffd":
            return int(never)
        unknown = source.unk_token_id
        return self.end_id if unknown is None else int(unknown)


_loaded: dict[str, Tokenizer] = {}
_wrapped: WeakKeyDictionary[Any, HuggingFaceTokenizer] = WeakKeyDictionary()


def load_tokenizer(spec: Any = "textenvs") -> Tokenizer:
    """The tokenizer that ``spec`` names; the same object each time.

    Args:
        spec: ``"textenvs"`` (the one of this package), a Hugging Face tokenizer object, the name or folder of one, or
            a ``Tokenizer``, which is returned as it is.

    Raises:
        TypeError: ``spec`` is none of these.
        ValueError: there is no such tokenizer, or it has no token that ends an utterance.
        ImportError: a name or folder was given and ``transformers`` is not installed.
    """
    if isinstance(spec, Tokenizer):
        return spec
    if isinstance(spec, (str, Path)):
        name = str(spec)
        if name not in _loaded:
            _loaded[name] = ByteTokenizer() if name == "textenvs" else HuggingFaceTokenizer(_from_hub(name), name)
        return _loaded[name]
    if not (hasattr(spec, "all_special_ids") and hasattr(spec, "encode")):
        raise TypeError(
            "tokenizer must be 'textenvs', a Hugging Face tokenizer, or the name or folder of one, "
            f"not {type(spec).__name__}"
        )
    if spec not in _wrapped:
        _wrapped[spec] = HuggingFaceTokenizer(spec)
    return _wrapped[spec]


def replace_surrogates(text: str) -> str:
    """``text`` with surrogate pairs joined and lone surrogates replaced by U+FFFD, so that it has a UTF-8 form."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _from_hub(name: str) -> Any:
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise ImportError(f"tokenizer={name!r} needs the transformers library: pip install transformers") from error
    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"tokenizer={name!r} could not be loaded; it must be 'textenvs', a Hugging Face tokenizer, "
            f"or the name or folder of one ({error})"
        ) from error


def _chat_pieces(source: Any) -> tuple[str, str, str]:
    """What a chat template writes before the first user text, before an assistant text, and from there to the next."""
    said = ("FIRSTUSERTEXT", "ASSISTANTTEXT", "SECONDUSERTEXT")
    roles = ("user", "assistant", "user")
    messages = [{"role": role, "content": text} for role, text in zip(roles, said, strict=True)]
    # Some templates write the day's date; with this one the same text comes every day.
    markup = source.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, date_string="26 Jul 2024")
    pieces = re.split("|".join(said), markup)
    if len(pieces) != 4:
        raise ValueError(
            f"the chat template of {source.name_or_path!r} does not write each message once: "
            "set chat_template to None to use a plain User/Assistant layout"
        )
    opening, history_prefix, turn, generation_prompt = pieces
    return opening, generation_prompt or history_prefix, turn


def _byte_of_character() -> dict[str, int]:
    """The printable character that stands for each byte in a byte-level vocabulary, as GPT-2 set it."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
