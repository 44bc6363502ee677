from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.worlds.house_world import World
from textenvs.games.worlds.quest import Gate, Quest

NOT_UNDERSTOOD = "that was not understood. say one thing to do, like look, inventory, go, open, take or put."


def small() -> Quest:
    """A hall with key, loaf, closed chest (lamp); west, past an iron door, a crypt (ruby ring); north, past a troll, a
    mine; east of that a dark cave (gold crown)."""
    game = Quest()
    game.reset(np.random.default_rng(0))
    game._world = World(
        {
            "hall": {"north": "mine", "west": "crypt"},
            "crypt": {"east": "hall"},
            "mine": {"south": "hall", "east": "cave"},
            "cave": {"west": "mine"},
        },
        "hall",
        holders={"chest": "hall"},
        doors={
            ("hall", "west"): "iron door",
            ("crypt", "east"): "iron door",
            ("hall", "north"): "troll",
            ("mine", "south"): "troll",
        },
        openable={"chest"},
        closed={"chest"},
        blocked={"iron door": "iron door, locked", "troll": "hungry troll"},
        dark={"cave"},
        place={
            "iron key": "hall",
            "loaf": "hall",
            "coin": "hall",
            "lamp": "chest",
            "ruby ring": "crypt",
            "gold crown": "cave",
        },
    )
    game._dark = {"cave"}
    game._gates = {
        "iron door": Gate("iron door", "unlock", "iron key", "iron door, locked", "hall"),
        "troll": Gate("troll", "give", "loaf", "hungry troll", "hall"),
    }
    game._points = {"iron door": 5, "troll": 5, "lamp": 5, "ruby ring": 10, "gold crown": 10}
    game._score, game.max_score = 0, 35
    game._world.look()
    return game


def play(game: Quest, said: list[str]) -> list[tuple[str, float]]:
    return [(turn.text, turn.reward) for turn in map(game.step, said)]


def test_an_episode() -> None:
    game = small()
    assert play(game, ["look", "go west", "unlock iron door with iron key", "take key", "take loaf", "take coin"])[
        :3
    ] == [
        (
            "hall. floor: iron key, loaf, coin. closed: chest. exits: north (hungry troll), west (iron door, locked).",
            0.0,
        ),
        ("you cannot pass: iron door, locked.", 0.0),
        ("you do not hold iron key.", 0.0),
    ]
    assert play(game, ["open iron door", "unlock iron door with coin", "unlock iron door with iron key", "i"]) == [
        ("it does not open: iron door, locked.", 0.0),
        ("coin does not help with iron door.", 0.0),
        ("the way past iron door is free. score 5 of 35.", 5.0),
        ("you hold loaf, coin.", 0.0),
    ]
    assert play(game, ["go west", "take ruby ring", "drop ring", "take ring", "score", "east"]) == [
        ("crypt. floor: ruby ring. exits: east.", 0.0),
        ("you take ruby ring. score 15 of 35.", 10.0),
        ("you drop ruby ring.", 0.0),
        ("you take ruby ring.", 0.0),
        ("your score is 15 of 35.", 0.0),
        ("hall. closed: chest. exits: north (hungry troll), west.", 0.0),
    ]
    assert play(game, ["give loaf to troll", "open chest", "take lamp", "north", "light lamp", "light lamp"]) == [
        ("the way past troll is free. score 20 of 35.", 5.0),
        ("you open chest: lamp.", 0.0),
        ("you take lamp.", 0.0),
        ("mine. exits: east (dark), south.", 0.0),
        ("the lamp is lit. score 25 of 35.", 5.0),
        ("the lamp is lit.", 0.0),
    ]
    assert play(game, ["drop lamp", "look", "take lit lamp", "east", "drop lamp"]) == [
        ("you drop lamp.", 0.0),
        ("mine. floor: lit lamp. exits: east (dark), south.", 0.0),
        ("you take lamp.", 0.0),
        ("cave. floor: gold crown. exits: west.", 0.0),
        ("you would stand in the dark.", 0.0),
    ]
    end = {"success": True, "score": 35, "max_score": 35}
    done = "you take gold crown. score 35 of 35. you did it all."
    assert game.step("take crown") == (done, 10.0, True, end)


@pytest.mark.parametrize("said", ["east", "go to the cave", "walk e"])
def test_the_dark_kills(said: str) -> None:
    game = small()
    play(game, ["take loaf", "give loaf to troll", "open chest", "take lamp", "n"])
    end = {"success": False, "score": 5, "max_score": 35}
    assert game.step(said) == ("you fall into a pit in the dark cave, to your death.", 0.0, True, end)


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("UNLOCK the door!", "the way past iron door is free. score 5 of 35."),
        ("use key on door", "the way past iron door is free. score 5 of 35."),
        ("open the iron door with the iron key", "the way past iron door is free. score 5 of 35."),
        ("unlock iron dor wiht iron kye", "the way past iron door is free. score 5 of 35."),
        ("feed the troll with the loaf", "the way past troll is free. score 5 of 35."),
        ("give bread to troll", "give what for troll?"),
        ("give coin to troll", "coin does not help with troll."),
        ("give loaf and coin to troll", "one thing at a time."),
        ("use troll", "use troll with what?"),
        ("unlock chest", "that is of no use here."),
        ("use loaf", "that is of no use here."),
        ("light lamp", "light what? you see no such thing here."),
        ("light loaf", "you cannot light loaf."),
        ("take sword", "take what? you see no such thing here."),
        ("take troll", "you see no such thing to take."),
        ("examine chest", "chest is closed."),
        ("unlock door and go west", NOT_UNDERSTOOD),
        ("eat loaf", NOT_UNDERSTOOD),
        ("hello", NOT_UNDERSTOOD),
    ],
)
def test_reading(said: str, reply: str) -> None:
    game = small()
    play(game, ["take key", "take loaf", "take coin"])
    assert game.step(said).text == reply


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert small().step(text).text


def best(game: Quest) -> tuple[float, int]:
    """The most points that can be scored, and the fewest turns to all, by breadth-first search over the game."""
    frontier, seen, turns, most, fewest = [game], set(), 0, 0.0, 0
    while frontier:
        turns += 1
        reached = []
        for state in frontier:
            saved = pickle.dumps(state)
            for action in state.valid_actions():
                after = pickle.loads(saved)
                turn = after.step(action)
                most = max(most, after._score)
                fewest = fewest or (turns if turn.info.get("success") else 0)
                world = after._world
                key = repr((world.room, world.place, world.state, sorted(world.closed), sorted(world.blocked)))
                if not turn.terminated and key not in seen:
                    seen.add(key)
                    reached.append(after)
        frontier = reached
    return most, fewest


def total(game: Quest) -> tuple[float, int, bool]:
    """What the expert scores, in how many turns, and whether that is all."""
    score, turns = 0.0, 0
    while turns < game.max_turns:
        turn = game.step(game.expert_action())
        score, turns = score + turn.reward, turns + 1
        if turn.terminated:
            break
    return score, turns, turn.info.get("success", False)


def test_the_expert_scores_what_search_finds() -> None:
    game = small()
    assert best(game)[0] == 35.0
    assert total(game)[::2] == (35.0, True)
    for seed in range(4):
        game = Quest(rooms=4, puzzles=seed % 3, treasures=1, dark=seed > 1)
        game.reset(np.random.default_rng(seed))
        most, fewest = best(game)
        score, turns, success = total(game)
        assert most == score == game.max_score and success
        assert fewest <= turns <= fewest + 12  # it explores


def test_the_expert_scores_all_also_after_mistakes() -> None:
    rng = np.random.default_rng(1)
    for episode in range(80):
        rooms = 3 + episode % 22
        game = Quest(rooms, episode % (min(8, rooms - 2) + 1), 1 + episode % 8, dark=episode % 3 > 0)
        game.reset(rng)
        before = 0.0
        for _ in range(40 * (episode % 2)):
            action = str(rng.choice([*game.valid_actions(), *(f"drop {thing}" for thing in game._world.held())]))
            if not pickle.loads(pickle.dumps(game)).step(action).terminated:
                before += game.step(action).reward
        score, _, success = total(game)
        assert success and before + score == game.max_score


@pytest.mark.parametrize("level", list(Quest.levels.values()))
def test_instances_and_choices(level: dict[str, Any]) -> None:
    game, rng, seen = Quest(**level), np.random.default_rng(1), set()
    for _ in range(60):
        opening = game.reset(rng)
        seen.add(game.instance())
        assert ("lamp" in opening) == game.dark == bool(game._dark)
        for _ in range(25):
            actions = game.valid_actions()
            assert len(actions) <= game.max_choices
            turn = game.step(str(rng.choice(actions)))
            assert "understood" not in turn.text and "no such thing" not in turn.text and "what?" not in turn.text
            if turn.terminated:
                break
    assert len(seen) == 60


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"rooms": 2}, "rooms must be 3 to 24, not 2"),
        ({"rooms": 5, "puzzles": 4}, "puzzles must be 0 to 3 in 5 rooms, not 4"),
        ({"puzzles": -1}, "puzzles must be 0 to 7 in 9 rooms, not -1"),
        ({"treasures": 0}, "treasures must be 1 to 8, not 0"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Quest(**knobs)
