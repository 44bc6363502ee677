"""Summarise a report within a length limit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.language.lexicon import data, draw
from textenvs.games.language.metrics import rouge
from textenvs.parsing import words

_ASPECTS = ("what", "where", "when", "why", "how many", "who")
_LIMITS = (0, 1, 5, 7, 9, 11, 13)  # by the number of facts: the words of the longest reference
_SMALL_WORDS = frozenset(["a", "an", "the"])
_CHOICES = 8


class Summary(Game):
    """TextSummary-v0: summarise a news report in few words, keeping the facts that are asked for.

    ## Description

    A report tells of an event: what happened, where, when, why, how many of something, and who commented. Some of this
    is to be kept in a summary of at most ``limit`` words. The rest of the report is other facts about the event, other
    towns, months and numbers, and things of no matter.

    ## Example transcript

    ```
    summarise in at most 9 words, like a headline. keep what happened, where, when, how many were hurt. report: a crash
    has blocked a main road. it happened in longton. seven cars with visitors stood near the church. sunday was the day
    of it. the weather was mild and dry. three people were hurt. last year five people in walley lived through the same.
    a reporter from halton has written about it.
    > Crash in Longton on Sunday: three people hurt.
    4 of 4 facts kept. it could be: crash in longton on sunday, three hurt.
    ```

    ## Observation

    The opening says the limit, what to keep, and the report; the reply says how many facts were kept, and a reference.

    ## Action

    The summary, as free text. Only the first ``limit`` words count. Any text is an answer, save one without a word,
    which is asked for again.

    ## Reward

    Half of it is the share of facts kept: a fact is kept where its words are said, such as ``flood`` or ``flooded``,
    the town, the day, ``three`` or ``3``, the family name, and all words of a reason save articles. The other half is
    ROUGE, the mean of the F-scores of ROUGE-1, ROUGE-2 and ROUGE-L with stemming by rouge-score, against the nearer of
    two references: ``flood in redford on monday after long rain, three hurt, says bell`` and ``a flood hit redford on
    monday after long rain, three hurt, says bell``, each with what is asked for only.

    ## Episode end

    Terminated by the first summary (``success`` if all facts were kept; ``info["facts"]`` is the share kept and
    ``info["rouge"]`` the score); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``facts`` | 2 | 4 | 6 | facts to keep: what happened and others of the six above |
    | ``sentences`` | 5 | 8 | 11 | sentences of the report |
    | ``limit`` | 6 | 9 | 13 | words that count |
    | ``max_turns`` | 3 | 3 | 3 | truncation |

    ## Expert

    A script that says the facts as the first reference does, which always earns 1: it knows how the references are
    worded, what a player has to learn. Random choice among the valid actions (the reference, the same without a fact,
    and sentences of the report) earns 0.32 (easy), 0.33 (medium) and 0.34 (hard) and succeeds in 0.18, 0.12 and 0.14.

    ## Source

    Reports are this package's own. Summaries rewarded by ROUGE are in RL4LMs (Ramamurthy et al. 2023, on
    CNN/DailyMail). ROUGE is that of rouge-score (Lin 2004), of which a call takes half a millisecond, and the first in
    a process about one second more, for the import.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"facts": 2, "sentences": 5, "limit": 6},
        "medium": {},
        "hard": {"facts": 6, "sentences": 11, "limit": 13},
    }
    max_turns = 3
    max_choices = _CHOICES

    def __init__(self, facts: int = 4, sentences: int = 8, limit: int = 9) -> None:
        if not 1 <= facts <= len(_ASPECTS):
            raise ValueError(f"facts must be 1 to {len(_ASPECTS)}, not {facts!r}")
        if not facts <= sentences <= 15:
            raise ValueError(f"sentences must be facts to 15, not {sentences!r}")
        if not _LIMITS[facts] <= limit <= 30:
            raise ValueError(f"limit must be {_LIMITS[facts]} to 30 for {facts} facts, not {limit!r}")
        self.facts, self.sentences, self.limit = facts, sentences, limit

    def reset(self, rng: np.random.Generator) -> str:
        """Draw an event and write its report."""
        news = _news()
        self._what = draw(rng, sorted(news["events"]))[0]
        self._town, *other_towns = draw(
            rng, [f"{a}{b}" for a in news["towns"]["first"] for b in news["towns"]["last"]], 4
        )
        self._number, *other_numbers = draw(rng, news["numbers"], 4)
        self._person = f"{draw(rng, news['people']['roles'])[0]} {draw(rng, news['people']['names'])[0]}"
        self._day, self._cause = draw(rng, news["days"])[0], draw(rng, self._event["causes"])[0]
        others = {"town": other_towns, "number": other_numbers, "month": draw(rng, news["months"], 3)}
        drawn = {"what", *draw(rng, _ASPECTS[1:], self.facts - 1)}
        self._asked = [aspect for aspect in _ASPECTS if aspect in drawn]
        self._report = self._write(rng, others)
        asked = [self._event["asked"] if aspect == "how many" else news["asked"][aspect] for aspect in self._asked[1:]]
        return (
            f"summarise in at most {self.limit} words, like a headline. keep {', '.join(['what happened', *asked])}. "
            f"report: {'. '.join(self._report)}."
        )

    def instance(self) -> str:
        """The report and what to keep."""
        return f"{', '.join(self._asked)}: {'. '.join(self._report)}"

    def step(self, action: str) -> Turn:
        """Take the summary."""
        said = words(action)[: self.limit]
        if not said:
            return Turn(f"please summarise the report in at most {self.limit} words.")
        kept = [aspect for aspect in self._asked if any(fact <= set(said) for fact in self._facts(aspect))]
        share = len(kept) / len(self._asked)
        score = max(rouge(" ".join(said), reference) for reference in self._references())
        info = {"success": len(kept) == len(self._asked), "facts": share, "rouge": score}
        text = f"{len(kept)} of {len(self._asked)} facts kept. it could be: {self._references()[0]}."
        return Turn(text, (share + score) / 2, True, info)

    def valid_actions(self) -> list[str]:
        """The reference, the same without a fact, and the first sentences of the report; in alphabetical order."""
        cut = [" ".join(sentence.split()[: self.limit]) for sentence in self._report[: _CHOICES - 2]]
        return sorted({self.expert_action(), self._reference(self._what, self._asked[:-1]), *cut})

    def expert_action(self) -> str:
        """The reference."""
        return self._references()[0]

    @property
    def _event(self) -> dict[str, Any]:
        return _news()["events"][self._what]  # type: ignore[no-any-return]

    def _write(self, rng: np.random.Generator, others: Mapping[str, Sequence[str]]) -> list[str]:
        """The sentences of the report; what is asked for is told once, and the rest as there is room."""
        true = {"town": self._town, "day": self._day, "cause": self._cause, "person": self._person}
        templates = {aspect: _news()[aspect] for aspect in ("where", "when", "why", "who")}
        templates["how many"] = [self._event["told"]]
        if rng.integers(2):
            lead = self._event["lead"] + " on {day}"
            del templates["where"], templates["when"]
        else:
            lead = self._event["bare"]
        told = {aspect: draw(rng, some)[0].format(**true, number=self._number) for aspect, some in templates.items()}
        needed = [text for aspect, text in told.items() if aspect in self._asked]
        room = [text for aspect, text in told.items() if aspect not in self._asked]
        room += [
            text.format(**{slot: draw(rng, values)[0] for slot, values in others.items()}) for text in _news()["other"]
        ]
        rest = [*needed, *draw(rng, room, self.sentences - 1 - len(needed))]
        return [lead.format(**true), *draw(rng, rest, len(rest))]

    def _facts(self, aspect: str) -> list[set[str]]:
        """The sets of words any of which keeps a fact."""
        news = _news()
        if aspect == "how many":
            return [{self._number}, {news["digits"][news["numbers"].index(self._number)]}]
        said = {"where": self._town, "when": self._day, "why": self._cause, "who": self._person.split()[1]}
        if aspect in said:
            return [set(words(said[aspect])) - _SMALL_WORDS]
        return [{name} for name in self._event["names"]]

    def _references(self) -> list[str]:
        """The summaries to compare with."""
        lead = self._event["lead"].format(town=self._town)
        led = [aspect for aspect in self._asked if aspect != "where"]
        found = [self._reference(self._what, self._asked)]
        return [*found, self._reference(lead, led)] if "where" in self._asked else found

    def _reference(self, start: str, aspects: Sequence[str]) -> str:
        told = {"where": f"in {self._town}", "when": f"on {self._day}", "why": f"after {self._cause}"}
        first = " ".join([start, *[told[aspect] for aspect in aspects if aspect in told]])
        more = {"how many": self._event["short"].format(number=self._number), "who": f"says {self._person.split()[1]}"}
        return ", ".join([first, *[more[aspect] for aspect in aspects if aspect in more]])


@cache
def _news() -> dict[str, Any]:
    """The shipped events and wordings."""
    return json.loads(data("reports.json"))  # type: ignore[no-any-return]
