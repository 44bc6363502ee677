"""Any utterance and any action, in every game of the registry."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import textenvs
from textenvs.env import TextEnv, load_game
from textenvs.registration import spec

FEW = settings(max_examples=15, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
LEVELS = [(id, level) for id in textenvs.ids() for level in load_game(spec(id).entry).levels]


def utterances(env: TextEnv) -> st.SearchStrategy[str]:
    """Anything, and what lies near to sense: admissible utterances and words of the game, mixed and cut."""
    sense = [*env.valid_actions(), *env.transcript[0][1].split()] or ["yes"]
    near = st.lists(st.sampled_from(sense), min_size=1, max_size=4).map(" ".join)
    cut = st.tuples(near, st.integers(0, 40)).map(lambda pair: pair[0][: pair[1]])
    return st.one_of(st.text(max_size=80), near, cut, near.map(str.upper))


@pytest.mark.parametrize(("id", "level"), LEVELS)
def test_any_utterances_are_answered_and_their_replay_is_the_same(id: str, level: str) -> None:
    env: Any = gymnasium.make(id, level=level, as_text=True).unwrapped
    twin: Any = gymnasium.make(id, level=level, as_text=True).unwrapped

    @FEW
    @given(data=st.data(), seed=st.integers(0, 1 << 30))
    def play(data: st.DataObject, seed: int) -> None:
        assert env.reset(seed=seed)[0] == twin.reset(seed=seed)[0]
        for _ in range(6):
            said = data.draw(utterances(env))
            text, reward, terminated, truncated, _ = step = env.step(said)
            assert step == twin.step(said)
            assert isinstance(text, str) and text and math.isfinite(reward)
            if terminated or truncated:
                return
            assert env.expert_action(), "the expert still knows what to say"

    play()


@pytest.mark.parametrize("id", textenvs.ids())
def test_any_ids_are_answered_or_refused_without_effect(id: str) -> None:
    env: Any = gymnasium.make(id).unwrapped
    vocabulary, length = env.tokenizer.vocab_size, env.max_utterance_tokens

    @FEW
    @given(
        ids=st.lists(st.integers(-2, vocabulary + 1), min_size=length - 1, max_size=length),
        dtype=st.sampled_from([np.int64, np.int32, np.uint16, np.float32]),
        seed=st.integers(0, 1 << 30),
    )
    def act(ids: list[int], dtype: type, seed: int) -> None:
        before, _ = env.reset(seed=seed)
        action = np.array(ids).astype(dtype)
        try:
            after, reward, terminated, truncated, _ = env.step(action)
        except (TypeError, ValueError):
            assert len(env.transcript) == 1 and (env._observation() == before).all()
            return
        assert action.shape == (length,) and dtype is not np.float32
        assert env.observation_space.contains(after) and math.isfinite(reward)
        assert terminated or truncated or (after[: (before != 0).sum()] == before[before != 0]).all()

    act()
