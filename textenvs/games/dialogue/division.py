"""Reading a proposal to divide books, hats and balls: who gets what, in free text."""

from __future__ import annotations

import re
from typing import NamedTuple

from textenvs.games.dialogue.stances import stance
from textenvs.parsing import MAX_CHARACTERS, number, words

ITEMS = ("book", "hat", "ball")
Split = tuple[int, ...]  # how many of each item the agent takes


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ITEM_OF = {form: i for i, name in enumerate(ITEMS) for form in (name, f"{name}s")}
_ITEM_OF |= {"novel": 0, "novels": 0, "cap": 1, "caps": 1, "basketball": 2, "basketballs": 2}
_OWNER = dict.fromkeys(_set("i me my mine myself im ill id"), "me")
_OWNER |= dict.fromkeys(_set("you u your yours yourself youll"), "you")
_OTHER = {"me": "you", "you": "me"}
_GIVE = _set("give giving gives leave leaving offer offering let letting hand concede sacrifice spare")
_TAKE = _set("take have keep get grab")
_NOT = _set("not without except besides minus but")
_CANNOT = _set("cannot cant dont wont")
_ALL = _set("all both every")
_EACH = _set("each items item things stuff kind type")
_REST = _set("rest others remainder else remaining leftovers left leftover")
_UNOWNED = frozenset(("and", "for", "to", "is", "are", "goes", "go", ""))
_LINKS = _set("the of other these those more only just")

_UNLESS = re.compile(r"\b(?:no|not|never|nothing|can't|cannot|won't)\b[\w ']{0,30}?\bwithout\b")
_TABLE = re.compile(r"\b(book|hat|ball)s?\s*[=:]\s*([0-9]+)")


class Act(NamedTuple):
    """What an utterance does.

    Attributes:
        kind: ``"propose"``, ``"accept"``, ``"refuse"`` (also a question), ``"leave"`` or ``"unknown"``.
        split: the agent's share, where one is proposed.
        hint: what is wrong with a proposal that cannot be used.
    """

    kind: str
    split: Split | None = None
    hint: str = ""


def read(text: str, pool: Split) -> Act:
    """What ``text`` means when ``pool`` is to be divided."""
    text = text[:MAX_CHARACTERS].lower().replace("’", "'")
    text = _TABLE.sub(r"\2 \1s", _UNLESS.sub("i need", text))
    claims = _Claims(pool)
    for clause in re.split(r"[,.;:!?\n]+", text):
        claims.hear(words(clause))
    if claims.hint or claims.any:
        split = None if claims.hint else claims.settle()
        return Act("propose", split) if split is not None else Act("unknown", hint=claims.hint)
    return Act(stance(text))


def count(amount: int, name: str) -> str:
    """``1 hat``, ``2 hats``."""
    return f"{amount} {name}{'s' * (amount != 1)}"


def spell(split: Split) -> str:
    """``1 book, 2 hats and 1 ball``; ``nothing``."""
    *firsts, last = [count(n, name) for n, name in zip(split, ITEMS, strict=True) if n] or ["nothing"]
    return f"{', '.join(firsts)} and {last}" if firsts else last


class _Claims:
    """What each side is said to get, gathered word by word.

    The owner of a thing is who was named last before it (``i give you the hat``), or with *for*, *to*, *mine* and
    *yours* right after it (``the hat for me``). A verb of giving passes the things on, a negation does too.
    """

    def __init__(self, pool: Split) -> None:
        self.pool = pool
        self.hint = ""
        self._gets: dict[str, dict[int, int | None]] = {"me": {}, "you": {}}  # None: all that the other has not
        self._rest: str | None = None
        self._loose: list[tuple[int, int | None]] = []  # things whose owner is not named yet
        self._owner: str | None = None
        self._before = False  # whether the owner was named by a "for" that stands before the things
        self._given = False  # whether the owner was named as whom things are given to
        self._negated = False
        self._group: list[tuple[int, int | None]] = []

    @property
    def any(self) -> bool:
        """Whether anything was said of who gets what."""
        return bool(self._rest or self._loose or self._gets["me"] or self._gets["you"])

    def hear(self, said: list[str]) -> None:
        """One clause; the owner named before stays."""
        self._group, self._negated = [], False
        amount: int | str | None = None
        for place, heard in enumerate([*said, ""]):
            word = "not" if heard.endswith("n't") or heard in _CANNOT else heard.split("'")[0]
            previous = said[place - 1] if place else ""
            if word in _LINKS:
                continue
            if word in _ITEM_OF:
                self._claim(_ITEM_OF[word], amount, plural=word.endswith("s"))
                amount = None
            elif word in _EACH and isinstance(amount, int):
                for item in range(len(self.pool)):
                    self._claim(item, amount, plural=False)
                amount = None
            elif word in _EACH and amount == "all":
                continue
            elif word in ("everything", "it") and (word == "everything" or amount == "all"):
                amount = "all"
            elif word in _REST and (word not in ("left", "else") or amount or "what" in said[:place]):
                amount = "rest"
            elif word in _ALL:
                amount = "all"
            elif word == "nothing":
                self._assign_rest(_OTHER[self._effective()])
            elif word in ("a", "an", "another"):
                amount = 1
            elif word == "half":
                amount = "half"
            elif word == "no" and place + 1 < len(said) and said[place + 1] in _ITEM_OF:
                amount = 0
            elif (told := number(word)) is not None and word:
                amount = told
            else:
                if amount in ("all", "rest") and (word in _OWNER or word in _NOT or word in _UNOWNED):
                    self._assign_rest(self._after(said[place:]) or self._effective())
                    amount = None
                self._direct(word, previous)

    def settle(self) -> Split | None:
        """The agent's share, or ``None`` with a hint."""
        for item, amount in self._loose:
            self._gets["me"][item] = amount
        sides = [side for side in ("me", "you") if self._gets[side]]
        rest = self._rest or (_OTHER[sides[0]] if len(sides) == 1 else None)
        split = []
        for item, most in enumerate(self.pool):
            mine, yours = (self._gets[side].get(item, -1) for side in ("me", "you"))
            if mine is None or yours is None:
                mine = most - max(yours or 0, 0) if mine is None else max(mine, 0)
            elif mine < 0 and yours < 0:
                if rest is None:
                    self.hint = f"who gets the {ITEMS[item]}{'s' * (most > 1)}?"
                    return None
                mine = most if rest == "me" else 0
            elif yours < 0:
                mine = most if self._rest == "me" else mine
            elif mine < 0:
                mine = 0 if self._rest == "you" else most - yours
            elif mine + yours != most:
                if mine + yours > most or self._rest is None:
                    self.hint = f"there {'is' if most == 1 else 'are'} {count(most, ITEMS[item])}. who gets what?"
                    return None
                mine = most - yours if self._rest == "me" else mine
            split.append(mine)
        return tuple(split)

    def _effective(self) -> str:
        owner = self._owner or "me"
        return _OTHER[owner] if self._negated else owner

    def _after(self, said: list[str]) -> str | None:
        """The owner in ``for you``, ``goes to me``, ``is yours``, if that comes next."""
        said = [word for word in said[:3] if word not in ("is", "are", "goes", "go")]
        if said and said[0] in ("mine", "yours"):
            return _OWNER[said[0]]
        return _OWNER.get(said[1]) if len(said) > 1 and said[0] in ("for", "to") else None

    def _assign_rest(self, owner: str) -> None:
        self._rest = owner

    def _claim(self, item: int, amount: int | str | None, plural: bool) -> None:
        most = self.pool[item]
        if amount == "half" and most % 2:
            self.hint = f"{count(most, ITEMS[item])} cannot be halved."
        named: int | None
        if amount == "rest":
            named = None
        elif amount == "half":
            named = most // 2
        elif isinstance(amount, int):
            named = amount
        else:
            named = most if amount == "all" or plural else 1
        if named is not None and named > most:
            self.hint = f"there {'is' if most == 1 else 'are'} only {count(most, ITEMS[item])}."
        self._group.append((item, named))
        if self._owner is None and not self._negated:
            self._loose.append((item, named))
        else:
            self._gets[self._effective()][item] = named

    def _direct(self, word: str, previous: str) -> None:
        """A word that says whose the next things are, or whose the last ones were."""
        if word in _NOT:
            self._negated = True
        elif word in _GIVE:
            self._owner = _OTHER[self._owner] if self._owner else "me"
            self._negated, self._group, self._before = self._negated and previous != "but", [], False
        elif word in _TAKE and self._owner is None:
            self._owner, self._before = "you", False
        elif word in _TAKE and self._given and self._group:  # "i give you the hat and keep the ball"
            self._owner, self._given, self._group = _OTHER[self._owner or "you"], False, []
        elif word in _OWNER:
            owner = _OWNER[word]
            behind = previous in ("for", "to") or word in ("mine", "yours")
            if behind and self._group and not self._before:
                self._pass_on(owner)
            else:
                self._owner, self._before, self._group = owner, previous == "for", []
                self._given = previous in _GIVE
                self._negated = self._negated and previous in _GIVE

    def _pass_on(self, owner: str) -> None:
        """The last things are ``owner``'s, and so are those that nobody was named for."""
        for item, amount in [*self._group, *self._loose]:
            self._gets["me"].pop(item, None)
            self._gets["you"].pop(item, None)
            self._gets[owner][item] = amount
        self._loose, self._group = [], []
        self._owner, self._negated = None, False
