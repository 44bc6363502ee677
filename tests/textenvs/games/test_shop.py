from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.worlds.catalogue import Product, Request, catalogue, fit, search
from textenvs.games.worlds.shop import Shop

SHOE = Product(
    "p1",
    "running shoes",
    "bolt vegan wide fit running shoes",
    ("vegan", "wide fit", "slip on", "waterproof"),
    {"color": ("red", "blue"), "shoe size": ("8", "9")},
    59,
)
UNUSABLE = "that cannot be clicked. say search[words] or click["


def start(seed: int = 0, **knobs: Any) -> Shop:
    game = Shop(**knobs)
    game.reset(np.random.default_rng(seed))
    return game


def asked() -> Shop:
    """Vegan, slip on running shoes in blue for 60 dollars are asked for, the shelf of results has some."""
    game = start(products=500)
    game._request = Request("running shoes", ("vegan", "slip on"), {"color": "blue"}, 60)
    return game


@pytest.mark.parametrize(
    ("request_", "options", "reward"),
    [
        (Request("running shoes", ("vegan", "slip on"), {"color": "red"}, 59), {"color": "red"}, 4 / 4),
        (Request("running shoes", ("vegan", "slip on"), {"color": "red"}, 58), {"color": "red"}, 3 / 4),
        (Request("running shoes", ("vegan", "slip on"), {"color": "red"}, 58), {"color": "blue"}, 2 / 4),
        (Request("running shoes", ("padded",), {"color": "red", "shoe size": "9"}, 90), {"shoe size": "9"}, 2 / 4),
        (Request("dress shoes", ("vegan",), {}, 60), {"color": "red"}, 2 / 2),
        (Request("running vest", ("padded",), {}, 60), {}, 1 / 2),
        (Request("hiking boots", ("vegan",), {}, 60), {}, 0.0),
    ],
)
def test_the_reward(request_: Request, options: dict[str, str], reward: float) -> None:
    assert fit(SHOE, options, request_) == reward


@pytest.mark.parametrize("query", ["vegan running shoes", "Lamp!", "bolt coffee coffee mug", "desk lamp office chair"])
def test_search_is_bm25(query: str) -> None:
    size, k, b = 200, 0.9, 0.4
    titles = {id: product.title.split() for id, product in catalogue(size).items()}
    mean = sum(map(len, titles.values())) / size
    expected = {}
    for id, title in titles.items():
        expected[id] = 0.0
        for word in set(query.lower().strip("!").split()):
            holding = sum(word in other for other in titles.values())
            weight = math.log(1 + (size - holding + 0.5) / (holding + 0.5))
            count = title.count(word)
            expected[id] += weight * count * (k + 1) / (count + k * (1 - b + b * len(title) / mean))
    found = search(query, size, 20)
    assert 5 <= len(found) <= 20 and all(expected[id] > 0 for id in found)
    best = sorted(expected.values(), reverse=True)[: len(found)]
    assert [expected[id] for id in found] == pytest.approx(best)


def test_search_finds_nothing_for_foreign_words() -> None:
    assert search("zebra", 100, 50) == [] == search("", 100, 50)
    assert asked().step("search[zebra]") == ("nothing found. search for something else.", 0.0, False, {})


def test_the_stock() -> None:
    stock = catalogue(500)
    assert len(stock) == 500 and catalogue(500) is stock
    assert len({product.kind for product in stock.values()}) == 25
    for product in stock.values():
        values = [value for values in product.options.values() for value in values]
        assert len(set(product.attributes)) == 4 and len(set(values)) == len(values) >= 4
        assert product.title.endswith(f"{product.attributes[0]} {product.attributes[1]} {product.kind}")


def test_an_episode() -> None:
    game = asked()
    stock = catalogue(500)
    found = search("vegan running shoes", 500, 50)
    first, second = found[:5], found[5:10]
    page = game.step("search[vegan running shoes]").text
    listed = "; ".join(f"{id} {stock[id].title} ${stock[id].price}" for id in first)
    assert page == f"page 1 of 10: {listed}."
    assert game.step("click[prev]").text == f"{UNUSABLE}{first[0]}]."
    assert game.step("click[next]").text.startswith(f"page 2 of 10: {second[0]} ")
    assert game.step("click[prev]").text == page
    product = stock[first[1]]
    (color, colors), (size, sizes) = product.options.items()
    opened = (
        f"{product.title} ${product.price}. {color}: {', '.join(colors)}. {size}: {', '.join(sizes)}. "
        "(features, back, buy now)"
    )
    assert game.step(f"click[{product.id}]").text == opened
    assert game.step("click[features]").text == f"features: {', '.join(product.attributes)}."
    assert game.step(f"click[{sizes[0]}]").text == f"shoe size {sizes[0]} is chosen."
    assert game.step(f"click[{colors[0]}]").text == f"color {colors[0]} is chosen."
    assert game.step("click[back]").text == page
    assert game.step(f"click[{product.id}]").text == opened
    assert game._chosen == {}  # as on a page opened anew
    game.step(f"click[{colors[-1]}]")
    reward = fit(product, {color: colors[-1]}, game._request)
    assert 0 < reward < 1
    assert game.step("click[buy now]") == (
        f"bought. your score is {reward:.2f}.",
        reward,
        True,
        {"success": False},
    )


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("SEARCH[ Running Shoes ]", "page 1 of"),
        ("search for running shoes", "page 1 of"),
        ("find me some running shoes", "page 1 of"),
        ("search", UNUSABLE),
        ("buy now", "bought. your score is"),
        ("I buy it", "bought. your score is"),
        ("no other is better, buy it", "bought. your score is"),
        ("i do not want to buy this", UNUSABLE),
        ("don't buy it yet", UNUSABLE),
        ("should i buy now?", UNUSABLE),
        ("in order to decide, show me all sizes", UNUSABLE),
        ("click features", "features: vegan,"),
        ("show me the description", "features: vegan,"),
        ("select blue, please", "color blue is chosen."),
        ("blue", "color blue is chosen."),
        ("size 9", "shoe size 9 is chosen."),
        ("red or blue", UNUSABLE),
        ("click[green]", UNUSABLE),
        ("go back", "page 1 of"),
        ("click[next]", UNUSABLE),
        ("", UNUSABLE),
    ],
)
def test_reading(said: str, reply: str) -> None:
    game = asked()
    game.step("search[running shoes]")
    game._open = SHOE
    assert game.step(said).text.startswith(reply)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert asked().step(text).text


@pytest.mark.parametrize("level", list(Shop.levels))
def test_the_expert_mostly_finds_what_fits_also_after_mistakes(level: str) -> None:
    game, rng, rewards = Shop(**Shop.levels[level]), np.random.default_rng(0), []
    for episode in range(40):
        game.reset(rng)
        for number in range(game.max_turns):
            wild = episode % 2 and number < 12
            choices = [action for action in game.valid_actions() if "buy" not in action]
            turn = game.step(str(rng.choice(choices)) if wild else game.expert_action())
            if turn.terminated:
                break
        assert turn.terminated  # it buys something in time
        assert turn.info["success"] == (turn.reward == 1.0)
        rewards.append(turn.reward)
    assert np.mean(rewards) > 0.95


def test_the_expert_knows_nothing_that_was_not_read() -> None:
    game = asked()
    said = [game.expert_action()]
    assert said == ["search[slip on vegan running shoes]"]
    game.step(said[0])
    game._results = ["p1"]
    stock = dict(catalogue(500))
    assert stock["p1"].kind == "running shoes"
    game._request = Request("running shoes", (stock["p1"].attributes[0],), {}, stock["p1"].price)
    game._query = f"{stock['p1'].attributes[0]} running shoes"
    assert game.expert_action() == "click[p1]"
    game.step("click[p1]")
    assert game.expert_action() == "click[buy now]"  # the title tells the attribute
    game._request = game._request._replace(attributes=(stock["p1"].attributes[3],))
    assert game.expert_action() == "click[features]"  # it does not tell this one
    game.step("click[features]")
    assert game.expert_action() == "click[buy now]"


@pytest.mark.parametrize("level", list(Shop.levels.values()))
def test_instances_and_choices(level: dict[str, Any]) -> None:
    game, rng, seen = Shop(**level), np.random.default_rng(1), set()
    for _ in range(60):
        opening = game.reset(rng)
        seen.add(game.instance())
        wanted = [
            product
            for product in catalogue(game.products).values()
            if fit(product, game._request.options, game._request) == 1
        ]
        assert wanted and game._request.kind in opening
        for _ in range(15):
            actions = game.valid_actions()
            assert len(actions) <= game.max_choices and max(map(len, actions)) <= len("search[]") + 45
            turn = game.step(str(rng.choice(actions)))
            assert "cannot" not in turn.text
            if turn.terminated:
                break
    assert len(seen) > 50


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"products": 24}, "products must be 25 to 2000, not 24"),
        ({"attributes": 0}, "attributes must be 1 to 4, not 0"),
        ({"options": 3}, "options must be 0 to 2, not 3"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shop(**knobs)
