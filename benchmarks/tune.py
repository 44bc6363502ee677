"""Search a learner's settings with Optuna: ``python -m benchmarks tune LEARNER``.

A trial trains the learner from several seeds on several games, a quarter of the steps at a time, and plays episodes of
the training split after each: the mean normalised score over games and seeds after the last one is what is sought; a
trial whose score after an earlier one lies below the median of those before it ends there. The first trial has the
learner's defaults. The study lies in an SQLite file: the same command goes on with it.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import agents
from agents.evaluation import evaluate
from agents.learners import LEARNERS
from agents.learners.table import keywords, learner_row
from agents.players import PolicyPlayer
from benchmarks.provenance import machine_line
from benchmarks.spaces import NESTED_DEFAULTS, SPACES, Among, Space
from textenvs import scores
from textenvs.env import load_game
from textenvs.registration import spec

_STAGES = 4  # evaluations of a trial
_UNPRUNED = 5  # complete trials before the first one is pruned
_AT_RANDOM = 8  # trials before the sampler looks at what there is
_INSTANCES_SEED = 0


@dataclass(frozen=True)
class Study:
    """What is asked: studies that differ in anything here are kept apart.

    Attributes:
        learner: a name of ``LEARNERS``.
        ids, level, action_level, window: what is played; ``action_level`` ``None`` is the learner's first that all
            games have.
        backbone: a name or path of a model.
        steps: environment steps of each training.
        seeds: trainings of each trial and id.
        episodes: of the training split, played at each evaluation.
    """

    learner: str
    ids: tuple[str, ...]
    level: str = "easy"
    action_level: str | None = None
    backbone: str = "tiny"
    steps: int = 8192
    seeds: int = 2
    episodes: int = 100
    window: int = 320

    def check(self) -> None:
        """Whether it can be asked at all.

        Raises:
            ValueError: a learner, level or number that there is not; the message says what there is.
            KeyError: an unknown id, or one without measured scores.
        """
        levels_of = learner_row(self.learner).levels
        for id in self.ids:
            levels = load_game(spec(id).entry).levels
            if self.level not in levels:
                raise ValueError(f"{id} has the levels {', '.join(levels)}, not {self.level!r}")
            scores.score(id, self.level, 0.0)
        for name, least in (("steps", _STAGES), ("seeds", 1), ("episodes", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.action_level is not None and self.action_level not in levels_of:
            told = ", ".join(levels_of)
            raise ValueError(f"{self.learner} plays the action levels {told}, not {self.action_level!r}")

    @property
    def plays(self) -> str:
        """The action level that is played."""
        if self.action_level is not None:
            return self.action_level
        games = [load_game(spec(id).entry) for id in self.ids]
        chooses = all(game(**game.levels[self.level]).max_choices for game in games)
        return next(each for each in learner_row(self.learner).levels if each != "choice" or chooses)

    @property
    def name(self) -> str:
        """All of it in a line."""
        return json.dumps(asdict(self), sort_keys=True)


def defaults(learner: str, action_level: str | None = None) -> dict[str, Any]:
    """The value that each parameter of a learner's space has where nobody gives one, at the learner's first level or
    another one."""
    row = LEARNERS[learner]
    known = {**keywords(row.algorithm), **row.settings(action_level or row.levels[0]), **NESTED_DEFAULTS}
    return {name: known[name] for name in SPACES[learner]}


def nested(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as keywords of ``agents.make``: ``{"a.b": 1}`` is ``{"a": {"b": 1}}``."""
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        outer, _, inner = name.rpartition(".")
        (found.setdefault(outer, {}) if outer else found)[inner] = value
    return found


def suggest(trial: Any, space: Space) -> dict[str, Any]:
    """A value for every parameter, drawn by the study's sampler."""
    return {
        name: trial.suggest_categorical(name, each.values)
        if isinstance(each, Among)
        else trial.suggest_float(name, each.low, each.high, log=each.log)
        for name, each in space.items()
    }


def objective(trial: Any, study: Study) -> float:
    """The mean score of a trial after its last stage.

    Raises:
        optuna.TrialPruned: a stage's score lies below the median of the trials before.
    """
    import optuna

    settings = nested(suggest(trial, SPACES[study.learner]))
    env_kwargs = {"level": study.level, "window": study.window, "action_level": study.plays}
    models = [
        (id, agents.make(study.learner, id, study.backbone, seed=seed, env_kwargs=env_kwargs, **settings))
        for id in study.ids
        for seed in range(study.seeds)
    ]
    found = -math.inf
    for stage in range(1, _STAGES + 1):
        for _, model in models:
            missing = study.steps * stage // _STAGES - model.num_timesteps
            if missing > 0:
                model.learn(missing, reset_num_timesteps=stage == 1)
        found = float(np.mean([_score(id, model, study) for id, model in models]))
        trial.report(found, stage)
        if stage < _STAGES and trial.should_prune():
            raise optuna.TrialPruned
    return found


def _score(id: str, model: Any, study: Study) -> float:
    player = PolicyPlayer(model)
    played = evaluate(player, id, study.episodes, "train", study.level, seed=_INSTANCES_SEED, keep=0)
    assert played.scores is not None
    return float(played.scores.mean())


def run(study: Study, storage: Path, trials: int, timeout: float | None, console: Console) -> int:
    """Make or go on with a study until it has so many trials, and tell what it found.

    Args:
        study: what is asked.
        storage: the SQLite file.
        trials: of the whole study; pruned and failed ones count.
        timeout: seconds after which no trial is begun.
        console: where it is told.

    Returns:
        0, or 1 where no trial was completed.

    Raises:
        ImportError: Optuna is missing.
        ValueError, KeyError: see ``Study.check``.
    """
    study.check()
    if trials < 1:
        raise ValueError(f"--trials must be at least 1, not {trials}")
    optuna = _optuna()
    storage.parent.mkdir(parents=True, exist_ok=True)
    found = optuna.create_study(
        study_name=study.name, storage=f"sqlite:///{storage}", direction="maximize", load_if_exists=True
    )
    # Going on with the first seed would draw the first trials again.
    found.sampler = optuna.samplers.TPESampler(seed=len(found.trials), n_startup_trials=_AT_RANDOM)
    found.pruner = optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED)
    if not found.trials:
        found.enqueue_trial(defaults(study.learner, study.plays), user_attrs={"defaults": True})
    ended = [trial for trial in found.trials if trial.state.is_finished()]
    if ended:
        console.print(f"{len(ended)} of {trials} trials are in {storage}")
    left = trials - len(ended)
    if left > 0:

        def trial_of(trial: Any) -> float:
            try:
                return objective(trial, study)
            except (optuna.TrialPruned, KeyboardInterrupt):
                raise
            except Exception as error:
                trial.set_user_attr("error", f"{type(error).__name__}: {' '.join(str(error).split())}")
                raise

        found.optimize(
            trial_of, left, timeout, catch=(Exception,), callbacks=[lambda _, trial: console.print(_told(trial))]
        )
    return _report(found, study, console)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ImportError("tuning needs Optuna: pip install 'textenvs[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _told(trial: Any) -> str:
    """A trial in a line."""
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    state = trial.state.name.lower()
    if state == "complete":
        what = f"score {trial.value:.1f}"
    elif state == "pruned":
        stage = max(trial.intermediate_values)
        what = f"score {trial.intermediate_values[stage]:.1f}, pruned after {stage} of {_STAGES} stages"
    else:
        what = f"failed: {trial.user_attrs.get('error', 'the score is not a number')}"
    return f"trial {trial.number}: {what} ({seconds:.0f} s) {nested(trial.params)}"


def _report(found: Any, study: Study, console: Console) -> int:
    """The best keywords and how much each matters."""
    states = [trial.state.name for trial in found.trials if trial.state.is_finished()]
    complete = [trial for trial in found.trials if trial.state.name == "COMPLETE"]
    counts = ", ".join(f"{states.count(name)} {name.lower()}" for name in ("COMPLETE", "PRUNED", "FAIL"))
    console.print(f"{len(states)} trials: {counts}")
    if not complete:
        console.print("no trial was completed: give more --trials or another setting")
        return 1
    best = found.best_trial
    plain = next((trial for trial in complete if trial.user_attrs.get("defaults")), None)
    console.print(
        f"best score {best.value:.1f} (trial {best.number})"
        + (f"; the defaults' {plain.value:.1f}" if plain is not None else "")
    )
    console.print(nested(best.params))
    importance = _importance(found) if len(complete) > 1 else {}
    table = Table("keyword", "default", "best", "importance")
    given = defaults(study.learner, study.plays)
    for name in sorted(SPACES[study.learner], key=lambda name: -importance.get(name, 0.0)):
        share = f"{importance[name]:.0%}" if name in importance else ""
        table.add_row(name, _short(given[name]), _short(best.params[name]), share)
    console.print(table)
    console.print(machine_line())
    return 0


def _importance(found: Any) -> dict[str, float]:
    import optuna

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of few trials, which the table shows anyway
            return optuna.importance.get_param_importances(found)
    except (RuntimeError, ValueError):  # too few trials, or all with one score
        return {}


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
