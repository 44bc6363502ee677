"""The tables beside published figures are made from results, in the published normalisation."""

from pathlib import Path

import pytest

from benchmarks import literature, standings
from benchmarks.cli import main
from benchmarks.runner import run
from tests.benchmarks.conftest import small_suite


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Players on a maze and in a kitchen."""
    suite = small_suite(ids=("TextMaze-v0", "TextCooking-v0"), players=("random", "expert", literature.DATA), seeds=1)
    run(suite.cells(), tmp_path, jobs=0)
    return tmp_path


def test_scores_are_those_of_the_paper(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = standings.load([results], baselines=False)
    maze = next(task for task in found.tasks if task.env_id == "TextMaze-v0")
    normalise = literature._normalisation(found, maze)
    of = {entry.name: [run.mean() for run in literature._returns(entry, maze)] for entry in found.entries}
    everybody = [run for entry in found.entries for run in literature._returns(entry, maze)]
    assert normalise(min(map(min, everybody))) == 0 and normalise(max(map(max, everybody))) == 100
    assert normalise(of[literature.DATA][0]) == pytest.approx(50)
    assert normalise(of["random"][0]) < 50 < normalise(of["expert"][0])
    monkeypatch.setattr(literature, "LEARNERS", {literature.DATA: "data", "expert": "expert", "absent": "absent"})
    lines = literature.markdown(found).splitlines()
    assert lines[2].startswith("| LMRL-Gym: Maze, fully observed | 58.2 | 68.9 | 75.0 |")
    ours = next(line for line in lines if line.startswith("| **TextMaze-v0** | 50 ["))
    assert ours.endswith("| – |")
    kitchen = next(line for line in lines if "TextCooking-v0" in line)
    assert "1.00 [1.00,1.00]" in kitchen


def test_the_page_has_the_tables_of_the_committed_results() -> None:
    page = Path(__file__).parents[2] / "docs" / "literature.md"
    assert literature.markdown(standings.load([literature.COMMITTED], baselines=False)) in page.read_text("utf-8")


def test_other_results_are_refused(results: Path, played: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["literature", str(results)]) == 0 and "TextMaze-v0" in capsys.readouterr().out
    assert main(["literature", str(played)]) == 2
    assert "run the suite literature first" in capsys.readouterr().err
    for file in results.glob("imperfect*"):
        file.unlink()
    assert main(["literature", str(results)]) == 2
    assert f"player {literature.DATA} has not played TextMaze-v0" in capsys.readouterr().err
