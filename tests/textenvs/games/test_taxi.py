from __future__ import annotations

import inspect
from functools import cache
from itertools import product
from typing import Any

import gymnasium
import networkx
import numpy as np
import pytest
from gymnasium.envs.toy_text.taxi import MAP, TaxiEnv
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.control import streets
from textenvs.games.control.taxi import Taxi

COMMANDS = ("down", "up", "right", "left", "pick up", "drop off")
STATES = list(product(range(5), range(5), range(5), range(4)))  # row, column, passenger, destination
MENDED_RAIN = pytest.mark.skipif(
    "rainy_probability" not in inspect.signature(TaxiEnv).parameters, reason="the rain of Taxi-v3 was at fault"
)
NOT_UNDERSTOOD: Any = ("say down, up, right, left, pick up or drop off.", -10.0, False, {})


class Fate:
    """A generator that makes move after move end in a given one of its outcomes."""

    def __init__(self, outcome: int) -> None:
        self.outcome = outcome

    def choice(self, outcomes: int, p: np.ndarray) -> int:
        self.probability = float(p[self.outcome])
        return self.outcome


def put(game: Taxi, row: int, column: int, passenger: int, destination: int) -> Taxi:
    game._cell, game._passenger, game._destination = (row, column), passenger, destination
    return game


def start(**knobs: Any) -> Taxi:
    """The game on Gymnasium's map."""
    game = Taxi("5x5", **knobs)
    game.reset(np.random.default_rng(0))
    return game


@cache
def gymnasium_values(straight: float) -> np.ndarray:
    """The optimal values of Gymnasium's states, not discounted."""
    chances = TaxiEnv(is_rainy=straight < 1, rainy_probability=straight).P
    outcomes = np.zeros((500, 6, 3, 4))  # probability, next state, reward, whether it goes on
    for state, action in product(range(500), range(6)):
        for i, (p, after, reward, done) in enumerate(chances[state][action]):
            outcomes[state, action, i] = p, after, reward, not done
    following, values, better = outcomes[..., 1].astype(int), np.ones(500), np.zeros(500)
    while abs(better - values).max() > 1e-9:
        values = better
        better = (outcomes[..., 0] * (outcomes[..., 2] + outcomes[..., 3] * values[following])).sum(-1).max(-1)
    return better


def action_value(chances: dict[Any, Any], values: np.ndarray, state: int, action: int) -> float:
    return sum(p * (reward + (0 if done else values[after])) for p, after, reward, done in chances[state][action])


def test_the_map_is_that_of_gymnasium() -> None:
    rows = [row[1:-1].replace(":", "").replace(" ", ".") for row in MAP[1:-1]]
    assert str(streets.STANDARD).split() == rows
    assert list(streets.STANDARD.places) == TaxiEnv().locs
    taxi = next(entry for id, entry in gymnasium.registry.items() if id.startswith("Taxi-"))
    assert Taxi.max_turns == taxi.max_episode_steps


def test_every_transition_is_that_of_gymnasium() -> None:
    theirs, game = TaxiEnv(), start()
    for state, (action, command) in product(STATES, enumerate(COMMANDS)):
        turn = put(game, *state).step(command)
        ((_, after, reward, done),) = theirs.P[theirs.encode(*state)][action]
        assert (turn.reward, turn.terminated) == (reward, done)
        assert (*game._cell, game._passenger, game._destination) == (*theirs.decode(after),)


@MENDED_RAIN
def test_every_transition_in_the_rain_is_that_of_gymnasium() -> None:
    theirs = TaxiEnv(is_rainy=True, rainy_probability=0.7)
    game = start(is_rainy=True, rainy_probability=0.7)
    for state, action in product(STATES, range(4)):
        ours = np.zeros(500)
        for outcome in range(3):
            game._rng = Fate(outcome)  # type: ignore[assignment]
            assert put(game, *state).step(COMMANDS[action]).reward == -1
            ours[theirs.encode(*game._cell, state[2], state[3])] += game._rng.probability  # type: ignore[attr-defined]
        expected = np.zeros(500)
        for probability, after, *_ in theirs.P[theirs.encode(*state)][action]:
            expected[after] += probability
        np.testing.assert_allclose(ours, expected, atol=1e-12)


@MENDED_RAIN
@pytest.mark.parametrize("straight", [1.0, 0.8, 0.5])
def test_the_expert_is_optimal_in_gymnasiums_transitions(straight: float) -> None:
    theirs = TaxiEnv(is_rainy=straight < 1, rainy_probability=straight)
    game = start(is_rainy=straight < 1, rainy_probability=straight)
    values = gymnasium_values(straight)
    for state in STATES:
        if state[2] != state[3]:
            number = theirs.encode(*state)
            chosen = COMMANDS.index(put(game, *state).expert_action())
            assert action_value(theirs.P, values, number, chosen) == pytest.approx(values[number], abs=1e-6)


@MENDED_RAIN
@pytest.mark.parametrize(("straight", "fickleness"), [(1.0, 0.3), (1.0, 0.95), (0.8, 0.3), (0.7, 0.95)])
def test_the_expert_weighs_what_a_fickle_passenger_may_want(straight: float, fickleness: float) -> None:
    theirs = TaxiEnv(is_rainy=straight < 1, rainy_probability=straight)
    game = start(
        is_rainy=straight < 1, rainy_probability=straight, fickle_passenger=True, fickle_probability=fickleness
    )
    values = gymnasium_values(straight)
    for source, destination in product(range(4), range(4)):
        if source == destination:
            continue
        cell = theirs.locs[source]

        def worth(action: int, staying: float, destination: int = destination, cell: Any = cell) -> float:
            total = -1.0
            for p, after, *_ in theirs.P[theirs.encode(cell[0], cell[1], 4, destination)][action]:
                row, column, _, _ = theirs.decode(after)
                wishes = [values[theirs.encode(row, column, 4, wish)] for wish in range(4) if wish != destination]
                moved = (1 - fickleness) * values[after] + fickleness * np.mean(wishes)
                total += p * (staying if (row, column) == cell else moved)
            return total

        best = 0.0
        for _ in range(100):
            best = max(worth(action, best) for action in range(4))
        chosen = COMMANDS.index(put(game, *cell, 4, destination).expert_action())
        assert worth(chosen, best) == pytest.approx(best, abs=1e-6)


def parsed(text: str) -> tuple[networkx.Graph, dict[str, tuple[int, int]]]:
    """The city that a map tells, as a graph, and the places in it."""
    graph, places = networkx.Graph(), {}
    for row, line in enumerate(text.split()):
        column, blocked = 0, True
        for tile in line:
            if tile == "|":
                blocked = True
                continue
            graph.add_node((row, column))
            if not blocked:
                graph.add_edge((row, column), (row, column - 1))
            if row:
                graph.add_edge((row, column), (row - 1, column))
            if tile != ".":
                places[tile] = (row, column)
            column, blocked = column + 1, False
    return graph, places


@pytest.mark.parametrize("size", [3, 8, 10])
def test_the_expert_takes_the_shortest_ways_of_the_map_that_is_told(size: int) -> None:
    game, rng = Taxi(size=size), np.random.default_rng(size)
    for _ in range(15):
        opening = game.reset(rng)
        graph, places = parsed(opening.split("blue: ")[1].split(";")[0])
        assert len(graph) == size**2 and networkx.is_connected(graph)
        waiting, wanted = places["RGYB"[game._passenger]], places["RGYB"[game._destination]]
        least = networkx.shortest_path_length(graph, game._cell, waiting)
        least += networkx.shortest_path_length(graph, waiting, wanted) + 2
        total, turns = 0.0, 0
        while True:
            turn = game.step(game.expert_action())
            total, turns = total + turn.reward, turns + 1
            if turn.terminated:
                break
        assert (turns, total) == (least, 21 - least)
        assert turn.info == {"success": True}


def least_moves(graph: networkx.Graph, worth: dict[Any, float], straight: float) -> dict[Any, float]:
    """The least expected number of moves from each cell to where ``worth`` ends them, with that worth added."""
    best = {cell: worth.get(cell, 0.0) for cell in graph}
    while True:
        before = dict(best)
        for row, column in graph.nodes - worth.keys():
            costs = []
            for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                ahead, *sides = (
                    (row + down * turn[0] + right * turn[1], column + right * turn[0] + down * turn[1])
                    for turn in ((1, 0), (0, 1), (0, -1))
                )
                if graph.has_edge((row, column), ahead):
                    kept = [side if graph.has_edge((row, column), side) else (row, column) for side in sides]
                    costs.append(1 + straight * before[ahead] + (1 - straight) / 2 * sum(before[side] for side in kept))
            best[row, column] = min(costs)
        if max(abs(best[cell] - before[cell]) for cell in graph) < 1e-9:
            return best


def test_the_expert_earns_what_the_optimum_is_at_hard() -> None:
    knobs, differences = Taxi.levels["hard"], []
    for seed in range(3):
        game = Taxi(**knobs)
        opening = game.reset(np.random.default_rng(seed))
        graph, places = parsed(opening.split("blue: ")[1].split(";")[0])
        waiting, wanted = places["RGYB"[game._passenger]], places["RGYB"[game._destination]]
        to_place = {place: least_moves(graph, {place: 0.0}, 0.8) for place in places.values()}
        after_first = {
            cell: 0.7 * to_place[wanted][cell] + 0.1 * sum(to_place[p][cell] for p in to_place if p != wanted)
            for cell in graph
        }
        neighbours = {cell: after_first[cell] for cell in graph if cell != waiting}
        moves = to_place[waiting][game._cell] + least_moves(graph, neighbours, 0.8)[waiting]
        returns = []
        for episode in range(100):
            game.reset(np.random.default_rng(seed))
            game._rng = np.random.default_rng(episode)
            total, done = 0.0, False
            while not done:
                _, reward, done, _ = game.step(game.expert_action())
                total += reward
            returns.append(total)
        assert game.instance() and len(set(returns)) > 5
        differences += [value - (19 - moves) for value in returns]
    assert abs(np.mean(differences)) < 4 * np.std(differences) / len(differences) ** 0.5


def test_an_episode() -> None:
    game = start()
    put(game, 0, 1, 0, 1)
    assert game.step("go west") == (
        "you are at row 1 column 1, red. walls: up, left. passenger at red, wants green.",
        -1.0,
        False,
        {},
    )
    assert game.step("drop off") == ("you have no passenger. passenger at red, wants green.", -10.0, False, {})
    assert game.step("pick up").text.endswith("passenger on board, wants green.")
    assert game.step("pick up") == (
        "there is nobody to pick up here. passenger on board, wants green.",
        -10.0,
        False,
        {},
    )
    assert game.step("drop off").text.endswith("passenger at red, wants green.")
    assert game.step("pick up").reward == -1
    assert game.step("fly") == NOT_UNDERSTOOD
    game.step("right")
    assert game.step("right").text.startswith("you are at row 1 column 2. walls: up, right.")
    assert game.step("drop off") == ("you can drop off at the four places only.", -10.0, False, {})
    put(game, 0, 4, 4, 1)
    assert game.step("drop off") == ("you bring the passenger to green.", 20.0, True, {"success": True})


def test_a_fickle_passenger_changes_the_destination_once_at_the_first_move_on_board() -> None:
    changed = 0
    for seed in range(400):
        game = Taxi("5x5", fickle_passenger=True)
        game.reset(np.random.default_rng(seed))
        put(game, 0, 0, 0, 1)
        for command in ("down", "up", "pick up", "drop off", "pick up", "left"):
            game.step(command)
        assert game._destination == 1
        turn = game.step("down")
        assert turn.text.startswith("the passenger has another wish.") == (game._destination != 1)
        changed += game._destination != 1
        now = game._destination
        for command in ("down", "up", "up", "drop off", "pick up", "down"):
            game.step(command)
        assert game._destination == now
    assert abs(changed / 400 - 0.3) < 4 * (0.3 * 0.7 / 400) ** 0.5


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("Down!", "down"),
        ("I drive to the east.", "right"),
        ("n", "up"),
        ("go westward", "left"),
        ("Pick up the passenger", "pick up"),
        ("pickup", "pick up"),
        ("get the passenger", "pick up"),
        ("drop-off", "drop off"),
        ("put the passenger down", "drop off"),
        ("let them out here", "drop off"),
        ("DELIVER!", "drop off"),
        ("take the passenger", "pick up"),
        ("pick her up, please", "pick up"),
    ],
)
def test_commands_that_are_understood(text: str, command: str) -> None:
    for seed in range(20):
        one, other = Taxi("5x5"), Taxi("5x5")
        one.reset(np.random.default_rng(seed)), other.reset(np.random.default_rng(seed))
        assert one.step(text) == other.step(command) != NOT_UNDERSTOOD


@pytest.mark.parametrize(
    "text", ["", "jump", "left or right", "pick up and drop off", "go up and collect", "up and pick up", "take"]
)
def test_what_is_not_understood(text: str) -> None:
    game = start()
    before = game._look()
    assert game.step(text) == NOT_UNDERSTOOD
    assert game._look() == before


@given(st.text() | st.lists(st.sampled_from(["pick", "drop", "up", "left", "the", "passenger"])).map(" ".join))
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and turn.reward in (-1, -10, 20)


def test_the_starts_are_those_of_gymnasium() -> None:
    game, rng, theirs = Taxi("5x5"), np.random.default_rng(0), TaxiEnv()
    counts = np.zeros(500)
    for _ in range(6000):
        game.reset(rng)
        counts[theirs.encode(*game._cell, game._passenger, game._destination)] += 1
    possible = theirs.initial_state_distrib > 0
    assert (counts > 0).tolist() == possible.tolist()
    assert ((counts[possible] - 20) ** 2 / 20).sum() < 299 + 4 * (2 * 299) ** 0.5  # chi-squared


@pytest.mark.parametrize("level", ["medium", "hard"])
def test_instances_differ(level: str) -> None:
    game, rng = Taxi(**Taxi.levels[level]), np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        game.reset(rng)
        seen.add(game.instance())
    assert len(seen) == 200


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"map_name": "4x4"}, "map_name must be '5x5' or None for a random map, not '4x4'"),
        ({"size": 2}, "size must be 3 to 12, not 2"),
        ({"rainy_probability": 0.4}, "rainy_probability must be 0.5 to 1, not 0.4"),
        ({"fickle_probability": 1.1}, "fickle_probability must be 0 to 1, not 1.1"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Taxi(**knobs)
