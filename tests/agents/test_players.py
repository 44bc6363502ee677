"""Players act within the rules of what they promise."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import agents
import textenvs
from agents.players import ExpertPlayer, HumanPlayer, ImperfectPlayer, PolicyPlayer, RandomPlayer
from tests.textenvs.toys import Open

ID = "TextDialogue-v0"


def rows(number: int = 4, env_id: str = ID, **keywords: Any) -> tuple[list[Any], np.ndarray]:
    envs: list[Any] = [gym.make(env_id, **keywords).unwrapped for _ in range(number)]
    return envs, np.stack([env.reset(seed=seed)[0] for seed, env in enumerate(envs)])


@pytest.mark.parametrize("env_id", [id for id in textenvs.ids() if gym.make(id).unwrapped.game.max_choices])  # type: ignore[attr-defined]
def test_random_is_admissible_and_repeats_with_its_seed(env_id: str) -> None:
    envs, observations = rows(env_id=env_id)
    said = [RandomPlayer(seed).act(envs, observations) for seed in (0, 0, 1)]
    assert said[0] == said[1]
    for env, utterance in zip(envs, said[0], strict=True):
        assert utterance in env.valid_actions()


def test_random_says_tokens_where_nothing_is_listed() -> None:
    env = textenvs.TextEnv(Open)
    observation, _ = env.reset(seed=0)
    action = RandomPlayer(0).act([env], observation[None])[0]
    assert env.action_space.contains(action)
    assert not set(action) & set(env.tokenizer.special_ids)
    env.step(action)


def test_expert_says_what_the_game_says() -> None:
    envs, observations = rows()
    assert ExpertPlayer().act(envs, observations) == [env.game.expert_action() for env in envs]


def test_imperfect_errs_as_often_as_asked() -> None:
    envs, observations = rows()
    expert = ExpertPlayer().act(envs, observations)
    assert ImperfectPlayer(0.0).act(envs, observations) == expert
    player = ImperfectPlayer(0.5, seed=1)
    shares = []
    for _ in range(200):
        said = player.act(envs, observations)
        shares += [own == best for own, best in zip(said, expert, strict=True)]
    # an error may happen to be the expert's utterance
    chance = np.mean([0.5 + 0.5 / len(env.valid_actions()) for env in envs])
    assert abs(np.mean(shares) - chance) < 0.06  # 3.4 standard errors of 800 draws
    with pytest.raises(ValueError, match="probability"):
        ImperfectPlayer(1.5)


def test_human_types_an_utterance(monkeypatch: pytest.MonkeyPatch) -> None:
    envs, observations = rows(1)
    shown: list[str] = []
    monkeypatch.setattr("builtins.input", lambda prompt: shown.append(prompt) or "what food would you like")
    assert HumanPlayer().act(envs, observations) == ["what food would you like"]
    assert envs[0].transcript[-1][1] in shown[0]


@pytest.mark.parametrize("level", ["token", "turn", "choice"])
def test_policy_plays_with_fewer_rows_as_with_all(small_model: str, level: str) -> None:
    env_kwargs = {"tokenizer": "textenvs", "action_level": level, "window": 160, "max_utterance_tokens": 20}
    model = agents.make("ppo", ID, small_model, num_envs=2, env_kwargs=env_kwargs, n_steps=16, batch_size=32)
    player = PolicyPlayer(model)
    assert player.action_level == level
    envs, observations = rows(action_level=level, **player.env_kwargs)
    whole = np.stack(player.act(envs, observations))
    assert len(whole) == 4 and envs[0].action_space.contains(whole[0])
    np.testing.assert_array_equal(np.stack(player.act(envs[:2], observations[:2])), whole[:2])
    assert len(player.policy.reader.cache(4).lengths) == 4


def test_policy_needs_its_environments(small_model: str) -> None:
    env_kwargs = {"tokenizer": "textenvs", "window": 160}
    model = agents.make("ppo", ID, small_model, num_envs=2, env_kwargs=env_kwargs, n_steps=16, batch_size=32)
    model.env = None
    with pytest.raises(TypeError, match=r"agents\.make"):
        PolicyPlayer(model)


def test_a_sampled_policy_of_choices_plays_on_when_rows_have_ended(small_model: str) -> None:
    keywords = {"action_level": "choice", "window": 96, "tokenizer": "textenvs"}
    model = agents.make("dqn", "TextGuessNumber-v0", small_model, num_envs=3, env_kwargs=keywords)
    player = PolicyPlayer(model, deterministic=False)
    envs, observations = rows(3, "TextGuessNumber-v0", **keywords)
    assert len(player.act(envs, observations)) == 3
    assert len(player.act(envs[:1], observations[:1])) == 1


@pytest.mark.parametrize(
    ("learner", "level"), [("ppo", "easy"), ("ppo", "hard"), ("dqn", "hard"), ("maskable_ppo", "hard")]
)
def test_a_policy_of_choices_plays_with_another_number_of_them(small_model: str, learner: str, level: str) -> None:
    keywords = {"action_level": "choice", "tokenizer": "textenvs", "window": 160, "max_utterance_tokens": 12}
    own = {**keywords, "level": "medium"}
    model: Any = agents.make(learner, "TextGuessNumber-v0", small_model, num_envs=2, env_kwargs=own)
    torch.nn.init.normal_(model.policy.reader.query.weight)
    player, space = PolicyPlayer(model), model.observation_space
    other = {**keywords, "level": level}
    envs, observations = rows(3, "TextGuessNumber-v0", **other)
    assert envs[0].observation_space.max_choices != space.max_choices
    chosen = player.act(envs, observations)
    assert all(env.action_masks()[action] for env, action in zip(envs, chosen, strict=True))
    fitting: Any = agents.make(learner, "TextGuessNumber-v0", small_model, num_envs=2, env_kwargs=other)
    fitting.policy.load_state_dict(model.policy.state_dict())
    assert PolicyPlayer(fitting).act(envs, observations) == chosen
    assert model.policy.observation_space == space and len(player.act(envs[:1], observations[:1])) == 1


@pytest.mark.parametrize("level", ["token", "turn", "choice"])
def test_a_policy_plays_with_a_shorter_window_and_refuses_a_longer_one(small_model: str, level: str) -> None:
    keywords = {"action_level": level, "tokenizer": "textenvs", "window": 160}
    model: Any = agents.make("ppo", "TextGuessNumber-v0", small_model, num_envs=2, env_kwargs=keywords)
    player = PolicyPlayer(model)
    whole = player.act(*rows(2, "TextGuessNumber-v0", **keywords))
    np.testing.assert_array_equal(player.act(*rows(2, "TextGuessNumber-v0", **{**keywords, "window": 96})), whole)
    if level == "token":
        longer = {**keywords, "window": 96, "max_utterance_tokens": 64}
        np.testing.assert_array_equal(player.act(*rows(2, "TextGuessNumber-v0", **longer)), whole)
    with pytest.raises(ValueError, match=r"trained with window=160 .* has window=200: make it"):
        player.act(*rows(2, "TextGuessNumber-v0", **{**keywords, "window": 200}))
