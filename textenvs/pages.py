"""A game's class docstring as its page, and what the catalogue tells of it."""

from __future__ import annotations

import inspect

from textenvs.game import Game

OPTIMA = {"Exact": "exact", "A script": "script"}  # how the section on the expert begins, and what that means


def page(game: type[Game]) -> str:
    """The whole page, in Markdown with code spelt as in docstrings; empty where the class has none of its own."""
    return inspect.cleandoc(vars(game).get("__doc__") or "")


def section(game: type[Game], title: str) -> str:
    """The text under ``## title``; empty where the page has no such section."""
    return f"{page(game)}\n".partition(f"\n## {title}\n")[2].partition("\n## ")[0].strip()


def optimum(game: type[Game]) -> str | None:
    """``"exact"`` where the expert is a computed optimum, ``"script"`` where it is a strong player; ``None`` where the
    page does not say so at the start of its section on the expert."""
    told = section(game, "Expert")
    return next((kind for beginning, kind in OPTIMA.items() if told.startswith(beginning)), None)
