"""What the agent's free text means: keywords, synonyms, numbers, clock times and small misspellings."""

from __future__ import annotations

import difflib
import itertools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

_MAX_CHARACTERS = 300
_NUMBERS = {
    word: str(n)
    for n, word in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"])
}
_DAYS = {"mon": "monday", "tue": "tuesday", "wed": "wednesday", "thu": "thursday", "fri": "friday", "sat": "saturday"}
_VALUES = {
    **_DAYS,
    "sun": "sunday",
    "inexpensive": "cheap",
    "affordable": "cheap",
    "moderately": "moderate",
    "pricey": "expensive",
    "upscale": "expensive",
    "northern": "north",
    "southern": "south",
    "eastern": "east",
    "western": "west",
    "center": "centre",
    "downtown": "centre",
    "central": "centre",
}
_SLOTS = {
    "food": "food cuisine dish dishes eat",
    "area": "area part location where side district neighbourhood town",
    "price": "price prices budget cost spend pricerange",
    "stars": "star stars rating",
    "departure": "departure from leaving leave departing depart",
    "destination": "destination to going arrive arriving travel heading",
    "people": "people persons person guests guest party tickets ticket seats seat",
    "nights": "nights night long stay staying",
    "time": "time clock",
    "day": "day date when",
}
_SLOT_OF = {word: slot for slot, words in _SLOTS.items() for word in words.split()}
_BOOK = frozenset(
    ["book", "booked", "booking", "reserve", "reserved", "reserving", "reservation", "confirm", "confirmed"]
)
_LOOK_UP = frozenset(["look", "lookup", "search", "searching", "find", "query", "database", "check", "list", "show"])
_NO_MATCH = frozenset(["no", "none", "nothing", "unfortunately", "sorry", "cannot", "unavailable"])
_ASK = frozenset(
    [
        "what",
        "which",
        "where",
        "when",
        "how",
        "any",
        "do",
        "would",
        "could",
        "can",
        "tell",
        "please",
        "prefer",
        "preference",
    ]
)
_GREET = frozenset(["hello", "hi", "hey", "welcome", "help", "thanks", "thank", "goodbye", "bye"])
_CLOCK = re.compile(r"\b(\d{1,2})(?:[:.](\d{2}))?\s*(am|pm)?\b")
_WORD = re.compile(r"[a-z]+|\d+")


@dataclass(frozen=True)
class Act:
    """One utterance, understood.

    Attributes:
        kind: ``"ask"``, ``"look up"``, ``"book"``, ``"offer"``, ``"no match"``, ``"greet"`` or ``"unknown"``.
        slots: the values named, by slot.
        name: the entity named, if any.
        asked: the slots asked for.
    """

    kind: str
    slots: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    asked: tuple[str, ...] = ()


class Understanding:
    """Reads utterances about one domain.

    Args:
        values: slot -> its values, of constraints and booking details.
        names: the names of the entities.
    """

    def __init__(self, values: Mapping[str, list[str]], names: list[str]) -> None:
        self.values = {slot: frozenset(known) for slot, known in values.items()}
        self.names = frozenset(names)
        self._words = {
            word: slot
            for slot, known in values.items()
            if slot not in ("departure", "destination")
            for word in known
            if word.isalpha()
        }
        self._cities = self.values.get("departure", frozenset())
        vocabulary = {*self._words, *self._cities, *(part for name in names for part in name.split() if part.isalpha())}
        self._vocabulary = tuple(sorted({*vocabulary, *_SLOT_OF, *_BOOK, *_LOOK_UP, *_VALUES}))
        self._known = frozenset(self._vocabulary) | _NO_MATCH | _ASK | _GREET

    def __call__(self, text: str) -> Act:
        """The act that ``text`` performs; never raises."""
        text = unicodedata.normalize("NFKD", text[:_MAX_CHARACTERS]).lower()
        slots: dict[str, str] = {}
        rest = self._read_clock(text, slots)
        words = [self._word(word) for word in _WORD.findall(rest)]
        name = self._name(words)
        if name is not None:
            words = self._without(words, name)
        self._read_values(words, slots)
        kinds = set(words)
        asked = tuple(dict.fromkeys(_SLOT_OF[word] for word in words if _SLOT_OF.get(word) in self.values))
        if name is not None and not kinds & _LOOK_UP:
            return Act("book" if kinds & _BOOK else "offer", slots, name)
        if kinds & _LOOK_UP and not (kinds & _NO_MATCH and not slots):
            return Act("look up", slots)
        if kinds & _NO_MATCH and not kinds & {"any"}:
            return Act("no match", slots)
        if asked and (kinds & _ASK or "?" in text or len(words) <= 3):
            return Act("ask", slots, asked=self._sharpest(kinds, asked))
        if kinds & _BOOK and slots:
            return Act("book", slots)
        return Act("greet") if kinds & _GREET else Act("unknown")

    def _read_clock(self, text: str, slots: dict[str, str]) -> str:
        if "time" not in self.values:
            return text
        for match in _CLOCK.finditer(text):
            hours, minutes, half = match.groups()
            if minutes is None and half is None:
                continue
            hour = int(hours) % 24
            if (half == "pm" and hour < 12) or (half is None and hour < 10):
                hour += 12
            slots["time"] = f"{hour}:{minutes or '00'}"
            return text[: match.start()] + " " + text[match.end() :]
        return text

    def _word(self, word: str) -> str:
        word = _NUMBERS.get(word, _VALUES.get(word, word))
        if len(word) < 5 or word in self._known or word.isdigit():
            return word
        return _nearest(word, self._vocabulary)

    def _name(self, words: list[str]) -> str | None:
        for first, second in itertools.pairwise(words):
            if f"{first} {second}" in self.names:
                return f"{first} {second}"
        return None

    @staticmethod
    def _without(words: list[str], name: str) -> list[str]:
        first, second = name.split()
        for index, pair in enumerate(itertools.pairwise(words)):
            if pair == (first, second):
                return words[:index] + words[index + 2 :]
        return words

    def _read_values(self, words: list[str], slots: dict[str, str]) -> None:
        padded = ["", "", *words, ""]
        for before2, before, word, after in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
            if word in self._words:
                slots.setdefault(self._words[word], word)
            elif word in self._cities:
                slot = "destination" if before in ("to", "destination", "for") else "departure"
                if before not in ("to", "from", "destination", "departure", "for") and "departure" in slots:
                    slot = "destination"
                slots.setdefault(slot, word)
            elif word.isdigit():
                near = (_SLOT_OF.get(after), _SLOT_OF.get(before), "people" if before == "for" else None)
                for slot in (*near, _SLOT_OF.get(before2)):
                    if slot is not None and word in self.values.get(slot, ()):
                        slots.setdefault(slot, word)
                        break

    @staticmethod
    def _sharpest(kinds: set[str], asked: tuple[str, ...]) -> tuple[str, ...]:
        """Words that also occur in questions about other things count only where nothing sharper stands."""
        vague = {"to", "from", "where", "when", "part", "long", "leave", "going", "town"}
        sharp = tuple(slot for slot in asked if any(word in kinds - vague for word in _SLOTS[slot].split()))
        return sharp or asked


@lru_cache(maxsize=4096)
def _nearest(word: str, vocabulary: tuple[str, ...]) -> str:
    near = [known for known in vocabulary if known[0] == word[0] and abs(len(known) - len(word)) <= 2]
    return next(iter(difflib.get_close_matches(word, near, n=1, cutoff=0.8)), word)
