"""Find out which city is thought of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.dialogue.cities import Question, answer, attributes, cities, plan, read

_SECRETS = ("country", "landmark", "dish", "fame", "river")


class GuessCity(Game):
    """TextGuessCity-v0: find out by questions which city the other thinks of.

    ## Description

    The other one thinks of one of 100 cities of the world; you ask about it and guess it. Thirteen things are known of
    each city: country, continent, language, sea, river, climate, size, height, whether it is a capital, hemisphere,
    fame (what it is best known for), a landmark and a dish. To an open question you get the fact, to one that names a
    value whether it is right. ``hidden`` facts are never told, only confirmed or denied. The city is one of
    ``choices``, which the opening lists; with 100 it is any and none is listed.

    ## Example transcript

    ```
    i think of a city: beirut, prague, johannesburg, cusco, mecca, hong kong, casablanca, baghdad, buenos aires, paris,
    santiago, samarkand, porto, honolulu, los angeles, dakar, marseille, helsinki, seville, rio de janeiro. i do not
    tell its country, landmark, dish, fame or river, only confirm it. ask about it or guess it, in 20 turns.
    > what language do people speak?
    people speak arabic.
    > what sea is it on?
    it does not lie on a sea.
    > is it mecca?
    no, it is not mecca.
    > is it baghdad?
    yes, it is baghdad.
    ```

    ## Observation

    The opening lists the cities that come into question and what is not told. Each reply is one short sentence that is
    true of the city; none before the last names it.

    ## Action

    Free text that asks one thing or names one city, small misspellings allowed:

    | to | say something like |
    |---|---|
    | ask openly | ``what language do people speak?``; ``Which country?``; ``how is the weather there`` |
    | have a value confirmed | ``is it in europe?``; ``do they speak Spanish``; ``France or Italy?`` (either of them) |
    | guess | ``is it paris?``; ``Paris``; ``Are you from NYC?`` |

    A comparison (``is it near paris?``), a negation, several things at once, or anything else is not understood. Every
    city is understood as a guess, also one that does not come into question.

    ``valid_actions`` lists the open questions about what is not hidden, and a guess at each city that comes into
    question (all hundred of them with 100 ``choices``).

    ## Reward

    -1 for each utterance, 0 for the right guess.

    ## Episode end

    Terminated at the right guess (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``choices`` | 8 | 20 | 100 | cities that come into question |
    | ``hidden`` | none | 5 facts | 6 facts | not told: country, landmark, dish, fame, river; language |
    | ``max_turns`` | 20 | 20 | 20 | truncation, as in LMRL-Gym |

    With 100 choices there are 100 instances, the cities; below, more than anyone plays.

    ## Expert

    A script that knows all facts: it searches over open questions and guesses two utterances deep for the fewest
    expected utterances, and estimates what is beyond. It does not use confirmations, nor which cities belong to the
    split. It always finds the city, with mean return -1.0, -1.3 and -3.8 (questions and wrong guesses) at easy, medium
    and hard. Random choice among the valid actions has -12.4, -13.9 and -18.3, and finds it in 62%, 50% and 17% of the
    episodes.

    ## Source

    Guess My City of LMRL-Gym (Abdulhai et al. 2023): its rewards, turn limit and number of cities. There a language
    model answers; here facts do. The facts are this package's own compilation; countries, capitals, continents and
    sizes were checked against GeoNames.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"choices": 8, "hidden": ()},
        "medium": {},
        "hard": {"choices": 100, "hidden": (*_SECRETS, "language")},
    }
    max_turns = 20

    def __init__(self, choices: int = 20, hidden: Sequence[str] = _SECRETS) -> None:
        if not 2 <= choices <= len(cities()):
            raise ValueError(f"choices must be 2 to {len(cities())}, not {choices!r}")
        hidden = tuple(hidden)
        unknown = [name for name in hidden if name not in attributes()]
        if unknown or len(hidden) == len(attributes()):
            raise ValueError(f"hidden must be some, not all, of {', '.join(attributes())}, not {hidden!r}")
        self.choices, self.hidden = choices, hidden
        self._questions = [asked["question"] for name, asked in attributes().items() if name not in hidden]
        self.max_choices = len(self._questions) + choices

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the cities that come into question, and one of them."""
        names = list(cities())
        self._names = tuple(names[i] for i in rng.permutation(len(names))[: self.choices])
        self._city = self._names[int(rng.integers(self.choices))]
        if self.choices == len(names):
            self._names = tuple(names)
        self._left = self._names
        which = f"one of {len(names)} known ones" if self.choices == len(names) else ", ".join(self._names)
        secret = f" i do not tell its {_either(self.hidden)}, only confirm it." if self.hidden else ""
        return f"i think of a city: {which}.{secret} ask about it or guess it, in {self.max_turns} turns."

    def instance(self) -> str:
        """The city, and which ones come into question."""
        return self._city if self.choices == len(cities()) else f"{self._city} of {', '.join(self._names)}"

    def step(self, action: str) -> Turn:
        """Answer a question or a guess."""
        question = read(action)
        if not question.kind:
            return Turn("ask one thing about the city, or guess one city.", -1.0)
        reply = answer(self._city, question, self.hidden)
        self._left = tuple(city for city in self._left if answer(city, question, self.hidden) == reply)
        if question == Question("guess", "", (self._city,)):
            return Turn(reply, 0.0, True, {"success": True})
        return Turn(reply, -1.0)

    def valid_actions(self) -> list[str]:
        """The open questions and a guess at each city that comes into question."""
        return [*self._questions, *(f"is it {name}?" for name in self._names)]

    def expert_action(self) -> str:
        """The question that leads to the city soonest, or a guess."""
        return plan(self._left, self.hidden)[1]


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
