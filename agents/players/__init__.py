"""Players that do not learn: random, expert, human, prompted language models; and trained policies as players."""

from agents.players.base import Player
from agents.players.expert import ExpertPlayer
from agents.players.hf import HFPlayer
from agents.players.human import HumanPlayer
from agents.players.imperfect import ImperfectPlayer
from agents.players.openai import OpenAIPlayer, ServerError
from agents.players.policy import PolicyPlayer
from agents.players.prompted import PromptedPlayer, Usage
from agents.players.random import RandomPlayer

__all__ = [
    "ExpertPlayer",
    "HFPlayer",
    "HumanPlayer",
    "ImperfectPlayer",
    "OpenAIPlayer",
    "Player",
    "PolicyPlayer",
    "PromptedPlayer",
    "RandomPlayer",
    "ServerError",
    "Usage",
]
