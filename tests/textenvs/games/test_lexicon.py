from __future__ import annotations

import re

import numpy as np
import pytest

from textenvs.games.language import lexicon
from textenvs.games.language.grammar import Grammar, parse_rules
from textenvs.games.language.lexicon import english, with_articles

TOY = """
# S -> 1 nothing
n = sg pl
S -> 2 NP[n] VP[n] | 0 NP[n] VP[n] too
NP[n] -> 1 the N.thing[n] PP?
PP -> 1 on NP[n]
VP[n] -> 1 V[n]
"""
WORDS = {
    "N.thing[sg]": ["box"],
    "N.thing[pl]": ["boxes"],
    "N.other[sg]": ["fall"],
    "V[sg]": ["falls"],
    "V[pl]": ["fall"],
}


def readings(grammar: Grammar, text: str) -> tuple[set[tuple[str, ...]], int]:
    return grammar.read([{kind: kind for kind in grammar.kinds(word)} for word in text.split()])


def test_rules_are_expanded() -> None:
    rules = parse_rules(TOY)
    assert rules["NP[sg]"] == [(1, ("the", "N.thing[sg]", "PP")), (1, ("the", "N.thing[sg]"))]
    assert rules["PP"] == [(1, ("on", "NP[sg]")), (1, ("on", "NP[pl]"))]
    assert [weight for weight, _ in rules["S"]] == [2, 2, 0, 0] and "# S" not in rules


def test_a_toy_grammar_reads_and_writes() -> None:
    toy = Grammar(TOY, WORDS)
    assert readings(toy, "the box falls") == ({("the", "N[sg]", "V[sg]")}, 3)
    assert readings(toy, "the fall falls too")[0] == {("the", "N[sg]", "V[sg]", "too")}
    assert readings(toy, "the boxes on the box fall")[0] == {("the", "N[pl]", "on", "the", "N[sg]", "V[pl]")}
    assert readings(toy, "the boxes falls") == (set(), 2)
    assert readings(toy, "box the falls") == (set(), 0)
    assert readings(toy, "the box") == (set(), 2)
    rng = np.random.default_rng(0)
    written = {" ".join(word for word, _ in toy.write(rng)) for _ in range(200)}
    assert {"the box falls", "the boxes fall", "the box on the boxes falls"} <= written
    assert not any("too" in text or "the fall " in text for text in written)
    assert all(readings(toy, text)[0] for text in written)


def test_favoured_words_are_written_more_often() -> None:
    rng, counts = np.random.default_rng(0), []
    grammar = Grammar("S -> 1 N", {"N": list("abcdefgh")})
    for favoured in ((), ("a",)):
        counts.append(sum(grammar.write(rng, favoured)[0][0] == "a" for _ in range(800)))
    assert 60 < counts[0] < 140 and 260 < counts[1] < 400  # 1/8 and 1 - (7/8)^4 of 800


def test_the_readings_are_those_of_nltk() -> None:
    nltk = pytest.importorskip("nltk")
    grammar, rng = english(), np.random.default_rng(5)
    sentences = [with_articles([word for word, _ in grammar.write(rng)]) for _ in range(60)]
    short = [words for words in sentences if len(words) < 10]
    shuffled = [[words[int(i)] for i in rng.permutation(len(words))] for words in short]
    typed = [
        "my sister and i want to see the ducks",
        "there was a dog that saw her duck in the park",
        "she can fly home",
    ]
    read = 0
    for words in [*short, *shuffled, *map(str.split, typed)]:
        ours = readings(grammar, " ".join(words))[0]
        assert ours == by_nltk(nltk, words)
        read += bool(ours)
    assert len(short) + len(typed) <= read < 2 * len(short)


def by_nltk(nltk, words: list[str]) -> set[tuple[str, ...]]:  # type: ignore[no-untyped-def]
    """The kinds of the words in all parses by nltk's chart parser."""

    def plain(symbol: str) -> str:
        return re.sub(r"\.\w+", "", symbol)

    nonterminal, production = nltk.Nonterminal, nltk.Production
    rules = {
        (plain(left), tuple(map(plain, right)))
        for left, alternatives in parse_rules(lexicon.data("english.txt")).items()
        for _, right in alternatives
    }
    productions = [production(nonterminal(left), [nonterminal(part) for part in right]) for left, right in rules]
    for word in set(words):
        productions += [production(nonterminal(kind), [word]) for kind in english().kinds(word)]
    grammar = nltk.CFG(nonterminal("S"), productions)
    chart = nltk.ChartParser(grammar).chart_parse(words)
    return {tuple(kind for _, kind in tree.pos()) for tree in chart.parses(grammar.start())}


def test_what_is_written_is_read() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        words = with_articles([word for word, _ in english().write(rng)])
        if len(words) <= 14:
            found, furthest = readings(english(), " ".join(words))
            assert found and furthest == len(words)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("the dog sleeps", True),
        ("the dog sleep", False),
        ("two dogs sleeps", False),
        ("she was very happy", True),
        ("him sees the dog", False),
        ("now the dogs sleep", True),
        ("now the dogs slept", False),
        ("yesterday the dogs sleep", False),
        ("the children have not eaten the bread", True),
        ("anna wants to buy some milk and a big cake at the market", True),
        ("because it was cold we went home", True),
        ("the big dog", False),
        ("dog the sleeps", False),
    ],
)
def test_english(text: str, good: bool) -> None:
    assert bool(readings(english(), text)[0]) == good


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("carry", "carries carried carried carrying"),
        ("play", "plays played played playing"),
        ("see", "sees saw seen seeing"),
        ("take", "takes took taken taking"),
        ("run", "runs ran run running"),
        ("drop", "drops dropped dropped dropping"),
        ("watch", "watches watched watched watching"),
        ("go", "goes went gone going"),
        ("fix", "fixes fixed fixed fixing"),
        ("guide", "guides guided guided guiding"),
    ],
)
def test_verbs(word: str, forms: str) -> None:
    makers = (lexicon.singular_verb, lexicon.past, lexicon.participle, lexicon.gerund)
    assert " ".join(make(word) for make in makers) == forms


@pytest.mark.parametrize(
    ("word", "form"),
    [("dog", "dogs"), ("box", "boxes"), ("city", "cities"), ("boy", "boys"), ("child", "children"), ("leaf", "leaves")],
)
def test_plurals(word: str, form: str) -> None:
    assert lexicon.plural(word) == form


def test_articles() -> None:
    text = "a old owl saw an big apple and a"
    assert " ".join(with_articles(text.split())) == "an old owl saw a big apple and a"
