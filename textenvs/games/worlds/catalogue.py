"""The stock of ``shop``: made-up products, their search engine, and how well a purchase fits a request."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from textenvs.parsing import words

_SEED = 1
_ATTRIBUTES, _IN_TITLE = 4, 2  # of a product
_K1, _B = 0.9, 0.4  # of BM25, as in WebShop's search engine


class Product(NamedTuple):
    """Something to buy.

    Attributes:
        id: such as ``p17``.
        kind: its type, such as ``running shoes``.
        title: what lists of products call it: brand, some attributes, type.
        attributes: all of them.
        options: what can be chosen -> its values.
        price: in dollars.
    """

    id: str
    kind: str
    title: str
    attributes: tuple[str, ...]
    options: Mapping[str, tuple[str, ...]]
    price: int


class Request(NamedTuple):
    """What is to be bought: a type of product, attributes, options and the most it may cost."""

    kind: str
    attributes: tuple[str, ...]
    options: Mapping[str, str]
    most: int


@cache
def catalogue(size: int) -> dict[str, Product]:
    """The stock of a shop, always the same for a size, by id."""
    data, rng = _data(), np.random.default_rng(_SEED)
    products = {}
    for number in range(size):
        kind, category, option_names, least, most = data["types"][number % len(data["types"])]
        attributes = _some(data["attributes"][category], _ATTRIBUTES, rng)
        brand = data["brands"][rng.integers(len(data["brands"]))]
        options = {}
        for name in option_names:
            values = data["options"][name]
            chosen = _some(values, int(rng.integers(2, 5)), rng)
            options[name] = tuple(value for value in values if value in chosen)
        title = " ".join((brand, *attributes[:_IN_TITLE], kind))
        price = int(rng.integers(least, most + 1))
        products[f"p{number + 1}"] = Product(f"p{number + 1}", kind, title, attributes, options, price)
    return products


def _some(things: Sequence[str], count: int, rng: np.random.Generator) -> tuple[str, ...]:
    return tuple(things[i] for i in rng.permutation(len(things))[:count])


def search(query: str, size: int, most: int) -> list[str]:
    """The ids of the products whose titles fit a query best, by BM25; none that shares no word with it."""
    scores: dict[str, float] = {}
    for word in dict.fromkeys(words(query)):
        for id, weight in _index(size).get(word, ()):
            scores[id] = scores.get(id, 0.0) + weight
    return sorted(scores, key=lambda id: (-round(scores[id], 9), int(id[1:])))[:most]


@cache
def _index(size: int) -> dict[str, list[tuple[str, float]]]:
    """Word -> the products with it in their titles, and its weight there."""
    titles = {id: Counter(words(product.title)) for id, product in catalogue(size).items()}
    mean = sum(title.total() for title in titles.values()) / size
    found = Counter(word for title in titles.values() for word in title)
    index: dict[str, list[tuple[str, float]]] = {word: [] for word in found}
    for id, title in titles.items():
        norm = _K1 * (1 - _B + _B * title.total() / mean)
        for word, n in title.items():
            rarity = math.log(1 + (size - found[word] + 0.5) / (found[word] + 0.5))
            index[word].append((id, rarity * n / (n + norm)))
    return index


def fit(product: Product, options: Mapping[str, str], request: Request) -> float:
    """WebShop's reward: the share met of attributes, options and price; 0 for a type that shares no word."""
    if not set(product.kind.split()) & set(request.kind.split()):
        return 0.0
    met = sum(attribute in product.attributes for attribute in request.attributes)
    met += sum(options.get(name) == value for name, value in request.options.items())
    met += product.price <= request.most
    return met / (len(request.attributes) + len(request.options) + 1)


@cache
def _data() -> dict[str, Any]:
    return json.loads(files("textenvs.games.worlds").joinpath("shop.json").read_text("utf-8"))
