"""Players from outside play, and mistakes in their specification are told before anything runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO

import agents
from agents.policies import TokenActorCriticPolicy, TokenQPolicy
from benchmarks import contestants
from benchmarks.cells import run_cell
from benchmarks.contestants import Place, make_player
from benchmarks.suite import Cell, Suite
from tests.benchmarks.conftest import GUESS, small_suite

HERE = "tests.benchmarks.test_players"
POLICY = {"window": 96, "max_utterance_tokens": 6}


def first(messages: list[dict[str, str]], valid_actions: Sequence[str]) -> str:
    """The first admissible utterance that has not been said."""
    said = [each["content"] for each in messages if each["role"] == "assistant"]
    assert messages[0]["role"] == messages[-1]["role"] == "user"
    return next(each for each in valid_actions if each not in said)


def wrong(messages: Any) -> Any:
    return 4


class Seeded:
    """A Player class of somebody else's."""

    name, action_level = "seeded", "turn"

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.prompt_tokens = self.completion_tokens = 0

    def act(self, envs: Sequence[Any], observations: np.ndarray) -> Sequence[Any]:
        self.prompt_tokens += 10 * len(envs)
        self.completion_tokens += 2 * len(envs)
        return [str(self.rng.integers(1, 9)) for _ in envs]


def play(name: str, **changes: Any) -> list[dict[str, Any]]:
    """The results of a player's cells."""
    cells = small_suite(players=(name,), ids=(GUESS,), **changes).cells()
    results = [run_cell(cell) for cell in cells]
    assert all(each["status"] == "done" for each in results), results[-1].get("traceback")
    return results


def said(result: dict[str, Any], way: str) -> list[list[str]]:
    return [each["said"] for each in result["evaluations"][way]["episodes"]]


def test_a_function() -> None:
    (result,) = play(f"{HERE}:first")
    for utterances in said(result, "played"):
        assert utterances == [str(number) for number in range(1, len(utterances) + 1)]
    assert result["evaluations"]["played"]["transcripts"][0]["thoughts"] is None


def test_a_function_that_returns_no_text_fails() -> None:
    (cell,) = small_suite(players=(f"{HERE}:wrong",), ids=(GUESS,)).cells()
    assert "wrong must return a str, not int" in run_cell(cell)["traceback"]


def test_a_class_is_seeded_and_its_tokens_cost() -> None:
    name = f"{HERE}:Seeded"
    one, two = play(name, prices={name: (1.0, 10.0)})
    assert said(one, "played") != said(two, "played")
    tokens = one["evaluations"]["played"]["tokens"]
    turns = sum(map(len, said(one, "played")))
    assert (tokens["prompt_tokens"], tokens["completion_tokens"]) == (10 * turns, 2 * turns)
    from benchmarks.standings import arrange

    (entry,) = arrange([one]).entries
    assert entry.cost() == pytest.approx((10 * turns + 20 * turns) / 1e6)


@pytest.mark.parametrize(
    ("algorithm", "policy", "action_level"),
    [(PPO, TokenActorCriticPolicy, "token"), (PPO, TokenActorCriticPolicy, "turn"), (DQN, TokenQPolicy, "choice")],
)
def test_a_zip_of_stable_baselines(
    algorithm: Any, policy: Any, action_level: str, small_model: str, tmp_path: Path
) -> None:
    """It plays as the model does that was saved, whatever class has saved it."""
    envs = agents.make_vec_env(GUESS, 1, 0, level="easy", action_level=action_level, **POLICY)
    model = algorithm(policy, envs, policy_kwargs={"backbone": small_model}, seed=0)
    model.save(tmp_path / "mine.zip")
    (result,) = play(f"sb3:{tmp_path / 'mine.zip'}", seeds=1)
    for way, player in contestants.both_ways(model, "same").items():
        expected = agents.evaluate(player, GUESS, 6, level="easy", seed=1, keep=6)
        assert said(result, way) == [[text for who, text in each if who == "agent"] for each in expected.transcripts]
        assert result["evaluations"][way]["transcripts"][0]["thoughts"]["turns"]


def test_a_zip_of_another_observation_is_refused(tmp_path: Path) -> None:
    MaskablePPO("MlpPolicy", "CartPole-v1").save(tmp_path / "cart.zip")
    (cell,) = small_suite(players=(f"sb3:{tmp_path / 'cart.zip'}",), ids=(GUESS,)).cells()
    assert "reads the token observations" in run_cell(cell)["traceback"]


def test_a_checkpoint_and_a_language_model(small_model: str, tmp_path: Path) -> None:
    env_kwargs = {"level": "easy", "tokenizer": "textenvs", **POLICY}
    model = agents.make("reinforce", GUESS, small_model, 2, env_kwargs=env_kwargs)
    agents.save(model, tmp_path / "run" / "checkpoint.pt")
    (from_folder,) = play(f"checkpoint:{tmp_path / 'run'}")
    (from_name,) = play(f"model:{small_model}", env={**POLICY, "tokenizer": "textenvs"})
    for way in ("greedy", "sampled"):
        assert said(from_folder, way) == said(from_name, way)  # nothing was learned yet
    spec = f"checkpoint:{tmp_path / 'run'}"
    before = contestants.fingerprint(spec)
    model.policy.critic.bias.data += 1
    agents.save(model, tmp_path / "run" / "checkpoint.pt")
    assert contestants.fingerprint(spec) != before


def test_imperfect_takes_its_error() -> None:
    players: list[Any] = [make_player(f"imperfect:{error}", Place(GUESS, "easy"))["played"] for error in ("0", "0.5")]
    assert [each.error for each in players] == [0.0, 0.5]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("rnadom", ValueError, "did you mean 'random'?"),
        ("somebody", ValueError, "module:function"),
        ("random:3", ValueError, "must be written random"),
        ("openai:", ValueError, "must be written openai:URL#MODEL"),
        ("sb3:gone.zip", FileNotFoundError, "gone.zip"),
        (f"sb3:{__file__}", ValueError, "is no .zip"),
        (f"checkpoint:{Path(__file__).parent}", FileNotFoundError, "no checkpoint.pt in"),
        ("imperfect:abc", ValueError, "probability of 0 to 1, such as imperfect:0.3, not 'abc'"),
        ("imperfect:2", ValueError, "probability of 0 to 1"),
        ("imperfect:nan", ValueError, "probability of 0 to 1"),
        ("openai:foo", ValueError, "URL#MODEL, such as openai:http://.*not 'foo'"),
        ("openai:http://127.0.0.1:8000/v1", ValueError, "URL#MODEL"),
        ("nowhere:act", ImportError, "nowhere"),
        (f"{HERE}:nothing", ImportError, "no 'nothing'"),
        (f"{HERE}:HERE", ValueError, "not callable"),
    ],
)
def test_mistakes(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        contestants.check(name)


def test_learners_that_cannot_play_have_no_cells() -> None:
    """A learner of choices alone needs a game that lists them; of the others the first level that fits is played."""
    from textenvs.env import load_game
    from textenvs.registration import ids, spec

    suite = Suite("all", ids=tuple(ids()), players=(), learners=("dqn",), seeds=1)
    levels = {cell.env_id: cell.action_level for cell in suite.cells()}
    for env_id in ids():
        game = load_game(spec(env_id).entry)
        chooses = game(**game.levels["easy"]).max_choices
        assert levels[env_id] == ("choice" if chooses else "token")
    only = Suite("all", ids=tuple(ids()), players=(), learners=("dqn",), seeds=1, action_level="choice")
    assert {cell.env_id for cell in only.cells()} == {env_id for env_id, level in levels.items() if level == "choice"}
    assert all(isinstance(cell, Cell) and cell.budget == 4096 for cell in only.cells())
