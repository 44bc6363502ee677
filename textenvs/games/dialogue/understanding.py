"""What the agent's free text means: keywords, synonyms, numbers, clock times and small misspellings."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from textenvs.parsing import MAX_CHARACTERS, nearest


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {word: str(n) for n, word in enumerate(_NUMBER_WORDS.split())}
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
# words that also occur in questions about other slots: they count only where nothing sharper stands
_VAGUE = _words("to from where when part long leave leaving going travel arrive arriving eat town")
_GO = _words("go headed traveling travelling")  # they ask for a destination where no slot is named
_BOOK = _words("book booked booking reserve reserved reserving reservation confirm confirmed")
_MAY_I = _words("shall should may can could would want")
_LOOK_UP = _words("look lookup looking search searching find finding query select database check checking list show")
_FAILED = _words("no none nothing unfortunately cannot unavailable")
_NOT = _words("not don doesn didn couldn isn aren wasn")
_FOUND = _words("find found match matches matching available")
_ASK = _words("what which where when how any do would could can tell please prefer preference need know give")
_GREET = _words("hello hi hey welcome help thanks thank goodbye bye morning afternoon evening")
_POLITE = re.compile(r"\bno (?:problem|worries|rush)\b|\bor no\b")
_HOUR = rf"(?P<hour>[0-9]{{1,2}}|{'|'.join(_NUMBERS)})"
_CLOCK = re.compile(rf"\b{_HOUR}(?:[:.](?P<minutes>[0-9]{{2}}))?\s*(?P<half>am\b|pm\b|a\.m|p\.m|o.?clock)?")
_BARE_HOUR = re.compile(rf"\bat {_HOUR}(?=\s*$|\s*[,.!?]|\s+(?:on|for)\b)")
_WORD = re.compile(r"[a-z]+|[0-9]+")


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
        self._known = frozenset(self._vocabulary) | _FAILED | _NOT | _FOUND | _MAY_I | _ASK | _GREET | _GO

    def __call__(self, text: str) -> Act:
        """The act that ``text`` performs; never raises."""
        text = unicodedata.normalize("NFKD", text[:MAX_CHARACTERS]).lower()
        text = _POLITE.sub(" ", text)
        slots: dict[str, str] = {}
        rest = self._read_clock(text, slots)
        words = [self._word(word) for word in _WORD.findall(rest)]
        name = self._name(words)
        if name is not None:
            words = self._without(words, name)
        self._read_values(words, slots)
        kinds = set(words)
        question = "?" in text or bool(kinds & _ASK)
        asked = self._asked(words, slots, "?" in text)
        if name is not None and not kinds & _LOOK_UP:
            proposed = "?" in text and kinds & _MAY_I
            return Act("book" if kinds & _BOOK and not proposed else "offer", slots, name)
        if (kinds & _FAILED and not (slots and kinds & _LOOK_UP)) or (kinds & _NOT and kinds & _FOUND):
            return Act("no match", slots)
        if kinds & _LOOK_UP and (slots or not (asked and question)):
            return Act("look up", slots)
        if asked and (question or len(words) <= 3):
            return Act("ask", slots, asked=asked)
        if "sorry" in kinds:
            return Act("no match", slots)
        if kinds & _BOOK and slots:
            return Act("book", slots)
        return Act("greet") if kinds & _GREET else Act("unknown")

    def _read_clock(self, text: str, slots: dict[str, str]) -> str:
        if "time" not in self.values:
            return text
        clocks = (match for match in _CLOCK.finditer(text) if match["minutes"] or match["half"])
        match = next(clocks, None) or _BARE_HOUR.search(text)
        if match is None:
            return text
        minutes, half = (match["minutes"], match["half"]) if match.re is _CLOCK else (None, None)
        hour = int(_NUMBERS.get(match["hour"], match["hour"])) % 24
        # bookings are for the evening: 6:30 is 18:30, though 10:30 may be in the morning
        if (half and half[0] in "po" and hour < 12) or (half is None and hour < 10):
            hour += 12
        slots["time"] = f"{hour}:{minutes or '00'}"
        return text[: match.start()] + " " + text[match.end() :]

    def _word(self, word: str) -> str:
        word = _NUMBERS.get(word, _VALUES.get(word, word))
        if len(word) < 5 or word in self._known or word.isdigit():
            return word
        return nearest(word, self._vocabulary)

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
                fitting = [s for s in (*near, _SLOT_OF.get(before2)) if s and word in self.values.get(s, ())]
                slots.update({slot: slots.get(slot, word) for slot in fitting[:1]})

    def _asked(self, words: list[str], slots: Mapping[str, str], marked: bool) -> tuple[str, ...]:
        """The slots that a question is about; ``marked``: it has a question mark."""
        # "to" asks for a destination in "where do you go to", not in "where do you want to eat"
        ends = [*words[1:], ""]
        words = [w for w, after in zip(words, ends, strict=False) if w != "to" or after in ("", "and", "or", "from")]
        named = [word for word in words if _SLOT_OF.get(word) in self.values]
        sharp = [word for word in named if word not in _VAGUE]
        if not sharp and "when" in words:
            return tuple(slot for slot in ("day", "time") if slot in self.values)
        asked = tuple(dict.fromkeys(_SLOT_OF[word] for word in sharp or named))
        if asked:
            return asked
        if "many" in words:
            return ("people",)
        if "where" in words and _GO & set(words) and "destination" in self.values:
            return ("destination",)
        return tuple(slots) if marked else ()
