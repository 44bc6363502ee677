from __future__ import annotations

from functools import cache
from string import ascii_lowercase
from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.words.english import english_words
from textenvs.games.words.word_ladder import WordLadder, distances


def start(word: str, goal: str, **knobs: Any) -> WordLadder:
    """A game from ``word`` to ``goal``."""
    game = WordLadder(len(word), **knobs)
    game.reset(np.random.default_rng(0))
    game._start = game._word = english_words(len(word)).index(word)
    game._goal = english_words(len(word)).index(goal)
    return game


@cache
def graph(length: int) -> networkx.Graph:
    """The words of this length, joined where one letter makes the difference."""
    words = set(english_words(length))
    steps = ((w, w[:i] + c + w[i + 1 :]) for w in sorted(words) for i in range(length) for c in ascii_lowercase)
    result = networkx.Graph((word, other) for word, other in steps if other in words and other != word)
    result.add_nodes_from(words)
    return result


def test_an_episode() -> None:
    game = start("cold", "warm", distance=4)
    assert game.step("cold -> cord") == ("you have cord.", 0.0, False, {})
    assert game.step("corx") == ("corx is not in my list. you have cord.", 0.0, False, {})
    assert game.step("wart") == ("wart is not cord with one letter changed.", 0.0, False, {})
    assert game.step("cord") == ("cord is not cord with one letter changed.", 0.0, False, {})
    assert game.step("cart or card") == ("say one word of 4 letters.", 0.0, False, {})
    assert game.step("I change it to CARD.") == ("you have card.", 0.0, False, {})
    assert game.step("w-a-r-d").text == "you have ward."
    assert game.step("warm") == ("warm is the goal.", pytest.approx(1 - 0.1 * (8 - 4)), True, {"success": True})


@pytest.mark.parametrize("length", [3, 4, 5])
def test_the_distances_are_those_of_networkx(length: int) -> None:
    words, rng = english_words(length), np.random.default_rng(length)
    for goal in rng.integers(len(words), size=8).tolist():
        theirs = networkx.single_source_shortest_path_length(graph(length), words[goal])
        assert distances(length, goal).tolist() == [theirs.get(word, -1) for word in words]


@pytest.mark.parametrize(("length", "distance"), [(3, 1), (3, 3), (4, 5), (5, 8), (3, 6), (4, 10), (5, 16)])
def test_the_expert_takes_a_shortest_way_also_after_mistakes(length: int, distance: int) -> None:
    game, rng = WordLadder(length, distance), np.random.default_rng(0)
    words, seen = english_words(length), set()
    for _ in range(10):
        opening = game.reset(rng)
        word, goal = str(game.instance()).split(" to ")
        assert opening.startswith(f"turn {word} into {goal} by") and opening.endswith(f"fewest steps: {distance}.")
        assert networkx.shortest_path_length(graph(length), word, goal) == distance
        assert max(words.index(word), words.index(goal)) < len(words) // 2
        seen.add((word, goal))
        total = 0.0
        for _ in range(distance):
            turn = game.step(game.expert_action())
            total += turn.reward
        assert turn.terminated and total == pytest.approx(1.0)
        game._word, game._turns = words.index(word), 0
        game.step(str(rng.choice(game.valid_actions())))
        if game._word != game._goal:
            far = networkx.shortest_path_length(graph(length), words[game._word], goal)
            assert networkx.shortest_path_length(graph(length), game.expert_action(), goal) == far - 1
    assert len(seen) > 5


@pytest.mark.parametrize("word", ["cat", "cold", "crane"])
def test_admissible_words_are_the_neighbours(word: str) -> None:
    game = start(word, english_words(len(word))[0])
    assert game.valid_actions() == sorted(graph(len(word))[word])
    assert game.max_choices == max(degree for _, degree in graph(len(word)).degree)
    for choice in game.valid_actions():
        game._word = english_words(len(word)).index(word)
        assert choice in game.step(choice).text and english_words(len(word))[game._word] == choice


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start("cold", "warm").step(text)
    assert turn.text and turn.reward == 0


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"length": 2}, "length must be 3, 4 or 5, not 2"),
        ({"distance": 0}, "distance must be 1 to 10 for words of 4 letters, not 0"),
        ({"length": 3, "distance": 7}, "distance must be 1 to 6 for words of 3 letters, not 7"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WordLadder(**knobs)
