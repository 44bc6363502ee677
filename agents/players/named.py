"""Prompted players by name."""

from __future__ import annotations

from typing import Any

from agents.players.hf import HFPlayer
from agents.players.openai import OpenAIPlayer
from agents.players.prompted import PromptedPlayer


def prompted_player(spec: str, **keywords: Any) -> PromptedPlayer:
    """The player that ``spec`` names.

    Args:
        spec: ``"hf:MODEL"`` (what ``HFPlayer`` takes) or ``"openai:URL"`` or ``"openai:URL#MODEL"``.
        keywords: those of the class.

    Raises:
        ValueError: ``spec`` is none of these, or there is no such model.
    """
    kind, _, target = spec.partition(":")
    if kind == "hf" and target:
        return HFPlayer(target, name=keywords.pop("name", spec), **keywords)
    if kind == "openai" and target:
        url, _, model = target.partition("#")
        return OpenAIPlayer(url, model or None, **keywords)
    raise ValueError(f"a prompted player is hf:MODEL or openai:URL#MODEL, not {spec!r}")
