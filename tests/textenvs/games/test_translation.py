from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.language import tongues
from textenvs.games.language.tongues import Language, Marker, Phrase, Sentence, draw_language, in_english
from textenvs.games.language.translation import Translation, _fixed_language

pytest.importorskip("sacrebleu")

STEMS = {"dog": "kam", "see": "ruk", "bird": "tel", "big": "nos", "in": "pim", "house": "lot", "red": "sar"}


def start(seed: int = 0, **knobs: Any) -> Translation:
    game = Translation(**knobs)
    game.reset(np.random.default_rng(seed))
    return game


def tongue(**features: Any) -> Language:
    plain = {"words": STEMS, "order": ("subject", "object", "verb"), "adjective_first": False}
    return Language(**{**plain, "article": Marker("lo", "before"), **features})


RICH = {
    "article": Marker("lo", "suffix"),
    "plural": Marker("ta", "suffix"),
    "past": Marker("mi", "prefix"),
    "case": Marker("ne", "after"),
    "verb_plural": Marker("su", "suffix"),
    "agreement": True,
    "place_first": True,
    "postpositions": True,
}
BIG_DOGS = Sentence(
    Phrase("dog", True, True, "big"), "see", Phrase("bird", False, True), True, ("in", Phrase("house", True, False))
)


@pytest.mark.parametrize(
    ("language", "sentence", "foreign", "english"),
    [
        (tongue(), Sentence(Phrase("dog"), "see", Phrase("bird")), "lo kam lo tel ruk", "the dog sees the bird"),
        (
            tongue(order=("verb", "subject", "object"), adjective_first=True, article=Marker("lo", "after")),
            Sentence(Phrase("dog", definite=False), "see", Phrase("bird", adjective="red")),
            "ruk kam sar tel lo",
            "a dog sees the red bird",
        ),
        (tongue(**RICH), BIG_DOGS, "lotta pim kamtalo nosta tello ne miruksu", "the big dogs saw the bird in houses"),
        (
            tongue(**{**RICH, "agreement": False, "article": Marker("lo", "prefix"), "plural": Marker("ta", "prefix")}),
            BIG_DOGS,
            "talot pim lotakam nos lotel ne miruksu",
            "the big dogs saw the bird in houses",
        ),
    ],
)
def test_sentences(language: Language, sentence: Sentence, foreign: str, english: str) -> None:
    assert language.say(sentence) == foreign
    assert in_english(sentence) == english


def test_rules_are_told() -> None:
    assert tongue().rules().split("; ") == [
        "order subject object verb place",
        "adjectives after nouns",
        "the lo before the phrase",
        "a is not said",
        "prepositions before their phrase",
    ]
    assert tongue(**RICH).rules().split("; ") == [
        "order place subject object verb",
        "adjectives after nouns",
        "plural -ta, also on adjectives",
        "the -lo",
        "a is not said",
        "object ne after the phrase",
        "past mi-",
        "verb of a plural subject -su",
        "from the stem outwards: plural, the, object",
        "past, plural subject",
        "prepositions after their phrase",
    ]
    assert tongue(plural=Marker("ta", "suffix"), past=Marker("mi", "before")).rules().split("; ")[2:7] == [
        "plural -ta",
        "the lo before the phrase",
        "a is not said",
        "past mi before the verb",
        "the plural is next to the stem",
    ]


# --- a second translator, which knows only what the opening says ---


def by_the_opening(opening: str, given: str) -> str:
    """A translation into the foreign language by the rules and the glossary in an opening."""
    rules = opening.partition("language. ")[2].partition(". words: ")[0].split("; ")
    rules = [rule for rule in rules if rule != "the plural is next to the stem"]
    stems = dict(pair.split() for pair in re.search(r"words: ([^.]*)\.", opening)[1].split(", "))  # type: ignore[index]

    def marked(name: str, text: str, words_only: bool | None = None) -> str:
        rule = next(
            (rule.removeprefix(f"{name} ").partition(",")[0] for rule in rules if rule.startswith(f"{name} ")), ""
        )
        if not rule or words_only not in (None, "-" not in rule):
            return text
        if "-" in rule:
            return text + rule[1:] if rule[0] == "-" else rule[:-1] + text
        form, side, _ = rule.split(maxsplit=2)
        return f"{form} {text}" if side == "before" else f"{text} {form}"

    forms = {tongues.plural(noun): noun for noun in stems}
    verbs = [word for word in stems if word in tongues.vocabulary()["verbs"]]
    presents = {form: verb for verb in verbs for form in (verb, tongues.singular_verb(verb))}
    pasts = {tongues.past(verb): verb for verb in verbs}
    words = given.split()
    at = next(i for i, word in enumerate(words) if word in {**presents, **pasts})
    preposition = next((i for i, word in enumerate(words) if word in tongues.vocabulary()["prepositions"]), len(words))

    def noun_phrase(some: list[str], object_: bool = False) -> str:
        definite, plural = some[0] == "the", some[-1] in forms
        noun = stems[forms.get(some[-1], some[-1])]
        adjective = next((stems[word] for word in some[:-1] if word in stems), None)
        if plural:
            noun = marked("plural", noun)
            if adjective and any(rule.endswith("also on adjectives") for rule in rules):
                adjective = marked("plural", adjective)
        noun = marked("the", noun, False) if definite else noun
        noun = marked("object", noun, False) if object_ else noun
        pair = [adjective, noun] if "adjectives before nouns" in rules else [noun, adjective]
        said = " ".join(part for part in pair if part)
        said = marked("the", said, True) if definite else said
        return marked("object", said, True) if object_ else said

    verb = stems[{**presents, **pasts}[words[at]]]
    verb = marked("past", verb) if words[at] in pasts else verb
    verb = marked("verb of a plural subject", verb) if words[at - 1] in forms else verb
    parts = {"subject": noun_phrase(words[:at]), "verb": verb, "object": noun_phrase(words[at + 1 : preposition], True)}
    if preposition < len(words):
        place = [stems[words[preposition]], noun_phrase(words[preposition + 1 :])]
        parts["place"] = " ".join(place[::-1] if "prepositions after their phrase" in rules else place)
    order = next(rule for rule in rules if rule.startswith("order ")).split()[1:]
    return " ".join(parts[part] for part in order if part in parts)


@pytest.mark.parametrize("grammar", [1, 2, 3])
def test_the_expert_is_right_by_a_second_translator_that_reads_the_opening(grammar: int) -> None:
    game = Translation(grammar=grammar, parts=6, into="foreign")
    for seed in range(150):
        text = opening = game.reset(np.random.default_rng(seed))
        for i in range(1, 4):
            given = re.search(rf"{i} of 3: ([a-z ]+)\.$", text)[1]  # type: ignore[index]
            assert game.expert_action() == by_the_opening(opening, given)
            text = game.step(game.expert_action()).text


@pytest.mark.parametrize("grammar", [1, 2, 3])
def test_a_sentence_has_one_translation_either_way(grammar: int) -> None:
    rng = np.random.default_rng(grammar)
    for seed in range(10):
        game = start(seed, grammar=grammar, parts=6)
        pools = {kind: words[:3] for kind, words in tongues.vocabulary().items()}
        sentences = {game._draw_sentence(rng, pools) for _ in range(150)}
        assert len({game._language.say(sentence) for sentence in sentences}) == len(sentences)
        assert len({in_english(sentence) for sentence in sentences}) == len(sentences)


def test_an_episode() -> None:
    game = start(grammar=1, languages=1)
    game._language = tongue()
    game._sentences = [
        Sentence(Phrase("dog"), "see", Phrase("bird")),
        Sentence(Phrase("bird"), "see", Phrase("dog")),
        Sentence(Phrase("bird", definite=False), "see", Phrase("dog", adjective="big")),
    ]
    assert game.step(" ?! ") == ("please translate. 1 of 3: the dog sees the bird.", 0.0, False, {})
    turn = game.step("Lo kam, lo tel ruk.")
    assert turn == ("right. 2 of 3: the bird sees the dog.", pytest.approx(1 / 3), False, {})
    turn = game.step("lo kam lo tel ruk")
    assert turn.text == "it is: lo tel lo kam ruk. 3 of 3: a bird sees the big dog."
    assert 0 < turn.reward < 1 / 3
    turn = game.step("tel lo kam nos ruk")
    assert turn[:3] == ("right.", pytest.approx(1 / 3), True)
    assert turn.info == {"success": False, "exact": pytest.approx(2 / 3)}


def test_back_into_english() -> None:
    game = start(into="english")
    assert game.expert_action() == in_english(game._sentences[0])
    assert f"1 of 3: {game._language.say(game._sentences[0])}." in game.reset(np.random.default_rng(0))


def test_the_metric_can_be_bleu() -> None:
    game = start(metric="bleu", sentences=1, grammar=1, parts=6)
    right = game.expert_action().split()
    assert game.step(" ".join(right[::-1])).reward < 0.5
    assert start(metric="bleu", sentences=1, grammar=1, parts=6).step(" ".join(right)).reward == pytest.approx(1)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and 0 <= turn.reward <= 1 and not turn.terminated


@pytest.mark.parametrize("level", Translation.levels)
def test_choices_hold_the_right_translation_among_others(level: str) -> None:
    game, instances = Translation(**Translation.levels[level]), set()
    for seed in range(40):
        game.reset(np.random.default_rng(seed))
        instances.add(game.instance())
        for _ in range(3):
            choices = game.valid_actions()
            assert choices == sorted(set(choices)) and 5 <= len(choices) <= game.max_choices
            assert game.expert_action() in choices
            turn = game.step(game.expert_action())
        assert turn.terminated and turn.info == {"success": True, "exact": 1.0}
    assert len(instances) == 40


def test_fixed_languages_stay_and_new_ones_do_not() -> None:
    said = [{start(seed, languages=many)._language.words["dog"] for seed in range(30)} for many in (1, 2, 0)]
    assert len(said[0]) == 1 and len(said[1]) == 2 and len(said[2]) > 20
    assert _fixed_language(0, 1).words["dog"] in said[1] or _fixed_language(0, 2).words["dog"] in said[1]


def test_markers_and_stems_do_not_collide() -> None:
    for seed in range(50):
        language = draw_language(np.random.default_rng(seed), 3)
        markers = [language.article, language.plural, language.past, language.case, language.verb_plural]
        assert len({marker.form for marker in markers if marker}) == 5
        assert len(set(language.words.values())) == len(language.words)
        assert all(len(stem) == 3 and stem not in language.words for stem in language.words.values())


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"grammar": 4}, "grammar must be 1, 2 or 3, not 4"),
        ({"parts": 2}, "parts must be 3 to 6, not 2"),
        ({"sentences": 0}, "sentences must be 1 to 6, not 0"),
        ({"into": "french"}, "into must be one of foreign, english or None for either, not 'french'"),
        ({"languages": -1}, "languages must be 0 to 1000, not -1"),
        ({"metric": "rouge"}, "metric must be one of chrf, bleu, not 'rouge'"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Translation(**knobs)
