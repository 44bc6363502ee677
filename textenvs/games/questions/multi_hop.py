"""Look up linked facts to answer a question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.questions.encyclopedia import LEAST_PAGES, TYPES, Encyclopedia, content, kinds
from textenvs.games.questions.scoring import f1
from textenvs.parsing import words

_COMMANDS = {
    **dict.fromkeys(("search", "find", "look", "google"), "search"),
    **dict.fromkeys(("read", "open", "view", "show"), "read"),
    **dict.fromkeys(("answer", "answers"), "answer"),
}


class MultiHop(Game):
    """TextMultiHop-v0: look up linked facts to answer a question.

    ## Description

    A small encyclopedia of made-up people, cities, countries, companies, films and books. Each page has a few facts,
    many of which name other pages. A question follows ``hops`` facts from one page to the next (``who is the mayor of
    the birthplace of mara stone?``), or compares two things (``who was born first, ...?``), each of which is reached in
    that way. ``search`` finds pages by words, ``read`` shows a page.

    ## Example transcript

    ```
    search for words and read titles (0.05 each), then say answer and the answer. what is the seat of the employer of
    the person from rosinstad and born in 2003?
    > search person rosinstad 2003
    found: elsa hahn; felix cole; leo rossi.
    > read elsa hahn
    elsa hahn: a person from rosinstad, born in 2003, working for toroworks.
    > open toroworks
    toroworks: a company based in dorinton, run by david marsh, making paper, founded in 1897.
    > answer dorinton
    right.
    ```

    ## Observation

    The opening has the question. A search is answered by the titles of at most three pages: those that have most of the
    words, and of equals first those that have more of them in the title. ``read`` is answered by the page.

    ## Action

    Free text with a command among its first words: ``search``, ``find`` or ``look up`` and words; ``read``, ``open``,
    ``view`` or ``show`` and a title, or those words of it that no other title has; ``answer`` and the answer. Case,
    punctuation and small words (``the``, ``it is``) do not matter. Anything else is not understood.

    ## Reward

    F1 of the words of the answer, small words left out, less ``cost`` for each search, page read and utterance that is
    not understood.

    ## Episode end

    Terminated by the answer (``success`` if it has all the right words and no other); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``hops`` | 2 | 2 | 4 | facts to follow; to each side of a comparison two less (1 to 4) |
    | ``pages`` | 15 | 30 | 30 | pages there are (15 to 60) |
    | ``described`` | no | yes | yes | whether the first page is described by two facts, so that it has to be found |
    | ``comparisons`` | 0 | 0.25 | 0.25 | probability of a comparison; it names its pages |
    | ``cost`` | 0.05 | 0.05 | 0.05 | price of a call |
    | ``max_turns`` | 12 | 12 | 24 | truncation: three times the most that is needed |

    ## Expert

    Exact: it reads the pages of the chain and no other, after one search if the first one is described. As only the
    page of a thing tells its facts, no player can be sure of the answer with fewer calls. Mean return and success over
    1000 episodes: 0.90, 0.86 and 0.74, always with success; at random -0.28 and 0.16 (easy), -0.26 and 0.14 (medium),
    -0.42 and 0.16 (hard).

    ## Source

    HotpotQA (Yang et al. 2018), with its bridge and comparison questions and its F1, and the tools of ReAct (Yao et al.
    2023). The encyclopedia is this package's own, drawn anew for each episode.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"pages": 15, "described": False, "comparisons": 0.0},
        "medium": {},
        "hard": {"hops": 4},
    }

    def __init__(
        self,
        hops: int = 2,
        pages: int = 30,
        described: bool = True,
        comparisons: float = 0.25,
        cost: float = 0.05,
    ) -> None:
        if not 1 <= hops <= 4:
            raise ValueError(f"hops must be 1 to 4, not {hops!r}")
        if not LEAST_PAGES <= pages <= 60:
            raise ValueError(f"pages must be {LEAST_PAGES} to 60, not {pages!r}")
        if not 0 <= comparisons <= 1:
            raise ValueError(f"comparisons is a probability: it must be 0 to 1, not {comparisons!r}")
        if not 0 <= cost <= 0.1:
            raise ValueError(f"cost must be 0 to 0.1, not {cost!r}")
        self.hops, self.pages, self.described, self.comparisons, self.cost = hops, pages, described, comparisons, cost
        self.max_turns = 3 * (2 + max(2, hops, 2 * hops - 2))
        self.max_choices = 2 + len(TYPES) + pages + max(kinds(pages).values())

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the pages and the question."""
        self._book = Encyclopedia(self.pages, rng)
        if rng.random() < self.comparisons:
            self._question = self._book.compare(max(self.hops - 2, 0), rng)
        else:
            self._question = self._book.follow(self.hops, self.described, rng)
        self._seen: dict[str, str] = {}  # titles and other values that were told -> what kind each is
        self._read: set[str] = set()
        self._searched = not self._question.search  # whether the described page was searched for
        self._see(*(title for title in self._book.pages if title in self._question.text))
        price = f" ({self.cost:g} each)" if self.cost else ""
        return f"search for words and read titles{price}, then say answer and the answer. {self._question.text}"

    def instance(self) -> str:
        """The pages and the question."""
        return " ".join([*(page.text() for page in self._book.pages.values()), self._question.text])

    def step(self, action: str) -> Turn:
        """Search, read or answer."""
        command, rest = _read(action)
        if command == "answer" and content(rest):
            score = f1(content(rest), content(self._question.answer))
            right = score == 1
            return Turn("right." if right else f"no, {self._question.answer}.", score, True, {"success": right})
        if command == "search" and content(rest):
            found = self._book.search(rest)
            self._searched |= content(self._question.search) <= content(rest)
            self._see(*found)
            return Turn(f"found: {'; '.join(found)}." if found else "nothing found.", -self.cost)
        if command != "read" or not content(rest):
            return Turn("say search and words, read and a title, or answer and the answer.", -self.cost)
        title = self._book.find(rest)
        if title is None:
            return Turn("there is no such page.", -self.cost)
        page = self._book.pages[title]
        self._read.add(title)
        self._see(title)
        self._seen.update(zip(page.facts.values(), page.kinds(), strict=True))
        return Turn(page.text(), -self.cost)

    def valid_actions(self) -> list[str]:
        """Searches for what is named and for types, the pages heard of, and the answers heard of that fit."""
        question, starts = self._question, [chain[0] for chain in self._question.chains]
        return [
            *(f"search {words}" for words in [*([question.search] if question.search else starts), *TYPES]),
            *(f"read {value}" for value in self._seen if value in self._book.pages),
            *(f"answer {value}" for value, kind in self._seen.items() if kind == question.kind),
        ]

    def expert_action(self) -> str:
        """The next page of the chain that was not read, or the answer."""
        for chain in self._question.chains:
            for title in chain:
                if title not in self._read:
                    return f"read {title}" if self._searched else f"search {self._question.search}"
        return f"answer {self._question.answer}"

    def _see(self, *titles: str) -> None:
        self._seen.update({title: self._book.pages[title].type for title in titles})


def _read(text: str) -> tuple[str | None, str]:
    """The command that a text gives among its first words, and what stands after it."""
    said = words(text)
    for i, word in enumerate(said[:4]):
        if word in _COMMANDS:
            return _COMMANDS[word], " ".join(said[i + 1 :])
    return None, ""
