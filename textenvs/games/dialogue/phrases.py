"""The assistant's regular wording: what the expert says and what ``valid_actions`` lists."""

from __future__ import annotations

from collections.abc import Mapping

NO_MATCH = "there is no match, what else would you like"
QUESTIONS = {
    "food": "what food would you like",
    "area": "what area would you like",
    "price": "what price would you like",
    "stars": "how many stars would you like",
    "departure": "where do you leave from",
    "destination": "where do you go to",
    "people": "for how many people",
    "day": "on what day",
    "time": "at what time",
    "nights": "for how many nights",
}
_DETAILS = {"people": "for {} people", "day": "on {}", "time": "at {}", "nights": "for {} nights"}


def query(domain: str, constraints: Mapping[str, str]) -> str:
    """Look up the entities of ``domain`` that meet ``constraints``."""
    return " ".join(["look up", domain, *(f"{slot} {value}" for slot, value in constraints.items())])


def booking(name: str, details: Mapping[str, str]) -> str:
    """Book the entity called ``name``."""
    return " ".join([f"book {name}", *(_DETAILS[slot].format(value) for slot, value in details.items())])
