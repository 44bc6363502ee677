"""Before and after training a real model: the command's arithmetic, its file, and (slow) that training helps."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from benchmarks import real_models
from benchmarks.cli import main
from benchmarks.models import real_model


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped model with a short window, and little of everything."""
    short = {"tokenizer": "textenvs", "window": 192, "max_utterance_tokens": 3}
    monkeypatch.setattr(real_models, "_ENV", {**real_models._ENV, **short})
    small = {"ppo": {"num_envs": 4, "n_steps": 8, "batch_size": 32}, "grpo": {"num_envs": 4, "n_starts": 2}}
    settings = {name: {**real_models.SETTINGS[name], **own} for name, own in small.items()}
    monkeypatch.setattr(real_models, "SETTINGS", settings)


def test_it_trains_for_a_time_and_writes_what_it_found(quick: None, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    screen, out = io.StringIO(), tmp_path / "found.json"
    console = Console(file=screen, width=200)
    assert real_models.run("tiny", ["ppo", "grpo"], 0.01, 2, 6, out, console) == 0
    document = json.loads(out.read_text("utf-8"))
    assert [(each["learner"], each["seed"]) for each in document["runs"]] == [
        (n, s) for n in ("ppo", "grpo") for s in (0, 1)
    ]
    assert document["model"] == "tiny" and document["environment"]["id"] == real_models.ENV_ID
    for each in document["runs"]:
        assert each["timesteps"] > 0 and each["seconds"] >= 0.6
        for play in each["plays"].values():
            before, after = (play["episodes"][when] for when in ("before", "after"))
            assert before["episode_seeds"] == after["episode_seeds"] and len(before["returns"]) == 6
            difference = np.mean(after["returns"]) - np.mean(before["returns"])
            assert play["difference"]["return"]["mean"] == pytest.approx(difference)
            assert play["before"]["return"]["mean"] == pytest.approx(np.mean(before["returns"]))
    one, other = (run["plays"]["sampled"]["episodes"]["before"] for run in document["runs"][1:3])
    assert one["returns"] == other["returns"], "before training all are the same model on the same episodes"
    shown = screen.getvalue()
    for text in ("random", "expert", "ppo", "grpo", "before", "after", "difference", str(out)):
        assert text in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learners", "dqn"], "--learners must be of ppo, grpo, not 'dqn'"),
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--episodes", "1"], "--episodes must be at least 2"),
        (["--minutes", "0"], "--minutes must be above 0"),
        (["--model", "no/such/model.gguf"], "no model file"),
    ],
)
def test_mistakes(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["real_models", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["ppo", "grpo"])
def test_a_real_model_gets_better(learner: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gguf")
    pytest.importorskip("peft")
    try:
        model = str(real_model("smollm2"))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    found: Any = real_models.train(learner, model, minutes=8, episodes=100)
    before, after = (getattr(found, when)["sampled"].summary() for when in ("before", "after"))
    with capsys.disabled():
        print(f"\n{learner}: return {before['return']:.2f} before, {after['return']:.2f} after")
    assert after["return"].low > before["return"].high
    assert after["success"].low > before["success"].high
