from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.dialogue.cities import Question, answer, attributes, cities, read
from textenvs.games.dialogue.guess_city import GuessCity
from textenvs.parsing import words

MISUNDERSTOOD = "ask one thing about the city, or guess one city."


def start(city: str, names: tuple[str, ...] = (), **knobs: Any) -> GuessCity:
    """A game that thinks of ``city``, out of ``names``."""
    game = GuessCity(**knobs)
    game.reset(np.random.default_rng(0))
    game._names = game._left = names or tuple(cities())
    game._city = city
    return game


def test_an_episode() -> None:
    game = start("paris", ("oslo", "paris", "kyoto"))
    assert game.step("Is it in Asia?") == ("no, it is not in asia.", -1.0, False, {})
    assert game.step("what do they eat?") == ("i will not tell its dish, only confirm it.", -1.0, False, {})
    assert game.step("croissants?") == ("yes, a well-known dish: croissants.", -1.0, False, {})
    assert game.step("hm") == (MISUNDERSTOOD, -1.0, False, {})
    assert game.step("is it kyoto?") == ("no, it is not kyoto.", -1.0, False, {})
    assert game.expert_action() == "is it paris?"
    assert game.step("is it paris?") == ("yes, it is paris.", 0.0, True, {"success": True})


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("which language do people speak?", "people speak french."),
        ("Do they speak Spanish or French?", "yes, people speak french."),
        ("is it a european city", "yes, it is in europe."),
        ("what is it famous for?", "it is famous for fashion."),
        ("Can you see the Eiffel Tower?", "yes, you can see the eiffel tower."),
        ("is it on the Danube", "no, its river is not the danube."),
        ("does a river flow through it?", "its river: seine."),
        ("is it coastal", "it does not lie on a sea."),
        ("what's the wheather like", "the climate is temperate."),
        ("is it a capital city?", "it is a capital."),
        ("how many inhabitants?", "more than ten million people live there, counting its suburbs."),
        ("which hemisphere is it in", "it is in the northern hemisphere."),
        ("how high is it?", "it lies below 300 metres above the sea."),
        ("is it in the USA", "no, it is not in the united states."),
        ("is it in mexico?", "no, it is not in mexico."),
        ("MEXICO CITY!", "no, it is not mexico city."),
        ("are you from NYC?", "no, it is not new york."),
        ("istambul?", "no, it is not istanbul."),
        ("São Paulo", "no, it is not sao paulo."),
        ("rio de la plata", "no, its river is not the rio de la plata."),
        ("is it rio", "no, it is not rio de janeiro."),
        ("is it near paris?", MISUNDERSTOOD),
        ("is it not in asia?", MISUNDERSTOOD),
        ("london or paris", MISUNDERSTOOD),
        ("in europe, and is it in france?", MISUNDERSTOOD),
        ("which country and which language?", MISUNDERSTOOD),
        ("", MISUNDERSTOOD),
    ],
)
def test_reading(said: str, reply: str) -> None:
    turn = start("paris", hidden=()).step(said)
    assert turn.text == reply and turn.reward == -1.0 and not turn.terminated


def test_answers_never_name_the_city_and_agree_with_each_other() -> None:
    for city, facts in cities().items():
        forms = [" ".join(words(form)) for form in (city, *facts.get("also", ()))]
        for attribute, spec in attributes().items():
            assert read(spec["question"]) == Question("ask", attribute)
            told = answer(city, read(spec["question"]), ())
            assert not any(f" {form} " in f" {' '.join(words(told))} " for form in forms), told
            assert facts[attribute] or spec["none"] == told
            for value in facts[attribute]:
                assert value in told
                assert answer(city, Question("confirm", attribute, (value,)), (attribute,)).startswith("yes, ")


def test_every_value_can_be_asked_for_and_every_city_guessed() -> None:
    values = {
        (attribute, value) for facts in cities().values() for attribute in attributes() for value in facts[attribute]
    }
    unread = {
        (attribute, value)
        for attribute, value in values
        if read(f"{attribute}: {value}?") != Question("confirm", attribute, (value,))
    }
    assert unread <= {("capital", "a capital")}  # which is a question of its own
    for city, facts in cities().items():
        for form in (city, *facts.get("also", ())):
            assert read(f"I think it is {form}.") == Question("guess", "", (city,))


def test_the_facts_are_whole_and_consistent() -> None:
    assert len(cities()) == 100
    continents: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for name, facts in cities().items():
        assert set(facts) - {"name", "also"} == set(attributes())
        assert all(facts[attribute] or "none" in attributes()[attribute] for attribute in attributes()), name
        for country in facts["country"]:
            continents[country] |= {tuple(facts["continent"])}
    several = {country for country, found in continents.items() if len(found) > 1}
    assert several == {"the united states"}  # Honolulu lies in Oceania
    capitals = defaultdict(list)
    for name, facts in cities().items():
        if facts["capital"] == ["a capital"]:
            capitals[facts["country"][0]].append(name)
    assert all(len(names) == 1 for names in capitals.values()) and len(capitals) > 45
    south = {name for name, facts in cities().items() if facts["half"] == ["southern hemisphere"]}
    assert {"sydney", "lima", "quito", "nairobi", "cape town"} < south and not south & {"bogota", "lagos", "havana"}


@cache
def fewest(left: frozenset[str], hidden: tuple[str, ...]) -> float:
    """The least expected return lost, by trying every open question and every guess to the end."""
    if len(left) == 1:
        return 0.0
    options = [(len(left) - 1) / len(left) * (1 + fewest(left - {city}, hidden)) for city in left]
    for attribute in attributes():
        groups = defaultdict(set)
        for city in left:
            groups[tuple(cities()[city][attribute])].add(city)
        if attribute not in hidden and len(groups) > 1:
            parts = [len(group) / len(left) * fewest(frozenset(group), hidden) for group in groups.values()]
            options.append(1 + sum(parts))
    return min(options)


def test_the_expert_is_near_the_optimum_on_few_cities() -> None:
    rng, lost, least = np.random.default_rng(0), 0.0, 0.0
    for _ in range(12):
        names = tuple(rng.permutation(list(cities()))[:7].tolist())
        for city in names:
            game, turns = start(city, names), 0
            while not game.step(game.expert_action()).terminated:
                turns += 1
            lost += turns / len(names)
        least += fewest(frozenset(names), game.hidden)
    assert least - 1e-9 <= lost <= 1.01 * least


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_the_expert_finds_the_city_also_after_mistakes(level: str) -> None:
    game, rng = GuessCity(**GuessCity.levels[level]), np.random.default_rng(1)
    instances = set()
    for episode in range(100):
        opening = game.reset(rng)
        assert len(opening.split()) < 70 and ("one of 100" in opening) == (level == "hard")
        instances.add(game.instance())
        assert game._city in game._names and len(game.valid_actions()) == game.max_choices
        for mistake in ["", "is it oslo?", "is it in africa?", game.valid_actions()[episode % game.max_choices]]:
            done = game.step(mistake).terminated
            if done:
                break
        for _ in range(0 if done else 16):
            if game.step(game.expert_action()).terminated:
                break
        else:
            assert done
    assert len(instances) >= (50 if level == "hard" else 100)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start("paris").step(text)
    assert turn.text and turn.reward in (0.0, -1.0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"choices": 1}, "choices must be 2 to 100, not 1"),
        ({"choices": 101}, "choices must be 2 to 100, not 101"),
        ({"hidden": ("mayor",)}, "hidden must be some, not all, of country, continent, .* not .'mayor',."),
        ({"hidden": tuple(attributes())}, "hidden must be some, not all"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GuessCity(**knobs)
