from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import pytest

import textenvs
from tests.textenvs.toys import Open, Toy
from textenvs import registration, scores
from textenvs.env import TextEnv, load_game
from textenvs.registration import ids, register_game, spec


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_the_import_is_light() -> None:
    program = (
        "import sys, textenvs; textenvs.ids();"
        "heavy = {'torch', 'transformers', 'stable_baselines3', 'agents', 'tokenizers'} & set(sys.modules);"
        "print(sorted(heavy))"
    )
    assert run(program).strip() == "[]"


def test_making_an_environment_imports_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, gymnasium, textenvs;"
        f"[gymnasium.make(id).reset(seed=0) for id in {ids()!r}];"
        "print(sorted({'torch', 'transformers', 'agents'} & set(sys.modules)))"
    )
    assert run(program).strip() == "[]"


def test_the_public_surface() -> None:
    assert all(getattr(textenvs, name) is not None for name in textenvs.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        textenvs.nothing  # noqa: B018


@pytest.mark.parametrize("id", ids())
def test_every_id_is_made_without_a_warning_or_a_wrapper(id: str) -> None:
    game = load_game(spec(id).entry)
    assert "medium" in game.levels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for level in game.levels:
            env = gymnasium.make(id, level=level)
            assert type(env) is TextEnv and isinstance(env.game, game)
    with pytest.raises(TypeError, match="did you mean 'action_level'"):
        gymnasium.make(id, action_levl="turn")
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'"):  # by which TorchRL knows
        gymnasium.make(id, frameskip=1)
    with pytest.raises(TypeError, match="did you mean 'window'"):
        gymnasium.make_vec(id, num_envs=2, windw=3)


def test_unknown_ids() -> None:
    with pytest.raises(KeyError, match="TextNothing-v0"):
        spec("TextNothing-v0")


def test_contributed_games(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "_table", dict(registration._table))
    try:
        register_game("TextToy-v0", Toy)
        register_game("TextToy-v0", Toy)
        register_game("TextOpen-v0", "tests.textenvs.toys:Open")
        with pytest.raises(ValueError, match="is taken by"):
            register_game("TextToy-v0", Open)
        assert "TextToy-v0" in ids()
        assert json.loads(gymnasium.spec("TextToy-v0").to_json())["kwargs"] == {"game": "tests.textenvs.toys:Toy"}
        known = ids()
        with pytest.raises(ValueError, match="CartPoleEnv in Gymnasium"):
            register_game("CartPole-v1", Toy)
        with pytest.raises(ValueError, match="cannot be an id"):
            register_game("my game!", Toy)
        with pytest.raises(TypeError, match=r"subclass of textenvs\.Game"):
            register_game("TextInt-v0", int)  # type: ignore[arg-type]
        assert ids() == known
        assert isinstance(gymnasium.make("TextOpen-v0").unwrapped.game, Open)  # type: ignore[attr-defined]
        assert gymnasium.make("TextToy-v0", size=3).unwrapped.game.size == 3  # type: ignore[attr-defined]
    finally:
        for id in ("TextToy-v0", "TextOpen-v0"):
            gymnasium.registry.pop(id, None)
    with pytest.raises(ValueError, match="module:Class"):
        load_game("Toy")
    with pytest.raises(TypeError, match="Game class"):
        load_game(int)  # type: ignore[arg-type]


# --- C8: scores ---


@pytest.mark.parametrize("id", ids())
def test_every_id_and_level_has_scores(id: str) -> None:
    assert set(scores.table()[id]) == set(load_game(spec(id).entry).levels)
    for level, measured in scores.table()[id].items():
        assert measured["expert"]["mean"] > measured["random"]["mean"]
        assert scores.score(id, level, measured["expert"]["mean"]) == pytest.approx(100)
        assert scores.score(id, level, measured["random"]["mean"]) == pytest.approx(0)


@pytest.mark.parametrize("id", ids())
def test_the_scores_still_hold(id: str) -> None:
    """A few episodes measured again agree with the committed figures."""
    episodes = 60
    for level, again in scores.measure(id, episodes).items():
        committed = scores.table()[id][level]
        for player in ("random", "expert"):
            spread = committed[player]["sem"] * (committed["episodes"] / episodes) ** 0.5
            assert abs(again[player]["mean"] - committed[player]["mean"]) < 5 * spread + 1e-6


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "ids", lambda: ids()[:1])
    scores.main(["--episodes", "3", "--out", str(tmp_path / "scores.json")])
    written = json.loads((tmp_path / "scores.json").read_text())
    assert list(written) == ids()[:1]
    with pytest.raises(KeyError, match=r"python -m textenvs\.scores"):
        scores.score("TextNothing-v0", "medium", 0.0)
