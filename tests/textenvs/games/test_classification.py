from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.language.classification import Classification, _tasks

Cue = tuple[int, int] | None


def start(seed: int = 0, **knobs: Any) -> Classification:
    game = Classification(**knobs)
    game.reset(np.random.default_rng(seed))
    return game


def chance(cue: Cue, label: int, classes: int, noise: float) -> float:
    """The probability of a piece's word given the label, as the page has it."""
    if cue is None:
        return 0.4
    typical, strong = cue
    wrong = noise if strong else 2 * noise
    return 0.6 * 0.5 * (1 - wrong if typical == label else wrong / (classes - 1))


def best(seen: tuple[Cue, ...], classes: int, noise: float, pieces: int, cost: float) -> float:
    """The most that can be earned after ``seen``, times the probability of it: a plain search over all texts."""
    joint = [np.prod([chance(cue, label, classes, noise) for cue in seen]) / classes for label in range(classes)]
    if len(seen) == pieces:
        return max(joint)
    read = -cost * sum(joint) + sum(best((*seen, cue), classes, noise, pieces, cost) for cue in cues(classes))
    return max(*joint, read)


def cues(classes: int) -> list[Cue]:
    return [None, *product(range(classes), (0, 1))]


def test_an_episode() -> None:
    game = Classification("topic")
    assert game.reset(np.random.default_rng(4)).startswith("what is it about: ")
    game._labels, game._answer, game._text = ["food", "sport"], "sport", ["one", "two", "three", "four", "five", "six"]
    game._names = {"sport": "sport", "sports": "sport", "food": "food"}
    assert game.step("read more, please") == ("two. (4 more)", -0.05, False, {})
    assert game.step("food or sport?") == ("please say food, sport or read more.", -0.05, False, {})
    for left in ("three. (3 more)", "four. (2 more)", "five. (1 more)", "six. (no more)"):
        assert game.step("go on").text == left
    assert game.valid_actions() == ["food", "sport"]
    assert game.step("next") == ("there is no more. which is it?", -0.05, False, {})
    assert game.step("Sports!") == ("right.", 1.0, True, {"success": True})


def test_a_wrong_label_ends_the_episode_with_nothing() -> None:
    game = start()
    wrong = next(label for label in game._labels if label != game._answer)
    assert game.step(wrong) == (f"no, {game._answer}.", 0.0, True, {"success": False})


@pytest.mark.parametrize("text", ["JOY", "it's happiness.", "i am sure: joy, joy", "surely happy", "glad?"])
def test_a_label_is_understood(text: str) -> None:
    game = start(task="sentiment", classes=6)
    assert game.step(text).terminated
    assert game._names[next(word for word in ("joy", "happiness", "happy", "glad") if word in text.lower())] == "joy"


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and turn.reward in (-0.05, 0.0, 1.0)


@pytest.mark.parametrize(
    ("classes", "noise", "pieces", "cost"),
    [(2, 0.05, 4, 0.05), (2, 0.2, 4, 0.01), (3, 0.1, 3, 0.05), (3, 0.0, 3, 0.02), (4, 0.2, 2, 0.1), (2, 0.1, 3, 0.5)],
)
def test_the_expert_earns_what_a_search_over_all_texts_finds(
    classes: int, noise: float, pieces: int, cost: float
) -> None:
    game = start(classes=classes, noise=noise, pieces=pieces, cost=cost)
    earned = 0.0
    for label, text in product(range(classes), product(cues(classes), repeat=pieces)):
        game._answer, game._cues, game._seen, game._turns = game._labels[label], list(text), 1, 0
        total, done = 0.0, False
        while not done:
            _, reward, done, _ = game.step(game.expert_action())
            total += reward
        earned += total / classes * np.prod([chance(cue, label, classes, noise) for cue in text])
    optimum = sum(best((cue,), classes, noise, pieces, cost) for cue in cues(classes))
    assert earned == pytest.approx(optimum, abs=1e-9)


def test_texts_are_drawn_as_the_page_says() -> None:
    game, rng, drawn = Classification(classes=3, noise=0.2), np.random.default_rng(0), 3000
    counts: Counter[tuple[bool, int] | None] = Counter()
    for _ in range(drawn):
        game.reset(rng)
        for cue, piece in zip(game._cues, game._text, strict=True):
            counts[None if cue is None else (game._labels[cue[0]] == game._answer, cue[1])] += 1
            if cue is not None:
                lists = [task["labels"].get(game._labels[cue[0]]) for task in _tasks().values()]
                typical = next(those for those in lists if those)[("weak", "strong")[cue[1]]]
                assert any(word in piece for word in typical)
    share = {kind: count / (6 * drawn) for kind, count in counts.items()}
    assert share[None] == pytest.approx(0.4, abs=0.02)
    assert share[True, 1] == pytest.approx(0.3 * 0.8, abs=0.02)
    assert share[False, 1] == pytest.approx(0.3 * 0.2, abs=0.01)
    assert share[True, 0] == pytest.approx(0.3 * 0.6, abs=0.02)
    assert share[False, 0] == pytest.approx(0.3 * 0.4, abs=0.01)


def test_no_word_is_typical_of_two_labels_and_every_label_has_its_own_name() -> None:
    for task in _tasks().values():
        words = [word for label in task["labels"].values() for kind in ("strong", "weak") for word in label[kind]]
        assert len({*words, *task["neutral"]}) == len(words) + len(task["neutral"])
        names = [name for label, those in task["labels"].items() for name in (label, *those["names"])]
        assert len(set(names)) == len(names)
        assert len(task["labels"]) == 6 and len(task["pieces"]) == 8


def test_a_wasted_episode_leaves_the_expert_time_for_an_answer() -> None:
    game = start(1, classes=6, noise=0.2, pieces=8, cost=0.0)
    for _ in range(game.max_turns - 1):
        assert game.step("hm") == (f"please say {', '.join(game._labels)} or read more.", -0.05, False, {})
    assert game.expert_action() in game._labels


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"task": "weather"}, "task must be one of sentiment, topic, intent or None"),
        ({"classes": 1}, "classes must be 2 to 6, not 1"),
        ({"noise": 0.25}, "noise must be 0 to less than 0.25, not 0.25"),
        ({"pieces": 9}, "pieces must be 1 to 8, not 9"),
        ({"cost": -1}, "cost must be 0 to 1, not -1"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Classification(**knobs)
