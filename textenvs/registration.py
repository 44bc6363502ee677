"""The one list of ids: the catalogue, the documentation and the tests are made from it."""

from __future__ import annotations

import sys
from typing import NamedTuple

import gymnasium

from textenvs.game import Game


class Entry(NamedTuple):
    """One line of the table.

    Attributes:
        id: the name that ``gymnasium.make`` knows.
        entry: the game's class, as ``"module:Class"`` (imported when an environment is made) or itself.
        family: the kind of game, as the folder is called.
    """

    id: str
    entry: str | type[Game]
    family: str


def _shipped(family: str, **games: str) -> list[Entry]:
    """Entries of one folder: ``Name="module"`` is class ``Name`` of that module, registered as ``TextName-v0``."""
    return [
        Entry(f"Text{name.removeprefix('Game')}-v0", f"textenvs.games.{family}.{module}:{name}", family)
        for name, module in games.items()
    ]


_ENTRIES = sorted(
    [
        *_shipped(
            "board",
            Blackjack="blackjack",
            ChessEndgame="chess_endgame",
            ConnectFour="connect_four",
            Game2048="game_2048",
            Hanoi="hanoi",
            KuhnPoker="kuhn_poker",
            Minesweeper="minesweeper",
            Nim="nim",
            Sudoku="sudoku",
            TicTacToe="tic_tac_toe",
        ),
        *_shipped("continual", Switch="switch"),
        *_shipped(
            "control",
            Blocks="blocks",
            CartPole="cart_pole",
            FrozenLake="frozen_lake",
            Lander="lander",
            Robot="robot",
            Sokoban="sokoban",
            Taxi="taxi",
        ),
        *_shipped("decisions", Bandit="bandit", Memory="memory", Mountain="mountain"),
        *_shipped(
            "dialogue",
            Bargain="bargain",
            Dialogue="dialogue",
            GuessCity="guess_city",
            Negotiation="negotiation",
            Support="support",
            Tutor="tutor",
            TwentyQuestions="twenty_questions",
        ),
        *_shipped(
            "language",
            Classification="classification",
            Correction="correction",
            Generation="generation",
            Summary="summary",
            Tagging="tagging",
            Translation="translation",
        ),
        *_shipped("questions", Arithmetic="arithmetic", MultiHop="multi_hop", Reading="reading"),
        *_shipped("safety", Safety="safety"),
        *_shipped("tools", Calculator="calculator", SQL="sql", Shell="shell"),
        *_shipped(
            "words",
            Anagram="anagram",
            GuessNumber="guess_number",
            Hangman="hangman",
            Mastermind="mastermind",
            WordLadder="word_ladder",
            Wordle="wordle",
        ),
        *_shipped(
            "worlds",
            Cooking="cooking",
            Craft="craft",
            House="house",
            Maze="maze",
            Quest="quest",
            Shop="shop",
            Treasure="treasure",
        ),
    ]
)
_table = {entry.id: entry for entry in _ENTRIES}


def ids() -> list[str]:
    """The ids of the games that come with this package, sorted, then those added by ``register_game``."""
    return list(_table)


def spec(id: str) -> Entry:
    """The line of the table with this id.

    Raises:
        KeyError: there is none; the message lists what there is.
    """
    if id not in _table:
        raise KeyError(f"no game is registered as {id!r}; there are {', '.join(_table)}")
    return _table[id]


def register_game(id: str, game: str | type[Game], family: str = "contributed") -> None:
    """Make ``game`` (a ``Game`` class or ``"module:Class"``) known as ``id`` to this package and to Gymnasium.

    Raises:
        ValueError: the id is taken by another game, or is none for Gymnasium.
        TypeError: ``game`` is neither a ``Game`` class nor its name.
    """
    if not isinstance(game, str) and not (isinstance(game, type) and issubclass(game, Game)):
        raise TypeError(f"a game is a subclass of textenvs.Game or 'module:Class', not {game!r}")
    if id in _table and _table[id].entry != game:
        raise ValueError(f"{id!r} is taken by {_table[id].entry}: choose another id or raise its version")
    if id in gymnasium.registry and id not in _table:
        taken = gymnasium.registry[id].entry_point
        raise ValueError(f"{id!r} is taken by {taken} in Gymnasium: choose another id")
    entry = Entry(id, game, family)
    try:
        _register(entry)
    except gymnasium.error.Error as error:
        raise ValueError(f"{id!r} cannot be an id: {error}") from None
    _table[id] = entry


def register_all() -> None:
    """Tell Gymnasium about every line of the table; a second call does nothing."""
    for entry in _table.values():
        _register(entry)


def _register(entry: Entry) -> None:
    if entry.id in gymnasium.registry:
        return
    gymnasium.register(
        entry.id,
        entry_point="textenvs.env:TextEnv",
        vector_entry_point="textenvs.vector:TextVectorEnv",
        # TextEnv checks its own input and order of calls, with messages that name the mend.
        order_enforce=False,
        disable_env_checker=True,
        kwargs={"game": _named(entry.entry)},
    )


def _named(game: str | type[Game]) -> str | type[Game]:
    """``"module:Class"`` where that is how another process finds ``game``: a spec with a class in it has no JSON."""
    if isinstance(game, str) or game.__module__ == "__main__":
        return game
    found = getattr(sys.modules.get(game.__module__), game.__name__, None)
    return f"{game.__module__}:{game.__name__}" if found is game else game
