from __future__ import annotations

import copy
import json
import pickle
import random
import subprocess
import sys
import warnings
from itertools import chain
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.textenvs.toys import Open, Toy
from textenvs import ids
from textenvs.env import ACTION_LEVELS, TextEnv, load_game
from textenvs.registration import spec

LEVELS = [(id, level) for id in ids() for level in load_game(spec(id).entry).levels]


def make(id: str, **keywords: Any) -> TextEnv:
    env = gymnasium.make(id, **keywords).unwrapped
    assert isinstance(env, TextEnv)
    return env


def action_levels(id: str) -> list[str]:
    has_choices = make(id).game.max_choices > 0
    return [level for level in ACTION_LEVELS if has_choices or level != "choice"]


def play(env: TextEnv, rng: np.random.Generator, steps: int = 30, seed: int | None = 0) -> list[Any]:
    """What is seen in ``steps`` steps of expert and random actions."""
    env.action_space.seed(int(rng.integers(1 << 30)))
    seen: list[Any] = [env.reset(seed=seed)]
    for _ in range(steps):
        action = env.expert_action() if rng.random() < 0.6 else env.action_space.sample()
        seen.append(env.step(action))
        if seen[-1][2] or seen[-1][3]:
            seen.append(env.reset())
    return seen


def same(first: Any, second: Any) -> bool:
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def content(env: TextEnv, observation: np.ndarray) -> list[int]:
    return observation[: env._stream.length].tolist()


# --- C10: the checkers ---


@pytest.mark.parametrize(("id", "level"), LEVELS)
def test_checkers_pass_without_a_warning(id: str, level: str) -> None:
    from stable_baselines3.common.env_checker import check_env as check_env_sb3

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for action_level in action_levels(id):
            check_env(make(id, level=level, action_level=action_level))
            check_env_sb3(make(id, level=level, action_level=action_level))
        check_env(make(id, level=level, as_text=True))


# --- C1, C2: determinism and no leaks ---


@pytest.mark.parametrize("id", ids())
def test_same_seed_same_episodes_whatever_else_happens(id: str) -> None:
    for action_level in action_levels(id):
        first = play(make(id, action_level=action_level), np.random.default_rng(1))
        random.seed(5)
        np.random.seed(5)
        env = make(id, action_level=action_level)
        play(env, np.random.default_rng(2), seed=9)  # leaves nothing behind
        assert same(first, play(env, np.random.default_rng(1)))


@pytest.mark.parametrize("id", ids())
def test_same_episode_in_another_process(id: str) -> None:
    program = (
        "import gymnasium, textenvs, sys;"
        f"env = gymnasium.make({id!r}).unwrapped; obs, info = env.reset(seed=3);"
        "obs = env.step(env.expert_action())[0];"
        "sys.stdout.write(str(obs.tolist()) + str(info['episode_seed']))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    env = make(id)
    _, info = env.reset(seed=3)
    observation = env.step(env.expert_action())[0]
    assert run.stdout == str(observation.tolist()) + str(info["episode_seed"])


def test_episode_seed_remakes_one_episode() -> None:
    env = TextEnv(Toy)
    env.reset(seed=1)
    observation, info = env.reset()
    again, info_again = TextEnv(Toy).reset(options={"episode_seed": info["episode_seed"]})
    assert same(observation, again) and info == info_again
    with pytest.raises(ValueError, match="did you mean 'episode_seed'"):
        env.reset(options={"episode_sed": 1})


# --- C3: three action levels, one game ---


@pytest.mark.parametrize("id", ids())
def test_the_expert_plays_the_same_game_at_every_level(id: str) -> None:
    games = []
    for action_level in action_levels(id):
        env = make(id, action_level=action_level)
        env.reset(seed=4)
        total, done = 0.0, False
        while not done:
            _, reward, terminated, truncated, info = env.step(env.expert_action())
            total += reward
            done = terminated or truncated
        games.append((env.transcript, pytest.approx(total), info["turns"]))
    as_text = make(id, as_text=True)
    text, _ = as_text.reset(seed=4)
    done = False
    while not done:
        assert text == as_text.transcript[-1][1]
        text, _, terminated, truncated, _ = as_text.step(as_text.expert_action())
        done = terminated or truncated
    assert all(game == games[0] for game in games)
    assert as_text.transcript == games[0][0]


def test_turn_level_takes_ids_and_str_alike() -> None:
    env = TextEnv(Toy)
    env.reset(seed=0)
    by_text = env.step("say what")
    env.reset(seed=0)
    ids = env.encode("say what")
    ids[len(env.tokenizer.encode("say what")) + 1 :] = 7  # what follows the end is ignored
    assert same(by_text, env.step(ids))


def test_pad_ends_a_turn_and_is_recorded_as_the_end() -> None:
    turn, token = TextEnv(Toy), TextEnv(Toy, action_level="token")
    tokenizer = turn.tokenizer
    turn.reset(seed=0)
    expected = turn.step("hello")[0]
    token.reset(seed=0)
    for i in [*tokenizer.encode("hello"), tokenizer.pad_id]:
        observation, _, _, _, info = token.step(i)
    assert same(expected, observation)
    assert token.game.heard == ["hello"] and info["turns"] == 1  # type: ignore[attr-defined]


def test_an_utterance_is_cut_at_the_length_limit_and_closed() -> None:
    for action_level in ("turn", "token"):
        env = TextEnv(Toy, action_level=action_level, max_utterance_tokens=4)
        tokenizer = env.tokenizer
        env.reset(seed=0)
        before = env._stream.length
        ids = tokenizer.encode("hello there my friend of old")[:4]
        for action in ids if action_level == "token" else [np.array(ids)]:
            observation, *_, info = env.step(action)
        assert info["turns"] == 1
        assert observation[before : before + 5].tolist() == [*ids, tokenizer.end_id]
        assert env.game.heard == [tokenizer.decode(ids)]  # type: ignore[attr-defined]


def test_special_ids_are_kept_in_the_stream_and_dropped_from_the_text() -> None:
    env = TextEnv(Toy)
    tokenizer = env.tokenizer
    env.reset(seed=0)
    before = env._stream.length
    emitted = [tokenizer.agent_prefix[0], *tokenizer.encode("hi"), tokenizer.env_prefix[0]]
    action = np.full(32, tokenizer.pad_id)
    action[: len(emitted)] = emitted
    observation = env.step(action)[0]
    assert observation[before : before + len(emitted) + 1].tolist() == [*emitted, tokenizer.end_id]
    assert env.transcript[1] == ("agent", "hi")


def test_an_absent_choice_says_nothing() -> None:
    env = TextEnv(Toy, action_level="choice")
    observation, _ = env.reset(seed=0)
    choices = env.observation_space.choices(observation)  # type: ignore[attr-defined]
    assert choices.shape == (5, 32)
    said = [env.tokenizer.decode(row) for row in choices]
    assert said == [*env.valid_actions(), ""]
    assert env.action_masks().tolist() == [True] * 4 + [False]
    env.step(4)
    assert env.game.heard == [""]  # type: ignore[attr-defined]


def test_a_choice_that_does_not_fit_names_the_keyword() -> None:
    with pytest.raises(ValueError, match=r"pass gymnasium\.make.*max_utterance_tokens="):
        TextEnv(Toy, action_level="choice", max_utterance_tokens=1).reset(seed=0)


# --- C5: append-only ---


@pytest.mark.parametrize("id", ids())
def test_observations_are_append_only_until_the_window_is_full(id: str) -> None:
    for action_level in action_levels(id):
        env = make(id, action_level=action_level, window=1 << 14)
        env.reset(seed=0)
        tokenizer, last = env.tokenizer, content(env, env._observation())
        opening = [*tokenizer.opening_prefix, *tokenizer.encode(env.transcript[0][1]), *tokenizer.agent_prefix]
        assert last == opening
        rng, done = np.random.default_rng(0), False
        while not done:
            action = env.expert_action() if rng.random() < 0.7 else env.action_space.sample()
            observation, _, terminated, truncated, info = env.step(action)
            now = content(env, observation)
            assert now[: len(last)] == last
            if info:
                reply = [*tokenizer.env_prefix, *tokenizer.encode(info["text"]), *tokenizer.agent_prefix]
                assert now[-len(reply) :] == reply
            assert (observation[len(now) : env.window] == tokenizer.pad_id).all()
            last, done = now, terminated or truncated


def test_a_full_window_drops_whole_exchanges_and_keeps_the_opening() -> None:
    env = TextEnv(Toy, window=100, max_turns=50)
    env.reset(seed=0)
    tokenizer = env.tokenizer
    opening = content(env, env._observation())
    exchanges = []
    for turn in range(40):
        observation, *_, info = env.step(f"no {turn}")
        said = [*tokenizer.encode(f"no {turn}"), tokenizer.end_id]
        exchanges.append([*said, *tokenizer.env_prefix, *tokenizer.encode(info["text"]), *tokenizer.agent_prefix])
        kept: list[list[int]] = []
        for exchange in reversed(exchanges):
            if len(opening) + sum(map(len, kept)) + len(exchange) > 100:
                break
            kept.insert(0, exchange)
        now = content(env, observation)
        if len(kept) < len(exchanges):
            assert now[: len(opening)] == opening
            # Exchanges dropped earlier do not come back where a shorter one makes room.
            tail = now[len(opening) :]
            assert any(tail == [*chain(*kept[start:])] for start in range(len(kept)))
        else:
            assert now == [*opening, *chain(*kept)]


@pytest.mark.parametrize("action_level", ["turn", "token"])
@pytest.mark.parametrize("window", [33, 40, 64])
def test_whatever_does_not_fit_keeps_its_end(action_level: str, window: int) -> None:
    env = TextEnv(Toy, action_level=action_level, window=window, reply=" and so on" * 20, max_turns=5)
    observation, _ = env.reset(seed=0)
    done, prefix = False, env.tokenizer.agent_prefix
    while not done:
        assert env.observation_space.contains(observation)
        action = env.action_space.sample()
        observation, _, terminated, truncated, info = env.step(action)
        if info:
            assert content(env, observation)[-len(prefix) :] == list(prefix)
            assert env._stream.length == window
        done = terminated or truncated


def test_a_step_encodes_only_what_is_new_however_late_in_an_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    env = TextEnv(Toy, max_turns=2000)
    env.reset(seed=0)
    action, encoded = env.encode("hello there"), []
    encode = env.tokenizer.encode

    def count(text: str) -> list[int]:
        encoded.append(text)
        return encode(text)

    monkeypatch.setattr(env.tokenizer, "encode", count)
    for _ in range(900):
        encoded.clear()
        env.step(action)
        assert encoded == [env.transcript[-1][1]]


# --- C6: masks ---


def test_token_masks() -> None:
    env = TextEnv(Toy, action_level="token")
    env.reset(seed=0)
    mask = env.action_masks()
    assert mask.shape == (env.tokenizer.vocab_size,) and mask[env.tokenizer.end_id]
    assert not mask[list(env.tokenizer.special_ids)].any() and mask.sum() == mask.size - len(env.tokenizer.special_ids)


def test_constrained_masks_lead_to_admissible_utterances_and_to_each_of_them() -> None:
    env = TextEnv(Toy, action_level="token", constrain=True)
    rng, reached = np.random.default_rng(0), set()
    for _ in range(40):
        env.reset(options={"episode_seed": 7})
        valid = env.valid_actions()
        info: dict[str, Any] = {}
        while not info:
            info = env.step(int(rng.choice(np.flatnonzero(env.action_masks()))))[4]
        assert env.transcript[1][1] in valid
        reached.add(env.transcript[1][1])
    assert reached == set(valid)
    env.reset(options={"episode_seed": 7})
    env.step(env.tokenizer.encode("zzz")[0])
    assert np.flatnonzero(env.action_masks()).tolist() == [env.tokenizer.end_id]


# --- splits ---


def test_splits_are_disjoint_and_whole() -> None:
    found = {
        split: {TextEnv(Toy, level="hard", split=split).reset(seed=seed)[1]["text"] for seed in range(300)}
        for split in ("train", "test", "all")
    }
    assert not found["train"] & found["test"]
    assert found["train"] | found["test"] == found["all"]
    with pytest.raises(ValueError, match="split='test' of Toy has no instance"):
        TextEnv(Toy, size=1, split="test").reset(seed=0)  # crc32(b"0") % 5 != 0


# --- C9: bad input and misuse ---

JUNK = [
    "",
    " ",
    "\n",
    "\x00",
    "<end>",
    "<pad><bos><agent>",
    "a" * 100_000,
    "\ud800",
    "日本語 😀",
    "<b>&amp;</b>",
    "{}%s\\",
]


@pytest.mark.parametrize("id", ids())
def test_junk_is_answered(id: str) -> None:
    for as_text in (False, True):
        env = make(id, as_text=as_text, max_turns=1000)
        env.reset(seed=0)
        for junk in JUNK:
            observation, reward, terminated, truncated, info = env.step(junk)
            assert env.observation_space.contains(observation)
            assert np.isfinite(reward) and isinstance(info["text"], str)
            if terminated or truncated:
                env.reset()
        json.dumps(env.snapshot())


@settings(max_examples=60)
@given(st.lists(st.integers(0, 1000), min_size=32, max_size=32))
def test_any_ids_make_a_turn(ids: list[int]) -> None:
    env = TextEnv(Open)
    env.reset(seed=0)
    observation, *_, info = env.step(np.array(ids))
    assert env.observation_space.contains(observation)
    assert info["turns"] == 1


@pytest.mark.parametrize(
    ("action_level", "action", "error", "message"),
    [
        ("turn", np.zeros(32), TypeError, "integer ids"),
        ("turn", np.zeros(31, int), ValueError, r"shape \(32,\)"),
        ("turn", np.full(32, -5), ValueError, "out of range"),
        ("turn", np.full(32, 10**6), ValueError, "out of range"),
        ("turn", None, TypeError, "integer ids"),
        ("token", -1, ValueError, "out of range"),
        ("token", 10**6, ValueError, "out of range"),
        ("token", 1.5, TypeError, "one integer"),
        ("token", "hi", TypeError, "one integer"),
        ("token", True, TypeError, "one integer"),
        ("choice", 5, ValueError, r"\[0, 5\)"),
        ("choice", np.array([0, 1]), TypeError, "one integer"),
    ],
)
def test_misuse_names_the_mend_and_changes_nothing(
    action_level: str, action: Any, error: type[Exception], message: str
) -> None:
    env = TextEnv(Toy, action_level=action_level)
    env.reset(seed=0)
    before = env.snapshot()
    with pytest.raises(error, match=message):
        env.step(action)
    assert env.snapshot() == before


def test_as_text_wants_a_str() -> None:
    env = TextEnv(Toy, as_text=True)
    env.reset()
    with pytest.raises(TypeError, match="an action is a str"):
        env.step(3)


def test_order_of_calls() -> None:
    env = TextEnv(Toy)
    with pytest.raises(ResetNeeded, match=r"env\.reset\(\) before the first step"):
        env.step("hi")
    env.reset(seed=0)
    env.step(env.expert_action())
    with pytest.raises(ResetNeeded, match="the episode has ended"):
        env.step("hi")


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"windw": 1}, TypeError, "did you mean 'window'"),
        ({"sise": 1}, TypeError, "did you mean 'size'"),
        ({"level": "extreme"}, ValueError, "level must be 'medium' or 'hard', not 'extreme'"),
        ({"split": "dev"}, ValueError, "split must be 'train', 'test' or 'all', not 'dev'"),
        ({"action_level": "word"}, ValueError, "action_level must be 'turn', 'token' or 'choice', not 'word'"),
        ({"window": 8}, ValueError, "window must be an integer of at least 33, not 8"),
        ({"max_turns": 0}, ValueError, "max_turns must be"),
        ({"constrain": True}, ValueError, "action_level='token'"),
        ({"as_text": True, "action_level": "token"}, ValueError, "as_text=True needs"),
        ({"render_mode": "human"}, ValueError, "render_mode must be None or 'ansi'"),
        ({"tokenizer": 3}, TypeError, "tokenizer must be"),
    ],
)
def test_wrong_keywords(keywords: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TextEnv(Toy, **keywords)


def test_a_game_without_choices_says_so() -> None:
    with pytest.raises(ValueError, match="Open lists no admissible utterances"):
        TextEnv(Open, action_level="choice")


def test_truncation_at_max_turns() -> None:
    env = TextEnv(Open, max_turns=2)
    env.reset(seed=0)
    assert env.step("a")[2:4] == (False, False)
    _, reward, terminated, truncated, info = env.step("ab")
    assert (reward, terminated, truncated, info["success"]) == (2.0, False, True, False)


def test_render() -> None:
    env = TextEnv(Open, render_mode="ansi")
    env.reset(seed=0)
    env.step("hi")
    assert env.render() == "Talk.\n> hi\nYou said 'hi'."


# --- C11: snapshots ---


@pytest.mark.parametrize("window", [48, 512])
@pytest.mark.parametrize("id", ids())
def test_snapshots_are_exact(id: str, window: int) -> None:
    for action_level in action_levels(id):
        env = make(id, action_level=action_level, window=window)
        rng = np.random.default_rng(0)
        env.action_space.seed(0)
        observation, _ = env.reset(seed=1)
        for _ in range(25):
            state = json.loads(json.dumps(env.snapshot()))
            twin = make(id, action_level=action_level, window=window)
            assert same(twin.restore(state), observation)
            assert twin.snapshot() == state and twin.transcript == env.transcript
            if state["ended"]:
                with pytest.raises(ResetNeeded):
                    twin.step(env.action_space.sample())
                ours, theirs = env.reset(), twin.reset()
            else:
                action = env.expert_action() if rng.random() < 0.6 else env.action_space.sample()
                ours, theirs = env.step(action), twin.step(action)  # type: ignore[assignment]
            assert same(ours, theirs)
            observation = ours[0]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_go_on_alone(clone: Any) -> None:
    env = TextEnv(Toy, action_level="token")
    env.reset(seed=0)
    env.step(7)
    twin, third = clone(env), clone(env)
    for _ in range(40):
        ours = env.step(9)
        assert same(ours, twin.step(9))
    assert env.snapshot() == twin.snapshot() != third.snapshot()


def test_a_snapshot_of_something_else_is_refused() -> None:
    env = TextEnv(Toy)
    state = env.snapshot()
    assert env.restore(state) is None
    with pytest.raises(ResetNeeded):
        env.step("hi")
    with pytest.raises(ValueError, match="the snapshot is of level 'medium'"):
        TextEnv(Toy, level="hard").restore(state)
    env.reset(seed=0)
    env.step("hi")
    with pytest.raises(ValueError, match="taken with other keywords"):
        TextEnv(Toy, reply="Again!").restore(env.snapshot())


def test_snapshots_of_a_narrow_window_are_exact() -> None:
    """The window may have been made room in more than once within one utterance."""
    keywords: dict[str, Any] = {"action_level": "token", "window": 48, "max_utterance_tokens": 32}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        env = TextEnv(Open, **keywords, max_turns=6)
        env.reset(seed=seed)
        while not env._ended:
            for token in [*rng.integers(20, 2000, int(rng.integers(0, 31))), env.tokenizer.end_id]:
                observation = env.step(int(token))[0]
            assert same(TextEnv(Open, **keywords, max_turns=6).restore(env.snapshot()), observation)


def test_a_snapshot_in_text_goes_on_in_tokens() -> None:
    text, tokens = TextEnv(Toy, as_text=True), TextEnv(Toy)
    for env in (text, tokens):
        env.reset(seed=0)
        observation = env.step("hello there")[0]
    assert same(TextEnv(Toy).restore(text.snapshot()), observation)
