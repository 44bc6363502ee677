from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.dialogue import objects
from textenvs.games.dialogue.inquiry import believe, best_question, fewest, guess, search
from textenvs.games.dialogue.objects import guesses, read, table
from textenvs.games.dialogue.twenty_questions import TwentyQuestions


def start(answer: str = "dog", **knobs: Any) -> TwentyQuestions:
    game = TwentyQuestions(**knobs)
    game.reset(np.random.default_rng(0))
    game._answer = table().objects.index(answer)
    return game


def play(game: TwentyQuestions) -> tuple[float, bool]:
    """The expert's return, and whether it found the object."""
    turn, total = game.step(game.expert_action()), 0.0
    while not turn.terminated:
        total += turn.reward
        turn = game.step(game.expert_action())
    return total + turn.reward, turn.info["success"]


def test_an_episode() -> None:
    game = start()
    assert TwentyQuestions().reset(np.random.default_rng(1)) == (
        "i think of an object. find it with at most 20 yes/no questions."
    )
    assert game.step("Is it alive?") == ("yes.", -1.0, False, {})
    assert game.step("can you eat it?") == ("no.", -1.0, False, {})
    assert game.step("is it not an animal?") == ("no.", -1.0, False, {})
    assert game.step("hm?") == ("ask one simple yes/no question.", -1.0, False, {})
    assert game.step("is it a cat?") == ("no.", -1.0, False, {})
    assert game.step("a dog") == ("yes, it is: dog.", 0.0, True, {"success": True})


def test_the_questions_run_out() -> None:
    game = start("coffee")
    for _ in range(19):
        assert not game.step("is it alive?").terminated
    assert game.step("is it hot?") == (
        "yes. that was the last question. it was: coffee.",
        -1.0,
        True,
        {"success": False},
    )


def test_few_objects_are_listed() -> None:
    game = TwentyQuestions(4)
    opening = game.reset(np.random.default_rng(0))
    names = opening.removeprefix("i think of one of these: ").split(".")[0].split(", ")
    assert len(names) == 4 and set(names) <= set(table().objects)
    assert table().objects[game._answer] in names
    assert TwentyQuestions(noise=0.05).reset(np.random.default_rng(0)).endswith("about one answer in 20 is wrong.")


def test_the_table() -> None:
    assert table().holds.shape == (len(table().questions), len(table().objects)) == (87, 338)
    assert len(set(table().objects)) == len(set(map(bytes, table().holds.T))) == 338  # any two can be told apart
    assert table().holds.any(axis=1).all() and not table().holds.all(axis=1).any()
    content = objects._content()
    attributes = list(content["attributes"])
    for group, members in content["objects"].items():
        for name, listed in members.items():
            added = [word for word in listed.split() if not word.startswith("-")]
            taken = [word[1:] for word in listed.split() if word.startswith("-")]
            assert set(added) <= set(attributes) - set(group.split()), name
            assert set(taken) <= set(group.split()), name
    assert set(content["names"]) | set(content["bare"]) <= set(table().objects)
    truth = {
        "does it have four legs?": ("dog", "elephant", "table"),
        "is it a fruit?": ("apple", "banana"),
        "does it need electricity?": ("computer", "lamp"),
        "can it fly?": ("eagle", "airplane", "bee"),
    }
    wrong = {"does it have four legs?": "snake", "is it a fruit?": "carrot", "can it fly?": "penguin"}
    for question, names in truth.items():
        row = table().holds[table().questions.index(question)]
        assert all(row[table().objects.index(name)] for name in names)
        assert question not in wrong or not row[table().objects.index(wrong[question])]


def test_implications() -> None:
    holds = dict(zip(objects._content()["attributes"], table().holds, strict=True))
    for narrow, wide in [
        ("mammal", "animal"),
        ("bird", "animal"),
        ("insect", "animal"),
        ("animal", "alive"),
        ("fruit", "plant"),
        ("fruit", "food"),
        ("vegetable", "food"),
        ("vehicle", "manmade"),
        ("engine", "manmade"),
        ("electric", "manmade"),
        ("legs", "wear"),
        ("head", "wear"),
        ("building", "place"),
        ("fur", "mammal"),
        ("engine", "metal"),
    ]:
        assert not (holds[narrow] & ~holds[wide]).any(), (narrow, wide)
    for one, other in [
        ("alive", "manmade"),
        ("food", "electric"),
        ("hand", "bigger"),
        ("hand", "heavy"),
        ("hot", "cold"),
    ]:
        assert not (holds[one] & holds[other]).any(), (one, other)


def test_every_wording_is_understood() -> None:
    content, seen = objects._content(), Counter[frozenset[str]]()
    for which, (question, *forms) in enumerate(content["attributes"].values()):
        assert read(question) == ("attribute", which, False)
        cores = {objects._core(objects.words(question))}
        for contrary, phrases in enumerate(forms):
            for phrase in phrases.split(","):
                assert read(f"does it {phrase}?") == ("attribute", which, bool(contrary)), phrase
                cores.add(objects._core(objects.words(phrase)))
        seen.update(cores)
    assert max(seen.values()) == 1  # no wording stands for two attributes
    for which, line in enumerate(guesses()):
        assert read(line) == read(table().objects[which]) == ("guess", which, False)
    for name, others in content["names"].items():
        for other in others.split(","):
            assert read(f"I think it's a {other}!") == ("guess", table().objects.index(name), False)


@pytest.mark.parametrize(
    ("said", "question", "negated"),
    [
        ("Is it living", "is it alive?", False),
        ("isn't it alive?", "is it alive?", False),
        ("is it not alive", "is it alive?", True),
        ("it's not an animal, right?", "is it an animal?", True),
        ("is it natural?", "is it made by people?", True),
        ("is it not natural?", "is it made by people?", False),
        ("Is the object man-made?", "is it made by people?", False),
        ("is it smaller than a person", "is it bigger than a person?", True),
        ("is it something you would find in a kitchen?", "is it used in the kitchen?", False),
        ("can i hold it in my hand?", "does it fit in one hand?", False),
        ("is it eletric?", "does it need electricity?", False),
        ("do people wear it?", "can you wear it?", False),
        ("is it made out of metal?", "is it mostly made of metal?", False),
        ("does it live in water", "is it found in or on water?", False),
        ("does it lay eggs", "does it lay eggs?", False),
        ("is it a bike", "is it a bicycle?", False),
        ("i'd say: an elefant", None, False),
        ("is it water?", "is it water?", False),
        ("does it come from a cow", None, False),
        ("is it a fruit or a vegetable", None, False),
        ("is it larger than a microwave", None, False),
        ("what is it?", None, False),
        ("", None, False),
    ],
)
def test_reading(said: str, question: str | None, negated: bool) -> None:
    meant = read(said)
    lines = {"attribute": table().questions, "guess": guesses()}
    assert (lines[meant.kind][meant.which] if meant.kind != "unknown" else None) == question
    assert meant.negated == negated


def fewest_by_trying(possible: frozenset[int]) -> float:
    """The fewest questions on average, over all questions and guesses, without bounds."""

    @cache
    def cost(left: frozenset[int]) -> float:
        if len(left) == 1:
            return 0.0
        size = len(left)
        best = min((size - 1) / size * (1 + cost(left - {i})) for i in left)
        for row in table().holds:
            yes = frozenset(i for i in left if row[i])
            if yes and yes != left:
                best = min(best, 1 + (len(yes) * cost(yes) + (size - len(yes)) * cost(left - yes)) / size)
        return best

    return cost(possible)


def test_the_search_finds_the_fewest_questions() -> None:
    rng, gaps = np.random.default_rng(0), []
    for episode in range(24):
        size = int(rng.integers(2, 8))
        first = int(rng.integers(330))  # neighbours in the table are alike, which makes them hard to tell apart
        chosen = rng.permutation(338)[:size] if episode % 2 else np.arange(first, first + size)
        exact = fewest_by_trying(frozenset(chosen.tolist()))
        found, question = search(tuple(chosen.tolist()))
        assert found == pytest.approx(exact) and found >= fewest(size)[size] - 1e-9
        gaps.append(found - fewest(size)[size])
        belief = np.bincount(chosen, minlength=338) / size
        assert best_question(belief, (), 0.0) == question
        noisy = best_question(belief, (), 1e-9)  # what is asked where there is no time to search
        assert noisy < 0 or 0 < table().holds[noisy, chosen].sum() < size
    assert max(gaps) > 0.01  # the bound is not always met


def test_the_bound() -> None:
    assert fewest(4)[:5].tolist() == [0, 0, 0.5, 1, 1.5]
    assert fewest(338)[338] == pytest.approx(7.864, abs=1e-3)


def questions_of_the_expert(possible: np.ndarray) -> float:
    """How many questions it asks on average before it guesses one of equally likely objects."""
    size = len(possible)
    if size == 1:
        return 0.0
    question = best_question(np.bincount(possible, minlength=338) / size, (), 0.0)
    if question < 0:
        return (size - 1) / size * (1 + questions_of_the_expert(possible[possible != guess(question)]))
    yes = table().holds[question, possible]
    parts = possible[yes], possible[~yes]
    return 1 + sum(len(part) * questions_of_the_expert(part) for part in parts) / size


def test_the_expert_on_all_objects() -> None:
    average = questions_of_the_expert(np.arange(338))
    assert fewest(338)[338] < average == pytest.approx(8.485, abs=1e-3)
    game, rng, returns = TwentyQuestions(), np.random.default_rng(0), []
    for _ in range(100):
        game.reset(rng)
        gained, found = play(game)
        assert found
        returns.append(gained)
    assert np.mean(returns) == pytest.approx(-average, abs=0.6)


def test_the_expert_with_few_objects_is_as_good_as_promised() -> None:
    game, rng, returns, promised = TwentyQuestions(12), np.random.default_rng(1), [], []
    for _ in range(300):
        game.reset(rng)
        promised.append(-search(tuple(game._candidates.tolist()))[0])
        returns.append(play(game)[0])
    spread = np.std(np.subtract(returns, promised)) / len(returns) ** 0.5
    assert abs(np.mean(returns) - np.mean(promised)) < 4 * spread


def test_wrong_answers_stay_wrong_and_are_as_many_as_told() -> None:
    game, rng, wrong = TwentyQuestions(noise=0.2), np.random.default_rng(2), []
    for _ in range(60):
        game.reset(rng)
        for which, question in enumerate(table().questions[:9]):
            said = [game.step(question).text for _ in range(2)]
            assert said[0] == said[1]
            wrong.append((said[0] == "yes.") != table().holds[which, game._answer])
        assert game.step(guesses()[game._answer]).terminated
    assert np.mean(wrong) == pytest.approx(0.2, abs=0.06)


def test_beliefs_are_those_of_bayes() -> None:
    prior = np.zeros(338)
    prior[[0, 1, 2]] = 1 / 3  # dog, cat, horse
    climb, ride = (table().questions.index(q) for q in ("can it climb trees?", "can you ride on it or in it?"))
    belief = believe(prior, {climb: False, ride: True}, 0.1)
    assert belief[[0, 1, 2]] == pytest.approx(np.array([0.9 * 0.1, 0.1 * 0.1, 0.9 * 0.9]) / 0.91)
    assert believe(prior, {climb: False, ride: True}, 0.0)[2] == 1


def test_the_expert_finds_objects_despite_wrong_answers() -> None:
    game, rng, found = TwentyQuestions(noise=0.05), np.random.default_rng(3), []
    for _ in range(60):
        game.reset(rng)
        found.append(play(game)[1])
    assert np.mean(found) > 0.8


@pytest.mark.parametrize("level", TwentyQuestions.levels)
def test_choices_and_instances(level: str) -> None:
    game, rng, seen = TwentyQuestions(**TwentyQuestions.levels[level]), np.random.default_rng(4), set()
    for episode in range(1000):
        opening = game.reset(rng)
        seen.add(game.instance())
        assert len(opening.split()) < 60
        if episode < 15:
            for said in ["nonsense", game.valid_actions()[3], game.expert_action(), game.valid_actions()[-1]]:
                valid = game.valid_actions()
                assert game.expert_action() in valid and len(valid) <= game.max_choices
                assert all(read(line).kind != "unknown" for line in valid)
                game.step(said)
    assert len(seen) == 1000 if level == "easy" else len(seen) > 300


def test_guesses_are_named_by_their_complement() -> None:
    assert [guess(i) for i in (0, 5)] == [-1, -6] and guess(guess(5)) == 5


@given(
    st.text() | st.lists(st.sampled_from(("is", "it", "not", "a", "dog", "alive", "than", "eat", "?"))).map(" ".join)
)
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and turn.reward == (0.0 if turn.terminated else -1.0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"objects": 1}, "objects must be 2 to 16 or 'all', not 1"),
        ({"objects": 17}, "objects must be 2 to 16 or 'all', not 17"),
        ({"objects": "some"}, "objects must be 2 to 16 or 'all', not 'some'"),
        ({"noise": 0.5}, "noise must be at least 0 and less than 0.5, not 0.5"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TwentyQuestions(**knobs)
