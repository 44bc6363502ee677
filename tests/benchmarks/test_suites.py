"""Suites are read from files, and their mistakes are named."""

import re
from pathlib import Path

import pytest

import textenvs
from agents.learners import LEARNERS
from benchmarks import literature
from benchmarks.suite import families, load_suite, names
from tests.benchmarks.conftest import GUESS

DOCS = Path(__file__).parent.parent.parent / "docs" / "benchmarks.md"


def write(tmp_path: Path, text: str) -> str:
    (tmp_path / "own.toml").write_text(text, "utf-8", "surrogateescape")
    return str(tmp_path / "own.toml")


def test_the_shipped_ones() -> None:
    core, full = load_suite("core"), load_suite("full")
    assert len(core.ids) == 12 and set(core.learners) == set(LEARNERS)
    assert {family for family, own in families().items() if set(own) & set(core.ids)} == {
        "board", "control", "decisions", "dialogue", "language", "questions", "tools", "words", "worlds"
    }  # fmt: skip
    assert "over nine of the eleven families" in core.about and len(families()) == 11
    assert set(full.ids) == set(textenvs.ids()) and set(full.levels) >= {"easy", "medium", "hard"}
    for family, own in families().items():
        suite = load_suite(family)
        assert set(suite.ids) == set(own) and suite.budget == core.budget
    assert names()[:4] == ["core", "full", "literature", "smoke"]
    found = {cell.name: cell for cell in load_suite("literature").cells() if cell.kind == "learner"}
    assert set(found) == set(literature.LEARNERS)
    assert found["mc"].learner == "ilql" and found["mc"].settings == {"error": 0.5, "monte_carlo": True}
    assert found["ilql"].learner == "" and found["online_filtered_bc"].learner == "expert_iteration"


def test_the_example_of_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's file with the guide's player makes the cells that the guide says."""
    guide = DOCS.read_text("utf-8")
    blocks = dict(re.findall(r"^```(toml|python)\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE))
    (tmp_path / "mine.py").write_text(blocks["python"])
    (tmp_path / "my_games.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    suite = load_suite(write(tmp_path, blocks["toml"]))
    cells = suite.cells()
    per_seed = 2 * 2  # games and levels
    assert len(cells) == per_seed * (3 + 3) + per_seed * 2 * 3  # random thrice, the other players once; two learners
    ppo = next(cell for cell in cells if cell.name == "ppo")
    assert ppo.settings == {"n_epochs": 1} and ppo.budget == 16384 and ppo.env_kwargs == {"window": 320}
    assert ppo.imports == ("my_games",)


def test_all_and_one_number(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, f'ids = ["{GUESS}"]\nlevels = "all"\nlearners = "all"\nbudget = 7'))
    assert suite.levels == ("easy", "medium", "hard")
    cells = [cell for cell in suite.cells() if cell.kind == "learner"]
    assert {cell.name for cell in cells} == set(LEARNERS) and {cell.budget for cell in cells} == {7}


def test_constrain_is_for_the_token_level(tmp_path: Path) -> None:
    text = f'ids = ["{GUESS}", "TextCalculator-v0"]\nlearners = ["ppo", "dqn"]\nseeds = 1\n[env]\nconstrain = true'
    cells = {(c.name, c.env_id): c.env_kwargs for c in load_suite(write(tmp_path, text)).cells() if c.kind == "learner"}
    assert cells["ppo", GUESS] == {"constrain": True}
    assert cells["dqn", GUESS] == cells["ppo", "TextCalculator-v0"] == cells["dqn", "TextCalculator-v0"] == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("idss = []", "has no use for 'idss': did you mean 'ids'?"),
        ("name = 'x'", "has no use for 'name': there are about, ids,"),
        ("ids = 3", "ids must be a list of names, not 3"),
        ("about = 3", "about must be text, not 3"),
        ("prices = 3", "prices must be a table, not 3"),
        ("prices = ['a', 'b']", "prices must be a table, not ['a', 'b']"),
        ("prices.random = [0.1]", "prices.'random' must be two numbers, for tokens read and written, not [0.1]"),
        ("prices.random = [0.1, nan]", "prices.'random' must be two numbers"),
        ("prices.rndom = [0.1, 0.2]", "no player 'rndom' in the suite: did you mean 'random'?"),
        ("settings = 3", "settings must be a table, not 3"),
        ("settings.bc = 3", "settings.bc must be a table of keywords, not 3"),
        ("[settings.bcc]", "settings.bcc: no learner or variant 'bcc': did you mean 'bc'?"),
        ("variants = 3", "variants must be a table, not 3"),
        ("variants.mine = 3", "variants.mine: no learner 3"),
        ("variants.mine = 'pppo'", "variants.mine: no learner 'pppo': did you mean 'ppo'?"),
        ("variants.bc = 'ppo'", "variants.bc is named as a learner"),
        ("budget = 1.5", "budget must be an integer, or a table of them, not 1.5"),
        ("budget = -5", "budget.token must be an integer of at least 1, not -5"),
        ("budget = {token = 'x'}", "budget.token must be an integer of at least 1, not 'x'"),
        ("env.window = 'x'", "env.window must be an integer of at least 1, not 'x'"),
        ("env.constrain = 1", "env.constrain must be true or false, not 1"),
        ("env.tokenizer = 1", "env.tokenizer must be a name, not 1"),
        ("action_level = 'tok'", "action_level takes token, turn, choice, not 'tok'"),
        ("about = '\udcff'", "'utf-8' codec can't decode byte 0xff"),
        ("ids = 'TextMaze-v0'", "ids must be a list of names"),
        ("ids = [1]", "ids must be a list of names"),
        ("ids = [", "own.toml"),
        ("seeds = 0", "seeds must be an integer of at least 1"),
        ("episodes = 1", "episodes must be an integer of at least 2"),
        ("ways = ['best']", "ways takes greedy, sampled, not 'best'"),
        ("ways = []", "ways must not be empty"),
        ("[env]\nlevels = 3", "env takes window"),
        ("[budget]\nword = 3", "budget takes token, turn, choice, not 'word'"),
        ("players = []", "has no cells"),
        ("ids = ['TextMaze-v0']\nlevels = ['easiest']", "level 'easiest'"),
    ],
)
def test_mistakes(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_suite(write(tmp_path, text)).cells()
    assert re.search(r"own\.toml: |suite 'own'", str(caught.value)), "it says where"
