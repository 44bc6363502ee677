"""Text games as Gymnasium environments over language-model tokens.

Importing this package registers every game; ``gymnasium.make("TextFrozenLake-v0")`` then works. See ``ids()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textenvs.game import Game, Turn
from textenvs.registration import ids, register_all, register_game

if TYPE_CHECKING:
    from textenvs.env import TextEnv
    from textenvs.tokens.tokenizer import load_tokenizer
    from textenvs.vector import TextVectorEnv

__version__ = "0.1.0"
__all__ = ["Game", "TextEnv", "TextVectorEnv", "Turn", "__version__", "ids", "load_tokenizer", "register_game"]

_LAZY = {
    "TextEnv": "textenvs.env",
    "TextVectorEnv": "textenvs.vector",
    "load_tokenizer": "textenvs.tokens.tokenizer",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'textenvs' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


register_all()
