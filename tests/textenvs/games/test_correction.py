from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.language import errors, lexicon
from textenvs.games.language.correction import Correction
from textenvs.games.language.grammar import Grammar
from textenvs.games.language.lexicon import english, with_articles

pytest.importorskip("nltk")


def start(seed: int = 0, **knobs: Any) -> Correction:
    game = Correction(**knobs)
    game.reset(np.random.default_rng(seed))
    return game


def start_with(*pairs: tuple[str, str]) -> Correction:
    """A game that gives these sentences for these right ones."""
    game = start(sentences=len(pairs))
    game._given, game._right = [given for given, _ in pairs], [right for _, right in pairs]
    return game


def test_an_episode() -> None:
    game = start_with(("yesterday him slept", "yesterday he slept"), ("now she sing", "now she sings"))
    assert game.step(" ... ") == ("please correct it. 1 of 2: yesterday him slept.", 0.0, False, {})
    assert game.step("Yesterday, he slept!") == ("right. 2 of 2: now she sing.", 0.5, False, {})
    turn = game.step("now she sing")
    assert turn == ("it is: now she sings.", 0.0, True, {"success": False, "exact": 0.5})


def test_the_reward_is_the_share_of_the_lost_gleu_that_is_won_back() -> None:
    given, right = "now now two dog sleeps here", "now two dogs sleep here"
    # Of the n-grams of the right sentence (5 + 4 + 3 + 2) the given one, which has 6 + 5 + 4 + 3, has three words and a
    # pair; the answer below has 4 words, 3 pairs, 2 triples and 1 of four.
    answer = "now two dogs sleep there"
    lost, back = 4 / 18, (4 + 3 + 2 + 1) / 14
    assert start_with((given, right)).step(answer).reward == pytest.approx((back - lost) / (1 - lost))
    assert start_with((given, right)).step("blah").reward == pytest.approx(-lost / (1 - lost))
    nearly = "now the small old dogs slepe here again", "now the small old dogs sleep here again"
    assert start_with(nearly).step("blah").reward == -1.0


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and -1 / 3 <= turn.reward <= 1 / 3 and not turn.terminated


@pytest.mark.parametrize("level", Correction.levels)
def test_instances_are_as_the_level_says(level: str) -> None:
    game, seen = Correction(**Correction.levels[level]), set()
    for seed in range(40):
        opening = game.reset(np.random.default_rng(seed))
        assert f"1 of 3: {game._given[0]}." in opening
        seen.add(game.instance())
        total = 0.0
        for text, right in zip(game._given, game._right, strict=True):
            assert game.least_words <= len(right.split()) <= game.most_words and text != right
            choices = game.valid_actions()
            assert {text, right} <= set(choices) and choices == sorted(set(choices))
            assert len(choices) <= game.max_choices
            turn = game.step(game.expert_action())
            total += turn.reward
        assert turn.terminated and turn.info["success"] and total == pytest.approx(1)
    assert len(seen) == 40


# --- the kinds of errors ---

SENTENCES = {
    "now the/The old/A.any girls/N.anim[pl] walk/V.alone[pl,now] slowly/Adv": {
        "now the the old girls walk slowly",
        "now the girls old walk slowly",
        "now the old girls walked slowly",
        "now the old girls walk slow",
    },
    "yesterday/Then an/Art owl/N.anim[sg] saw/V.anim[sg,past] him/ProO": {
        "yesterday an an owl saw him",
        "yesterday a owl saw him",
        "yesterday an owls saw him",
        "yesterday an owl sees him",
        "yesterday an owl saw he",
    },
    "now/Now two/Num[pl] blue/A.any children/N.anim[pl] are/Be[pl,now] quiet/A.anim": {
        "now two blue child are quiet",
        "now two blue childs are quiet",
        "now two children blue are quiet",
        "now two blue children is quiet",
        "now two blue children were quiet",
        "now two blue children are quietly",
    },
    "last/Last week/Time she/Pro[sg] went/V.way[sg,past] to/To my/Poss city/N.place[sg]": {
        "last week her went to my city",
        "last week she goes to my city",
        "last week she went to to my city",
    },
}


@pytest.mark.parametrize("tagged", SENTENCES)
def test_possible_errors(tagged: str) -> None:
    words = [tuple((part if "/" in part else f"{part}/Now").split("/")) for part in tagged.split()]
    possible = errors.possible_errors(words)  # type: ignore[arg-type]
    said = {errors.with_errors(words, [error]) for error in possible if error.kind != "spelling"}  # type: ignore[arg-type]
    assert said == SENTENCES[tagged]
    spelling = {words[min(error.said)][0] for error in possible if error.kind == "spelling"}
    assert spelling == {word for word, _ in words if len(word) >= 5}


def test_every_kind_of_error_is_drawn() -> None:
    rng, kinds = np.random.default_rng(0), Counter[str]()
    game = start()
    for _ in range(300):
        possible = errors.possible_errors(game._write(rng))
        kinds.update(error.kind for error in errors.draw_errors(possible, 2, rng))
    assert sorted(kinds) == ["adverb", "article", "doubled", "noun", "order", "pronoun", "spelling", "verb"]
    assert min(kinds.values()) >= 10


def test_every_long_word_can_be_misspelt() -> None:
    rng = np.random.default_rng(0)
    words = [word for word in english().words() if len(word) >= 5]
    for i in rng.permutation(len(words))[:40]:
        wrong = errors.misspell(words[i], rng)
        assert near(wrong) == {words[i]}


# --- an independent search for what can be meant ---


def distance(one: str, other: str) -> int:
    """Letters put in, left out or changed, and neighbours swapped (optimal string alignment)."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b)))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                row[-1] = min(row[-1], rows[-2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]


@cache
def near(word: str) -> frozenset[str]:
    known = [other for other in english().words() if abs(len(other) - len(word)) < 2]
    return frozenset(other for other in known if distance(word, other) <= 1)


@cache
def forms() -> dict[str, set[str]]:
    """Each word with those that it is confused with by grammar, and each regular form with the irregular one."""
    lists, found = lexicon.lexicon(), {}
    confused = [
        {"he", "him"},
        {"she", "her"},
        {"they", "them"},
        {"we", "us"},
        {"a", "an"},
        {"is", "are", "was", "were"},
    ]
    verbs = [verb for some in lists["verbs"].values() for verb in some.split()]
    nouns = [noun for some in lists["nouns"].values() for noun in some.split()]
    confused += [{verb, lexicon.singular_verb(verb), lexicon.past(verb)} for verb in verbs]
    confused += [{noun, lexicon.plural(noun)} for noun in nouns]
    for adjective in " ".join(lists["adjectives"].values()).split():
        confused += [{adjective, adverb} for adverb in (f"{adjective}ly", f"{adjective[:-1]}ily") if adverb in _known()]
    for some in confused:
        for word in some:
            found.setdefault(word, set()).update(some)
    for verb in verbs:
        found.setdefault(lexicon.regular_past(verb), set()).add(lexicon.past(verb))
    for noun in nouns:
        found.setdefault(lexicon.regular_plural(noun), set()).add(lexicon.plural(noun))
    return found


@cache
def _known() -> frozenset[str]:
    return frozenset(english().words())


@cache
def written_english() -> Grammar:
    """The grammar without what is only read."""
    lines = []
    for line in lexicon.data("english.txt").splitlines():
        left, arrow, right = line.partition(" -> ")
        kept = [alternative for alternative in right.split(" | ") if not alternative.startswith("0")]
        lines += [f"{left}{arrow}{' | '.join(kept)}"] if kept and not left.startswith("#") else []
    kinds = {kind: words for kind, words in lexicon._kinds().items() if ".other" not in kind}
    return Grammar("\n".join(lines), kinds)


def is_right(words: tuple[str, ...]) -> bool:
    grammar = written_english()
    readings, _ = grammar.read([dict.fromkeys(grammar.kinds(word), "") for word in words])
    return bool(readings) and with_articles(words) == list(words)


def repairs(text: str) -> set[tuple[str, ...]]:
    """All that one change makes of a sentence."""
    words = tuple(text.split())
    found: set[tuple[str, ...]] = set()
    for i, word in enumerate(words):
        others = forms().get(word, set()) if word in _known() else forms().get(word, set()) | near(word)
        found |= {(*words[:i], other, *words[i + 1 :]) for other in others}
        if i and word == words[i - 1]:
            found.add((*words[:i], *words[i + 1 :]))
        if i and "A" in english().kinds(word) and any(kind[0] == "N" for kind in english().kinds(words[i - 1])):
            found.add((*words[: i - 1], word, words[i - 1], *words[i + 1 :]))
    return found - {words}


def test_one_error_has_one_repair() -> None:
    game = Correction(error_rate=0, least_words=5, most_words=8)
    for seed in range(80):
        game.reset(np.random.default_rng(seed))
        for text, right in zip(game._given, game._right, strict=True):
            assert not is_right(tuple(text.split()))
            assert {" ".join(words) for words in repairs(text) if is_right(words)} == {right}


def test_two_errors_have_no_single_repair() -> None:
    for seed in range(40):
        game = start(seed)
        for text in game._given:
            assert not any(map(is_right, repairs(text)))


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"error_rate": 0.5}, "error_rate must be 0 to 0.4, not 0.5"),
        ({"least_words": 2}, "least_words must be 3 to 8, not 2"),
        ({"most_words": 7}, "most_words must be least_words . 2 to 10, not 7"),
        ({"sentences": 0}, "sentences must be 1 to 6, not 0"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Correction(**knobs)
