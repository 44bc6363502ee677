"""Strings to token ids and back: spaces, tokenizers, chat formats. Knows no game."""

from __future__ import annotations

from textenvs.tokens.spaces import TokenSpace, UnicodeText, UtteranceSpace
from textenvs.tokens.tokenizer import Tokenizer, load_tokenizer

__all__ = ["TokenSpace", "Tokenizer", "UnicodeText", "UtteranceSpace", "load_tokenizer"]
