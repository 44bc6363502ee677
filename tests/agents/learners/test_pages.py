from __future__ import annotations

import pytest

from agents.cli import main
from agents.learners.pages import page
from agents.learners.table import LEARNERS


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_has_a_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = page(name)
    assert LEARNERS[name].when in text and f"Action levels: {LEARNERS[name].levels[0]}" in text
    assert any(str(year) in text for year in range(1988, 2027)), "expected its source"
    unused = getattr(LEARNERS[name].algorithm, "unused", ())
    assert "| `learning_rate` |" in text and ("| `gamma` |" in text) != ("gamma" in unused)
    at = LEARNERS[name].at.items()
    for keyword, default in LEARNERS[name].defaults.items():
        told = [f"{default!r}", *(f"{own[keyword]!r} at {level} level" for level, own in at if keyword in own)]
        assert isinstance(default, type) or f"| `{keyword}` | {'; '.join(told)} |" in text
    assert main(["show", name]) == 0
    assert "Options" in capsys.readouterr().out


def test_unknown_learners(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "pppo"]) == 2
    assert "did you mean 'ppo'?" in capsys.readouterr().err
    with pytest.raises(ValueError, match="learner must be one of"):
        page("pppo")
