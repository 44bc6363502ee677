"""Tuning: a study runs, goes on, survives trials that fail, prunes, and says what it cannot be asked."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

import agents
from agents.learners import LEARNERS
from benchmarks import tune
from benchmarks.cli import main
from benchmarks.spaces import SPACES, Among, Between

GUESS = "TextGuessNumber-v0"
SMALL = ["bc", "--ids", GUESS, "--action-level", "choice", "--backbone", "gru", "--window", "96"]
SMALL += ["--steps", "8", "--seeds", "1", "--episodes", "4"]


def command(storage: Path, trials: int, *more: str) -> int:
    return main(["tune", *SMALL, "--storage", str(storage), "--trials", str(trials), *more])


def trials_of(storage: Path) -> list[optuna.trial.FrozenTrial]:
    (found,) = optuna.get_all_study_summaries(f"sqlite:///{storage}")
    return optuna.load_study(study_name=found.study_name, storage=f"sqlite:///{storage}").trials


@pytest.mark.parametrize(("learner", "level"), [(name, each) for name, row in LEARNERS.items() for each in row.levels])
def test_a_space_holds_the_defaults(learner: str, level: str) -> None:
    given = tune.defaults(learner, level)
    for name, space in SPACES[learner].items():
        if isinstance(space, Among):
            assert given[name] in space.values, name
        else:
            assert isinstance(given[name], float) and space.low <= given[name] <= space.high, name


def test_the_defaults_are_those_of_the_level_that_is_played(tmp_path: Path) -> None:
    assert tune.Study("ddqn", (GUESS,)).plays == "choice"
    assert tune.Study("ddqn", (GUESS, "TextCalculator-v0")).plays == "token", "the calculator lists no choices"
    assert tune.Study("ddqn", (GUESS,), action_level="token").plays == "token"
    storage = tmp_path / "ddqn.db"
    asked = ["ddqn", "--ids", "TextCalculator-v0", "--backbone", "gru", "--window", "96", "--storage", str(storage)]
    assert main(["tune", *asked, "--steps", "8", "--seeds", "1", "--episodes", "2", "--trials", "1"]) == 0
    assert trials_of(storage)[0].params == tune.defaults("ddqn", "token") != tune.defaults("ddqn")


def test_a_small_study_runs_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = tmp_path / "study" / "bc.db"
    assert command(storage, 2) == 0
    told = capsys.readouterr().out
    first = trials_of(storage)
    assert len(first) == 2 and "2 trials: 2 complete, 0 pruned, 0 fail" in told
    assert first[0].params == tune.defaults("bc") and first[1].params != first[0].params
    assert len(first[0].intermediate_values) == 4 and first[0].value == first[0].intermediate_values[4]
    best = max(first, key=lambda trial: trial.value)
    assert any(line.startswith("{") and ast.literal_eval(line) == best.params for line in told.splitlines())
    assert f"best score {best.value:.1f} (trial {best.number})" in told

    assert command(storage, 3) == 0
    again = trials_of(storage)
    assert "2 of 3 trials are in" in capsys.readouterr().out
    assert [trial.params for trial in again[:2]] == [trial.params for trial in first]
    assert len(again) == 3 and again[2].params not in [trial.params for trial in first]

    assert command(storage, 3) == 0 and len(trials_of(storage)) == 3


def test_the_score_of_a_trial_is_that_of_its_learners(tmp_path: Path) -> None:
    study = tune.Study("bc", (GUESS,), action_level="choice", backbone="gru", steps=200, seeds=2, window=96)
    trial = optuna.create_study(direction="maximize").ask(fixed_distributions={})
    settings = {**tune.defaults("bc"), "n_starts": 16}
    asked = optuna.trial.FixedTrial(settings)
    found = tune.objective(asked, study)
    models = []
    for seed in range(2):
        env_kwargs = {"level": "easy", "window": 96, "action_level": "choice"}
        model = agents.make("bc", GUESS, "gru", seed=seed, env_kwargs=env_kwargs, **settings)
        for stage in range(1, 5):
            model.learn(max(50 * stage - model.num_timesteps, 1), reset_num_timesteps=stage == 1)
        models.append(model)
    plain = [
        agents.evaluate(agents.players.PolicyPlayer(model), GUESS, 100, "train", "easy").scores for model in models
    ]
    assert found == pytest.approx(sum(float(each.mean()) for each in plain) / 2) and trial.number == 0


def test_a_trial_that_fails_is_recorded_and_the_study_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, calls = agents.make, []

    def sometimes(*arguments: Any, **keywords: Any) -> Any:
        calls.append(keywords)
        if len(calls) == 2:
            raise RuntimeError("these settings\ndo not go together")
        return make(*arguments, **keywords)

    monkeypatch.setattr(agents, "make", sometimes)
    storage = tmp_path / "bc.db"
    assert command(storage, 3) == 0
    found = trials_of(storage)
    assert [trial.state.name for trial in found] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert found[1].user_attrs["error"] == "RuntimeError: these settings do not go together"
    told = capsys.readouterr().out
    assert "trial 1: failed: RuntimeError: these settings do not go together" in told and "1 fail" in told

    monkeypatch.setattr(agents, "make", lambda *arguments, **keywords: 1 / 0)
    assert command(tmp_path / "none.db", 1) == 1
    assert "no trial was completed" in capsys.readouterr().out


def test_a_trial_below_the_median_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[Any] = []

    def worse_and_worse(id: str, model: Any, study: tune.Study) -> float:
        if not played or played[-1] is not model:
            played.append(model)
        return 100.0 - len(played)

    monkeypatch.setattr(tune, "_score", worse_and_worse)
    storage = tmp_path / "bc.db"
    assert command(storage, tune._UNPRUNED + 1) == 0
    *complete, pruned = trials_of(storage)
    assert {trial.state.name for trial in complete} == {"COMPLETE"}
    assert pruned.state.name == "PRUNED" and list(pruned.intermediate_values) == [1]


def test_keywords_within_keywords() -> None:
    assert tune.nested({"a": 1, "b.c": 2, "b.d": 3}) == {"a": 1, "b": {"c": 2, "d": 3}}
    trial = optuna.trial.FixedTrial({"rate": 0.1, "kind": "x"})
    assert tune.suggest(trial, {"rate": Between(0.01, 1, log=True), "kind": Among(("x", "y"))}) == {
        "rate": 0.1,
        "kind": "x",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pppo"], "did you mean 'ppo'?"),
        (["ppo", "--ids", "TextNothing-v0"], "no game is registered as 'TextNothing-v0'"),
        (["ppo", "--level", "harder"], "TextGuessNumber-v0 has the levels easy, medium, hard, not 'harder'"),
        (["dqn", "--action-level", "turn"], "dqn plays the action levels choice, token, not 'turn'"),
        (["ppo", "--trials", "0"], "--trials must be at least 1, not 0"),
        (["ppo", "--steps", "3"], "steps must be at least 4, not 3"),
    ],
)
def test_what_cannot_be_asked_is_said(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", *arguments, "--storage", str(tmp_path / "study.db")]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1 and not (tmp_path / "study.db").exists()


def test_without_optuna_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert command(tmp_path / "bc.db", 1) == 2
    assert capsys.readouterr().err == "benchmarks: tuning needs Optuna: pip install 'textenvs[tune]'\n"
