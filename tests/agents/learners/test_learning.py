"""Every learner comes near the optimum of a small game: ``pytest -m slow -s`` prints by how much."""

import pytest

from agents.players import ExpertPlayer
from benchmarks.learning import GOAL, play, run_case
from benchmarks.learning_cases import CASES


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", CASES)
def test_it_comes_near_the_optimum(name: str, seed: int) -> None:
    case = CASES[name]
    run = run_case(case, seed)
    found, optimum = run.played.returns.mean(), play(case, ExpertPlayer()).returns.mean()
    print(f"{name}, seed {seed}: return {found:.3f}, optimum {optimum:.3f}, {run.seconds:.0f} s of processor time")
    assert found >= GOAL * optimum
