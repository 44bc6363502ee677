"""What the benchmark reads at run time is part of the wheel."""

import fnmatch
import tomllib
from pathlib import Path

from benchmarks.suite import load_suite, names

ROOT = Path(__file__).parent.parent.parent


def test_every_data_file_is_packaged() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    patterns = settings["package-data"]["*"]
    assert "benchmarks*" in settings["packages"]["find"]["include"]
    files = [path for path in (ROOT / "benchmarks").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert any(path.suffix == ".toml" for path in files) and any(path.suffix == ".xz" for path in files)
    for path in files:
        assert path.suffix == ".py" or any(fnmatch.fnmatch(path.name, each) for each in patterns), path


def test_every_suite_has_cells() -> None:
    for name in names():
        suite = load_suite(name)
        assert suite.about
        cells = suite.cells()
        assert len({cell.digest for cell in cells}) == len(cells)
        assert {cell.env_id for cell in cells} == set(suite.ids)
