from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.control import stacks
from textenvs.games.control.blocks import Blocks
from textenvs.games.control.stacks import ANYWHERE, HAND, TABLE, Supports

Facts = frozenset[tuple[str, ...]]
COMMON = ["take", "put", "stack", "red", "blue", "white", "table", "on", "from", "a"]
NOT_UNDERSTOOD: Any = ("say pick up, unstack, put down or stack, and the block.", -0.05, False, {})


def operators(blocks: str) -> list[tuple[str, Facts, Facts, Facts]]:
    """The four STRIPS operators of the blocks world: text, preconditions, what they delete, what they add."""
    free: tuple[str, ...] = ("handempty",)
    found: list[tuple[str, Facts, Facts, Facts]] = []
    for x in blocks:
        in_hand: Facts = frozenset({("holding", x)})
        on_table: Facts = frozenset({("clear", x), ("ontable", x), free})
        found.append((f"pick up {x}", on_table, on_table, in_hand))
        found.append((f"put down {x}", in_hand, in_hand, on_table))
        for y in blocks.replace(x, ""):
            stacked: Facts = frozenset({("on", x, y), ("clear", x), free})
            apart = in_hand | {("clear", y)}
            found.append((f"unstack {x} from {y}", stacked, stacked, apart))
            found.append((f"stack {x} on {y}", apart, apart, stacked))
    return found


@cache
def world(blocks: str) -> networkx.DiGraph:
    """All states that can be reached, with the operators' texts on the edges."""
    start: Facts = frozenset({("handempty",), *product(("clear", "ontable"), blocks)})
    graph, queue, actions = networkx.DiGraph(), [start], operators(blocks)
    graph.add_node(start)
    for state in queue:
        for text, needed, deleted, added in actions:
            if needed <= state:
                after = (state - deleted) | added
                if after not in graph:
                    queue.append(after)
                graph.add_edge(state, after, text=text)
    return graph


def supports(facts: Facts, blocks: str) -> Supports:
    """The same state as the game has it."""
    places = dict.fromkeys(blocks, HAND)
    for kind, *names in facts:
        if kind == "on":
            places[names[0]] = blocks.index(names[1])
        elif kind == "ontable":
            places[names[0]] = TABLE
    return tuple(places.values())


def wanted(facts: Facts, blocks: str, named: set[str]) -> tuple[Supports, set[tuple[str, ...]]]:
    """A partial goal: what the named blocks that stand on others stand on."""
    relations = {fact for fact in facts if fact[0] == "on" and fact[1] in named}
    known = {fact[1]: blocks.index(fact[2]) for fact in relations}
    return tuple(known.get(x, ANYWHERE) for x in blocks), relations


def start(state: Supports, goal: Supports, blocks: str = "abcd", kind: str = "full") -> Blocks:
    game = Blocks(len(blocks), kind)
    game.reset(np.random.default_rng(0))
    game._names, game._state, game._goal = list(blocks), state, goal
    return game


@pytest.mark.parametrize(("blocks", "states"), [("abc", 22), ("bdef", 125)])
def test_the_least_steps_are_those_of_breadth_first_search_for_all_full_goals(blocks: str, states: int) -> None:
    graph = world(blocks)
    assert len(graph) == states  # 13 or 73 with an empty hand
    for goal in (facts for facts in graph if ("handempty",) in facts):
        far = networkx.single_source_shortest_path_length(graph.reverse(copy=False), goal)
        there = supports(goal, blocks)
        for facts, steps in far.items():
            assert stacks.least_steps(supports(facts, blocks), there) == steps


@pytest.mark.parametrize(("blocks", "goals"), [("abc", 80), ("bdef", 120), ("abcde", 25)])
def test_the_least_steps_are_those_of_breadth_first_search_for_partial_goals(blocks: str, goals: int) -> None:
    graph, rng = world(blocks), np.random.default_rng(0)
    full = [facts for facts in graph if ("handempty",) in facts]
    for _ in range(goals):
        named = {x for x in blocks if rng.random() < 0.6}
        goal, relations = wanted(full[rng.integers(len(full))], blocks, named)
        ends = {facts for facts in graph if relations <= facts}
        far = networkx.multi_source_dijkstra_path_length(graph.reverse(copy=False), ends)
        for facts, steps in far.items():
            state = supports(facts, blocks)
            assert stacks.reached(state, goal) == (facts in ends)
            if steps:
                assert stacks.least_steps(state, goal) == steps, (state, goal)


def test_the_least_steps_are_those_of_breadth_first_search_for_five_blocks() -> None:
    graph, rng = world("abcde"), np.random.default_rng(1)
    assert len(graph) == 501 + 5 * 73
    full = [facts for facts in graph if ("handempty",) in facts]
    for number in rng.integers(len(full), size=30):
        far = networkx.single_source_shortest_path_length(graph.reverse(copy=False), full[number])
        goal = supports(full[number], "abcde")
        assert {f: stacks.least_steps(supports(f, "abcde"), goal) for f in far} == far
        assert max(far.values()) <= 4 * 5


def test_the_steps_are_those_of_strips() -> None:
    """Every command that can be said, in every state of four blocks: the same states and the same refusals."""
    blocks, graph = "bdef", world("bdef")
    texts = [text for text, *_ in operators(blocks)]
    game = start((TABLE,) * 4, (1, 2, 3, TABLE), blocks)
    for facts in graph:
        if supports(facts, blocks) == game._goal:
            continue
        allowed = {data["text"]: after for _, after, data in graph.out_edges(facts, data=True)}
        for text in texts:
            game._state = before = supports(facts, blocks)
            assert sorted(game.valid_actions()) == sorted(allowed)
            turn = game.step(text)
            if text in allowed:
                assert game._state == supports(allowed[text], blocks)
                assert turn.terminated == (game._state == game._goal)
                assert turn.reward == (1.0 if turn.terminated else -0.01)
            else:
                assert (game._state, turn.reward, turn.terminated) == (before, -0.05, False)


@pytest.mark.parametrize("knobs", [*Blocks.levels.values(), {"blocks": 2}, {"blocks": 10, "goal": "full"}])
def test_the_expert_takes_the_least_steps_also_after_mistakes(knobs: dict[str, Any]) -> None:
    game, rng = Blocks(**knobs), np.random.default_rng(0)
    for episode in range(30):
        game.reset(rng)
        assert game.blocks // 2 < stacks.plan(game._state, game._goal)[0] <= 2 * game.blocks - 2
        for _ in range(episode % 6):
            valid = game.valid_actions()
            if game.step(valid[rng.integers(len(valid))]).terminated:
                break
        if not stacks.reached(game._state, game._goal):
            for left in reversed(range(stacks.least_steps(game._state, game._goal))):
                assert game.expert_action() in game.valid_actions()
                turn = game.step(game.expert_action())
                assert turn.terminated == (left == 0)
            assert turn == ("solved.", 1.0, True, {"success": True})


def test_an_episode() -> None:
    game = Blocks(3, "full")
    opening = game.reset(np.random.default_rng(0))
    assert opening == (
        "blocks world. pick up a block from the table or unstack it from another, then put it down or stack it on "
        f"another; only blocks with nothing on top. goal: {game.instance().split(' -> ')[1]}. towers from the bottom "
        f"up: {game.instance().split(' -> ')[0]}. hand empty."
    )
    game._names, game._state, game._goal = ["red", "blue", "white"], (TABLE, 0, TABLE), (2, TABLE, TABLE)
    assert game.valid_actions() == ["unstack blue from red", "pick up white"]
    assert game.step("pick up red") == ("red has a block on top.", -0.05, False, {})
    assert game.step("pick up blue") == ("blue is on red.", -0.05, False, {})
    assert game.step("unstack white from red") == ("white is on the table.", -0.05, False, {})
    assert game.step("put down blue") == ("your hand is empty.", -0.05, False, {})
    assert game.step("Unstack the blue block from the red one.") == (
        "towers from the bottom up: red, white. holding blue.",
        -0.01,
        False,
        {},
    )
    assert game.valid_actions() == ["put down blue", "stack blue on red", "stack blue on white"]
    assert game.step("take red") == ("your hand already holds blue.", -0.05, False, {})
    assert game.step("stack white on red") == ("you hold blue.", -0.05, False, {})
    assert game.step("stack blue") == ("say what to put it on.", -0.05, False, {})
    assert game.step("put it on blue") == ("it cannot go onto itself.", -0.05, False, {})
    assert game.step("juggle") == NOT_UNDERSTOOD
    assert game.step("put it down").text == "towers from the bottom up: red, blue, white. hand empty."
    assert game.step("take").text == "name the block to take."
    game.step("pick up red")
    assert game.step("stack red on white") == ("solved.", 1.0, True, {"success": True})


def test_a_partial_goal_is_told_and_enough() -> None:
    game, rng = Blocks(**Blocks.levels["medium"]), np.random.default_rng(0)
    for _ in range(50):
        relations = game.reset(rng).split("goal: ")[1].split(". ")[0].split(", ")
        told = {tuple(relation.split(" on ")) for relation in relations}
        places = {(game._names[x], game._names[y]) for x, y in enumerate(game._goal) if y != ANYWHERE}
        assert told == places and len(told) >= 1
        while not (turn := game.step(game.expert_action())).terminated:
            continue
        assert turn.info == {"success": True}
        assert told <= {(game._names[x], game._names[y]) for x, y in enumerate(game._state) if y != TABLE}


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("Take a off b!", "unstack a from b"),
        ("remove block a from the top of b", "unstack a from b"),
        ("grab a", "unstack a from b"),
        ("take off a", "unstack a from b"),
        ("pick up a from b", "unstack a from b"),
        ("pick c up", "pick up c"),
        ("get c from the table", "pick up c"),
    ],
)
def test_ways_to_take(text: str, command: str) -> None:
    states = []
    for said in (text, command):
        game = start((1, TABLE, TABLE), (2, 0, TABLE), "abc")
        game._names = ["red", "blue", "white"]
        names = dict(zip("abc", game._names, strict=True))
        assert game.step(" ".join(names.get(word.strip("!"), word) for word in said.split())).reward == -0.01
        states.append(game._state)
    assert states[0] == states[1]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("put it down", (TABLE, TABLE, TABLE)),
        ("Drop the red block", (TABLE, TABLE, TABLE)),
        ("place red on the table", (TABLE, TABLE, TABLE)),
        ("stack on white", (2, TABLE, TABLE)),
        ("put the red one on top of the white one", (2, TABLE, TABLE)),
        ("move red to blue", (1, TABLE, TABLE)),
        ("red onto blue", (1, TABLE, TABLE)),
    ],
)
def test_ways_to_let_go(text: str, state: Supports) -> None:
    game = start((HAND, TABLE, TABLE), (2, 0, TABLE), "abc")
    game._names = ["red", "blue", "white"]
    assert game.step(text).reward == -0.01
    assert game._state == state


@pytest.mark.parametrize("text", ["", "red", "take red and put it on blue", "stack red on blue on white", "blue on"])
def test_what_is_not_understood(text: str) -> None:
    game = start((HAND, TABLE, TABLE), (2, 0, TABLE), "abc")
    game._names = ["red", "blue", "white"]
    assert game.step(text) == NOT_UNDERSTOOD
    assert game._state == (HAND, TABLE, TABLE)


@given(st.text() | st.lists(st.sampled_from(COMMON)).map(" ".join))
def test_any_text_is_answered(text: str) -> None:
    game = Blocks(3, "full")
    game.reset(np.random.default_rng(0))
    turn = game.step(text)
    assert turn.text and turn.reward in (-0.01, -0.05)


def test_starts_are_all_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = {stacks.random_supports(4, rng) for _ in range(3000)}
    assert drawn == {supports(facts, "abcd") for facts in world("abcd") if ("handempty",) in facts}


@pytest.mark.parametrize("level", Blocks.levels)
def test_instances_differ(level: str) -> None:
    game, rng, seen = Blocks(**Blocks.levels[level]), np.random.default_rng(0), set()
    for _ in range(1000):
        game.reset(rng)
        seen.add(game.instance())
    assert len(seen) > 990


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"blocks": 1}, "blocks must be 2 to 10, not 1"),
        ({"blocks": 11}, "blocks must be 2 to 10, not 11"),
        ({"goal": "some"}, "goal must be 'full' or 'partial', not 'some'"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Blocks(**knobs)
