"""Players that do not learn, and trained policies as players."""

from agents.players.base import Player
from agents.players.expert import ExpertPlayer
from agents.players.human import HumanPlayer
from agents.players.imperfect import ImperfectPlayer
from agents.players.policy import PolicyPlayer
from agents.players.random import RandomPlayer

__all__ = ["ExpertPlayer", "HumanPlayer", "ImperfectPlayer", "Player", "PolicyPlayer", "RandomPlayer"]
