from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from tests.textenvs.toys import Toy
from textenvs.env import ACTION_LEVELS, TextEnv
from textenvs.registration import ids, spec
from textenvs.vector import TextVectorEnv

MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


def pair(mode: AutoresetMode, game: Any = Toy, rows: int = 5, **keywords: Any) -> tuple[TextVectorEnv, SyncVectorEnv]:
    ours = TextVectorEnv(rows, game, autoreset_mode=mode, **keywords)
    theirs = SyncVectorEnv([lambda: TextEnv(game, **keywords)] * rows, autoreset_mode=mode)
    return ours, theirs


def actions(env: TextVectorEnv, rng: np.random.Generator) -> np.ndarray:
    """The expert's in most rows, a random one in the others, and in those that have ended."""
    return np.array(
        [
            env.single_action_space.sample() if row._ended or rng.random() < 0.4 else row.expert_action()
            for row in env.rows
        ]
    )


def agree(first: tuple[Any, ...], second: tuple[Any, ...]) -> None:
    for ours, theirs in zip(first, second, strict=True):
        assert data_equivalence(ours, theirs, exact=True), f"{ours}\n{theirs}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", ids())
def test_the_same_as_gymnasium_s_vector_environment(id: str, mode: AutoresetMode) -> None:
    game = spec(id).entry
    for action_level in ACTION_LEVELS:
        if action_level == "choice" and TextEnv(game).game.max_choices == 0:
            continue
        ours, theirs = pair(mode, game, action_level=action_level, max_turns=6)
        assert ours.single_observation_space == theirs.single_observation_space
        assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
        assert ours.metadata == theirs.metadata
        rng = np.random.default_rng(0)
        ours.single_action_space.seed(0)
        agree(ours.reset(seed=3), theirs.reset(seed=3))
        for _ in range(60):
            chosen = actions(ours, rng)
            agree(ours.step(chosen), theirs.step(chosen))
        mask = np.array([True, False, True, False, False])
        agree(
            ours.reset(options={"reset_mask": mask}, seed=[1, 2, 3, 4, 5]),
            theirs.reset(options={"reset_mask": mask}, seed=[1, 2, 3, 4, 5]),
        )
        chosen = actions(ours, rng)
        agree(ours.step(chosen), theirs.step(chosen))


def test_same_step_gives_the_last_observation_of_the_old_episode() -> None:
    env = TextVectorEnv(2, Toy, autoreset_mode="SameStep")
    env.reset(seed=0)
    won = env.rows[0].expert_action()
    observations, rewards, terminations, _, infos = env.step(np.stack([won, env.rows[1].encode("no")]))
    assert terminations.tolist() == [True, False] and rewards.tolist() == [1.0, -0.1]
    assert infos["_final_obs"].tolist() == [True, False] and infos["final_info"]["success"][0]
    assert env.rows[0].tokenizer.decode(infos["final_obs"][0]).endswith("Right.")
    assert env.rows[0].transcript == [("env", infos["text"][0])] and infos["turns"].tolist() == [0, 1]
    assert not np.shares_memory(observations, env.reset()[0])


def test_disabled_autoreset_asks_for_a_reset() -> None:
    env = TextVectorEnv(2, Toy, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    env.step([row.encode(row.game.expert_action()) for row in env.rows])
    with pytest.raises(ResetNeeded, match="the episode has ended"):
        env.step(env.action_space.sample())
    env.reset(options={"reset_mask": np.array([True, True])})
    env.step(env.action_space.sample())


def test_text_in_and_out() -> None:
    env = TextVectorEnv(3, Toy, as_text=True)
    observations, _ = env.reset(seed=0)
    assert isinstance(observations, tuple) and all("please" in text for text in observations)
    observations, rewards, *_ = env.step(["hello", *(row.expert_action() for row in env.rows[1:])])
    assert rewards.tolist() == [-0.1, 1.0, 1.0] and observations[1] == "Right."
    tokens = TextVectorEnv(3, Toy)
    tokens.reset(seed=0)
    assert tokens.step(["hello", *(row.game.expert_action() for row in tokens.rows[1:])])[1].tolist() == [
        -0.1,
        1.0,
        1.0,
    ]


def test_one_bad_action_moves_no_row() -> None:
    env = TextVectorEnv(3, Toy, action_level="token")
    env.reset(seed=0)
    before = env.call("snapshot")
    with pytest.raises(ValueError, match="out of range"):
        env.step(np.array([5, 6, 10**6]))
    with pytest.raises(ValueError, match="2 actions for num_envs=3"):
        env.step(np.array([5, 6]))
    assert env.call("snapshot") == before


@pytest.mark.parametrize("mode", MODES)
def test_rows_that_stand_still(mode: AutoresetMode) -> None:
    moved, env = (TextVectorEnv(2, Toy, autoreset_mode=mode) for _ in range(2))
    moved.reset(seed=0)
    before, _ = env.reset(seed=0)
    won = np.stack([row.expert_action() for row in env.rows])
    only = np.array([False, True])
    for _ in range(2):  # the second row ends and begins anew, and the first does not notice
        theirs = moved.step(np.stack([env.rows[0].encode("no"), won[1]]))
        observations, rewards, terminations, truncations, infos = env.step(won, only)
        assert np.array_equal(observations[0], before[0]) and np.array_equal(observations[1], theirs[0][1])
        assert rewards.tolist() == [0.0, theirs[1][1]] and terminations.tolist() == [False, theirs[2][1]]
        assert not truncations.any() and infos["_text"].tolist() == [False, True]
    assert env.step(won)[1][0] == 1.0
    env.step(won, ~only)
    at_rest = env.call("snapshot")
    *_, rewards, terminations, _, _ = env.step(won, np.array([False, False]))
    assert env.call("snapshot") == at_rest and not rewards.any() and not terminations.any()
    with pytest.raises(ValueError, match="moving must be a bool array"):
        env.step(won, np.array([1, 0]))


def test_masks_attributes_and_episode_seeds() -> None:
    env = TextVectorEnv(3, Toy, action_level="choice", render_mode="ansi")
    _, infos = env.reset(options={"episode_seed": [7, 8, 7]})
    assert infos["episode_seed"].tolist() == [7, 8, 7]
    assert env.rows[0].transcript == env.rows[2].transcript
    assert env.action_masks().shape == (3, 5) and env.action_masks().sum() == 12
    assert env.get_attr("action_level") == ("choice",) * 3
    assert env.call("valid_actions")[1] == env.rows[1].valid_actions()
    assert env.render()[0] == env.rows[0].transcript[0][1]  # type: ignore[index]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"seed": [1]}, "1 seeds for num_envs=2"),
        ({"options": {"reset_mask": [True, False]}}, "must be a bool array of shape"),
        ({"options": {"episode_seed": [1]}}, "1 episode seeds"),
    ],
)
def test_wrong_resets(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextVectorEnv(2, Toy).reset(**keywords)


def test_a_refused_reset_starts_no_row() -> None:
    env = TextVectorEnv(2, Toy)
    env.reset(seed=0)
    before = env.rows[0].snapshot()
    for keywords in ({"options": {"episode_seed": [5, -1]}}, {"seed": [3, -1]}, {"options": {"episode_sed": 1}}):
        with pytest.raises(ValueError, match=r"must be an integer of at least 0|unknown reset option"):
            env.reset(**keywords)  # type: ignore[arg-type]
        assert env.rows[0].snapshot() == before


def test_a_row_that_never_began_is_padding() -> None:
    first = {"reset_mask": np.array([True, False])}
    env = TextVectorEnv(2, Toy)
    observations, _ = env.reset(options=first)
    pad = env.rows[0].tokenizer.pad_id
    assert (observations[1] == pad).all() and (observations[0] != pad).any()
    with pytest.raises(ResetNeeded):
        env.step(env.action_space.sample())
    assert TextVectorEnv(2, Toy, as_text=True).reset(options=first)[0][1] == ""


def test_texts_in_shared_memory_are_refused_with_the_mend() -> None:
    with pytest.raises(ValueError, match="shared_memory=False"):
        AsyncVectorEnv([lambda: TextEnv(Toy, as_text=True)] * 2)
    env = AsyncVectorEnv([lambda: TextEnv(Toy, as_text=True)] * 2, shared_memory=False)
    assert all("please" in text for text in env.reset(seed=0)[0])
    env.close()


@pytest.mark.parametrize("id", ids())
def test_make_vec_without_a_warning(id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make_vec(id, num_envs=4, autoreset_mode="SameStep", level="medium")
        assert isinstance(env, TextVectorEnv) and env.num_envs == 4
        observations, _ = env.reset(seed=0)
        assert observations in env.observation_space
        assert env.step(env.action_space.sample())[0] in env.observation_space
        env.close()
