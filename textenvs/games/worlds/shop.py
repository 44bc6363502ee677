"""Find and buy the product that a request describes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import dropwhile
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.worlds.catalogue import Product, Request, catalogue, fit, search
from textenvs.parsing import asserted, option, words

_PER_PAGE, _MOST_RESULTS = 5, 50
_MOST_CHARACTERS = 45  # of a search in valid_actions
_SEARCH = {"search", "find", "look"}
_FILLERS = {"for", "a", "an", "the", "me", "some", "up"}
_BUTTONS = {
    "next": "next next_page more",
    "prev": "prev previous",
    "features": "features feature description details attributes",
    "back": "back return results",
    "buy now": "buy purchase order",
}
_BUYING = {*_BUTTONS["buy now"].split()}
_PURPOSE = re.compile(r"\bin order to\b", re.IGNORECASE)


class Shop(Game):
    """TextShop-v0: find the product that a request describes in a web shop, choose its options and buy it.

    ## Description

    The request names a type of product, attributes, options and a price. Search the shop, whose search engine reads
    titles; look through the results, five a page; open a product, read its features, as its title tells only some of
    its attributes; choose its options; buy it. The stock is always the same one, and several products may fit.

    ## Example transcript

    ```
    buy this: hand soap, oil free, scent lavender, for 60 dollars or less. say search[words], click[what you see],
    and click[buy now] in the end.
    > search[oil free hand soap]
    page 1 of 6: p48 cedar oil free hand made hand soap $24; p98 orbit alcohol free uv protection hand soap $5; p73
    pine organic hand made hand soap $21; p23 bolt organic sensitive skin hand soap $10; p34 ember lightweight hand
    made travel backpack $80.
    > click[p48]
    cedar oil free hand made hand soap $24. scent: lavender, coconut, citrus. volume: 10 ounces, 20 ounces, 30
    ounces, 40 ounces. (features, back, buy now)
    > click[lavender]
    scent lavender is chosen.
    > click[buy now]
    bought. your score is 1.00.
    ```

    ## Observation

    The opening gives the request. A page of results lists products: id, title, price. A product's page gives its
    options. Replies say what was chosen and the score in the end.

    ## Action

    WebShop's commands, or free text to that effect:

    | to | say something like |
    |---|---|
    | search, from any page | ``search[waterproof running shoes]``; ``search for running shoes`` |
    | open a product of the page | ``click[p17]``; ``open p17`` |
    | turn the page of results | ``click[next]``; ``click[prev]`` |
    | read all attributes of the open product | ``click[features]`` |
    | choose an option of it | ``click[blue]``; ``select blue`` |
    | go back to the results | ``click[back]`` |
    | buy it | ``click[buy now]``; ``buy it`` |

    What is not on the page cannot be clicked, and nothing is bought by a question or ``don't buy it``.
    ``valid_actions`` lists what can be clicked, and searches with the words of the request.

    ## Reward

    When something is bought: (attributes met + options met + 1 if the price is met) / (attributes + options asked + 1)
    of WebShop, or 0 if its type shares no word with the one asked, which is what WebShop's factor for the type comes to
    here. Else 0.

    ## Episode end

    Terminated when something is bought (``success`` if the reward is 1); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``products`` | 100 | 500 | 500 | products in stock (25 to 2000) |
    | ``attributes`` | 1 | 2 | 3 | attributes asked for (1 to 4) |
    | ``options`` | 1 | 1 | 2 | options asked for (0 to 2) |
    | ``max_turns`` | 50 | 50 | 50 | truncation |

    ## Expert

    A script that knows only what was read: it searches with the type and the attributes asked for, opens what its
    title and price do not rule out, reads the features where the title leaves them open, and buys the first product
    that fits; just before the turn limit it buys what is at hand. Mean return 1.000, 0.997 and 0.993, success 100%, 99%
    and 98%, in 5, 10 and 12 turns on average. Random play has 0.40, 0.42 and 0.30 and succeeds in 4%, 1% and 0% of the
    episodes.

    ## Source

    WebShop (Yao et al. 2022): its commands, pages, search by BM25 and reward. The products are made up
    (``shop.json``), with a vocabulary of this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"products": 100, "attributes": 1},
        "medium": {},
        "hard": {"attributes": 3, "options": 2},
    }
    max_turns = 50

    def __init__(self, products: int = 500, attributes: int = 2, options: int = 1) -> None:
        if not 25 <= products <= 2000:
            raise ValueError(f"products must be 25 to 2000, not {products!r}")
        if not 1 <= attributes <= 4:
            raise ValueError(f"attributes must be 1 to 4, not {attributes!r}")
        if not 0 <= options <= 2:
            raise ValueError(f"options must be 0 to 2, not {options!r}")
        self.products, self.attributes, self.options = products, attributes, options
        self.max_choices = 13 + attributes

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a product and a request that it fits."""
        stock = catalogue(self.products)
        wanted = stock[f"p{rng.integers(1, self.products + 1)}"]
        attributes = tuple(wanted.attributes[i] for i in rng.permutation(len(wanted.attributes))[: self.attributes])
        names = [list(wanted.options)[i] for i in sorted(rng.permutation(len(wanted.options))[: self.options])]
        options = {name: wanted.options[name][rng.integers(len(wanted.options[name]))] for name in names}
        most = 10 * (wanted.price // 10 + int(rng.integers(1, 5)))
        self._request = Request(wanted.kind, attributes, options, most)
        self._results: list[str] = []
        self._query, self._page, self._turns = "", 0, 0
        self._open: Product | None = None
        self._chosen: dict[str, str] = {}
        self._read: set[str] = set()
        self._looked: set[str] = set()
        asked = ", ".join((wanted.kind, *attributes, *(f"{name} {value}" for name, value in options.items())))
        self._instance = f"{asked}, for {most} dollars or less"
        return f"buy this: {self._instance}. say search[words], click[what you see], and click[buy now] in the end."

    def instance(self) -> str:
        """The request."""
        return self._instance

    def step(self, action: str) -> Turn:
        """Search or click."""
        self._turns += 1
        said = words(action)
        if said and said[0] in _SEARCH and said[1:]:
            return self._search(" ".join(dropwhile(_FILLERS.__contains__, said[1:])))
        clicked = option(action, self._clickable()) or self._button(said)
        if clicked == "buy now" and not _BUYING & {*asserted(_PURPOSE.sub("to", action))}:
            clicked = None
        if clicked is None:
            return Turn(f"that cannot be clicked. say search[words]{self._hint()}.")
        return self._click(clicked)

    def valid_actions(self) -> list[str]:
        """Searches with the words of the request, and all that can be clicked."""
        kind, attributes = self._request.kind, self._request.attributes
        queries = dict.fromkeys((kind, *(f"{each} {kind}" for each in attributes), self._best_query()))
        return [*(f"search[{query}]" for query in queries), *(f"click[{what}]" for what in self._clickable())]

    def expert_action(self) -> str:
        """Open what may fit, read its features, choose its options and buy it; go on to the next if it does not fit."""
        request, product = self._request, self._open
        if product is None and self._query != self._best_query():
            return f"search[{self._best_query()}]"
        hopeful = [id for id in self._shown() if self._may_fit(catalogue(self.products)[id])]
        more = bool(hopeful) or "next" in self._pages()
        hurry = self.max_turns - self._turns <= 2 + len(request.options) or not more
        if product is None:
            if not hopeful and not hurry:
                return "click[next]"
            return f"click[{(hopeful or self._shown())[0]}]"
        if not hurry and not self._may_fit(product):
            return "click[back]"
        told = all(attribute in product.title for attribute in request.attributes)
        if not hurry and not told and product.id not in self._read:
            return "click[features]"
        for name, value in request.options.items():
            if self._chosen.get(name) != value and value in product.options.get(name, ()):
                return f"click[{value}]"
        return "click[buy now]"

    def _may_fit(self, product: Product) -> bool:
        """Whether nothing that was read speaks against a product."""
        request = self._request
        if product.kind != request.kind or product.price > request.most:
            return False
        lacks_option = any(value not in product.options.get(name, ()) for name, value in request.options.items())
        lacks_attribute = not set(request.attributes) <= set(product.attributes)
        return not ((lacks_option and product.id in self._looked) or (lacks_attribute and product.id in self._read))

    def _best_query(self) -> str:
        """The type with all attributes that an utterance has room for."""
        query = self._request.kind
        for attribute in sorted(self._request.attributes, key=len):
            if len(f"{attribute} {query}") <= _MOST_CHARACTERS:
                query = f"{attribute} {query}"
        return query

    # --- pages ---

    def _shown(self) -> list[str]:
        """The products of this page of results."""
        return self._results[self._page * _PER_PAGE : (self._page + 1) * _PER_PAGE]

    def _pages(self) -> list[str]:
        """The ways to turn the page of results."""
        more = (self._page + 1) * _PER_PAGE < len(self._results)
        return [*(["next"] if more else []), *(["prev"] if self._page else [])]

    def _clickable(self) -> list[str]:
        if self._open is None:
            return [*self._shown(), *self._pages()]
        return [*(value for values in self._open.options.values() for value in values), "features", "back", "buy now"]

    def _button(self, said: list[str]) -> str | None:
        """The button that a synonym names."""
        named = [button for button in self._clickable() if set(_BUTTONS.get(button, "").split()) & set(said)]
        return named[0] if len(named) == 1 else None

    def _search(self, query: str) -> Turn:
        self._query, self._page, self._open = query, 0, None
        self._results = search(query, self.products, _MOST_RESULTS)
        return Turn(self._results_page())

    def _click(self, what: str) -> Turn:
        product = self._open
        if product is None:
            if what in ("next", "prev"):
                self._page += 1 if what == "next" else -1
                return Turn(self._results_page())
            self._open, self._chosen = catalogue(self.products)[what], {}
            self._looked.add(what)
            return Turn(self._product_page(self._open))
        if what == "buy now":
            reward = fit(product, self._chosen, self._request)
            return Turn(f"bought. your score is {reward:.2f}.", reward, True, {"success": reward == 1.0})
        if what == "back":
            self._open = None
            return Turn(self._results_page())
        if what == "features":
            self._read.add(product.id)
            return Turn(f"features: {', '.join(product.attributes)}.")
        name = next(name for name, values in product.options.items() if what in values)
        self._chosen[name] = what
        return Turn(f"{name} {what} is chosen.")

    def _results_page(self) -> str:
        if not self._results:
            return "nothing found. search for something else."
        stock = catalogue(self.products)
        listed = "; ".join(f"{id} {stock[id].title} ${stock[id].price}" for id in self._shown())
        return f"page {self._page + 1} of {-(-len(self._results) // _PER_PAGE)}: {listed}."

    def _product_page(self, product: Product) -> str:
        options = " ".join(f"{name}: {', '.join(values)}." for name, values in product.options.items())
        return f"{product.title} ${product.price}. {options} (features, back, buy now)"

    def _hint(self) -> str:
        clickable = self._clickable()
        return f" or click[{clickable[0]}]" if clickable else ""
