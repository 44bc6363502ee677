"""The page holds everything it needs, shows what the statistics say, and works in a browser."""

import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import standings, statistics, storage, tables
from benchmarks.cells import failure, run_cell
from benchmarks.cli import main
from benchmarks.report import html, payload
from benchmarks.standings import Standings, Task, arrange, compare, leaderboard
from benchmarks.suite import Suite
from tests.benchmarks.conftest import BANDIT, GUESS, small_suite

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVIL = "</script><b>&amp; <!-- \u2028"


def evil(messages: Any) -> str:
    return EVIL


@pytest.fixture(scope="module")
def results(small_model: str) -> list[dict[str, Any]]:
    """Two players, a learner with two seeds and one without a policy who says markup; and a failed cell."""
    players = small_suite(players=("random", "expert", "tests.benchmarks.test_report:evil")).cells()
    settings = {"ppo": {"n_steps": 16, "batch_size": 16, "num_envs": 2}}
    env = {"window": 96, "max_utterance_tokens": 6, "tokenizer": "textenvs"}
    suite = Suite(
        "x", ids=(GUESS,), players=(), learners=("ppo",), backbones=(small_model,), seeds=2, episodes=6, env=env
    )
    learners = replace(suite, budget={"token": 96}, settings=settings).cells()
    found = [run_cell(cell) for cell in (*players, *learners)]
    assert all(each["status"] == "done" for each in found)
    return [*found, failure(replace(learners[0], seed=9), "Traceback: <lost>")]


@pytest.fixture(scope="module")
def told(results: list[dict[str, Any]]) -> Standings:
    return arrange(json.loads(json.dumps(results)))


def entry(told: Standings, name: str, way: str = "played") -> standings.Entry:
    return next(each for each in told.entries if (each.name, each.way) == (name, way))


def test_standings_by_hand(told: Standings, results: list[dict[str, Any]]) -> None:
    assert [task.env_id for task in told.tasks] == [BANDIT, GUESS]
    assert len(told.failed) == 1 and told.ways == ["greedy", "sampled"]
    own = [each for each in results if each["cell"]["name"] == "random" and each["cell"]["env_id"] == GUESS]
    assert [each["cell"]["seed"] for each in own] == [0, 1]
    scale = own[0]["reference"]
    expected = [
        [
            100 * (sum(episode["rewards"]) - scale["random"]) / (scale["expert"] - scale["random"])
            for episode in each["evaluations"]["played"]["episodes"]
        ]
        for each in own
    ]
    np.testing.assert_allclose(entry(told, "random").runs[Task(GUESS, "easy")], expected)

    places = leaderboard(told.acting("greedy"), told.tasks)
    assert places[0].entry.name == "expert"
    assert places[-1].entry.name == "ppo" and (places[-1].tasks, places[-1].of_tasks) == (1, 2), "incomplete ones last"
    found = entry(told, "expert")
    scores = [run.mean() for runs in found.runs.values() for run in runs]  # two: a quarter of them is none
    assert places[0].iqm.mean == pytest.approx(np.mean(scores))


def test_pairs_share_episodes_or_say_so(told: Standings, results: list[dict[str, Any]]) -> None:
    pair = compare(entry(told, "expert"), entry(told, "random"))
    assert pair is not None and pair.difference is not None
    assert pair.better + pair.equal + pair.worse == pytest.approx(1)
    assert pair.improvement.mean == 1 and pair.difference.low > 0
    fewer = run_cell(small_suite(ids=(GUESS,), players=("imperfect:0.5",), seeds=1, instances_seed=2).cells()[0])
    both = arrange([*results[:-1], fewer])
    unpaired = compare(entry(both, "expert"), entry(both, "imperfect:0.5"))
    assert unpaired is not None and unpaired.difference is None
    shorter = [run_cell(each) for each in small_suite(ids=(GUESS,), players=("random",), episodes=4, seeds=3).cells()]
    mixed = arrange([*results[:-1], shorter[2]])  # one more seed, of fewer episodes
    unpaired = compare(entry(mixed, "expert"), entry(mixed, "random"))
    assert unpaired is not None and unpaired.difference is None


def test_names_tell_contestants_apart(results: list[dict[str, Any]]) -> None:
    (one,) = [each for each in results if each["cell"]["name"] == "ppo" and each["cell"]["seed"] == 0]
    later = json.loads(json.dumps(one))
    later["started"] = "2999-01-01"
    later["cell"]["budget"] = 192
    assert {each.name for each in arrange([one, later]).entries} == {"ppo, 96 steps", "ppo, 192 steps"}
    for name, values, told in (
        ("action_level", ("token", "turn"), {"ppo, token", "ppo, turn"}),
        ("backbone", ("a/model", "b/model"), {"ppo, a/model", "ppo, b/model"}),
        ("episodes", (6, 9), {"ppo, episodes 6", "ppo, episodes 9"}),
        ("learner", ("", "bc"), {"ppo", "ppo, bc"}),
    ):
        pair = [{**later, "cell": {**one["cell"], name: value}} for value in values]
        assert {each.name for each in arrange(pair).entries} == told
    later["cell"]["budget"] = 96
    (first, *_) = arrange([one, later]).entries
    assert first.name == "ppo" and [each["started"] for each in first.results[Task(GUESS, "easy")]] == ["2999-01-01"]


def test_the_page_is_self_contained(told: Standings) -> None:
    page = html(told, "a <title>")
    assert "<title>a &lt;title&gt;</title>" in page
    assert not re.search(r"(src|href)=|@import|url\(", page)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page)
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1]) == json.loads(json.dumps(payload(told, 2)))


def test_what_cannot_be_drawn_is_an_error_and_no_empty_page(results: list[dict[str, Any]]) -> None:
    broken = json.loads(json.dumps(results[0]))
    broken["evaluations"]["played"]["transcripts"][0]["rewards"][0] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinity"):
        html(arrange([broken]))
    unscored = json.loads(json.dumps(results[0]))
    unscored["cell"]["env_id"], unscored["reference"] = "TextElsewhere-v0", {"random": 1.0, "expert": 1.0}
    with pytest.raises(ValueError, match="TextElsewhere-v0, easy, cannot be scored"):
        html(arrange([unscored]))


def test_what_the_page_shows_is_what_the_statistics_say(told: Standings) -> None:
    data = payload(told, 1)
    assert set(data["slices"]) == {
        f"all|{family}|{way}" for family in ("all", "decisions", "words") for way in told.ways
    }
    for name, way in (("random", "greedy"), ("ppo", "sampled")):
        place = next(i for i, e in enumerate(data["entries"]) if e["name"] == name and e["way"] in (way, "played"))
        own = entry(told, name, "played" if name == "random" else way)
        (row,) = [each for each in data["slices"][f"all|all|{way}"]["rows"] if each["entry"] == place]
        expected = statistics.estimate(own.runs, statistics.interquartile_mean)
        assert row["iqm"] == pytest.approx(list(expected), abs=0.051)
        profile = data["slices"][f"all|all|{way}"]["profiles"][place][0]
        assert profile == pytest.approx(
            [(statistics.run_scores(own.runs) > threshold).mean() for threshold in data["thresholds"]], abs=1e-3
        )
    curves = data["curves"][told.tasks.index(Task(GUESS, "easy"))]
    assert [(each["name"], each["seed"]) for each in curves] == [("ppo", 0), ("ppo", 1)]
    assert all(len(each["points"][0]) == 5 for each in curves)
    thoughts = [each["thoughts"] for each in data["transcripts"] if data["entries"][each["entry"]]["name"] == "ppo"]
    assert len(thoughts) == 2 and all(each["measure"] == "log-probability" for each in thoughts)


def test_tables(told: Standings) -> None:
    text = tables.markdown(told)
    assert text.startswith("| contestant | play | IQM |") and "| expert |  | " in text and "| ppo | greedy |" in text
    assert "-0" not in re.findall(r"(?<=[ \[])-0(?=[ ,\]])", text)
    rows = list(csv.DictReader(io.StringIO(tables.comma_separated(told))))
    assert len(rows) == 2 * (2 + 1 + 1) + 2 * 2  # players on two games (random twice), a learner's seeds both ways
    assert {row["family"] for row in rows} == {"decisions", "words"}
    found = json.loads(tables.as_json(told))
    assert found["leaderboard"][0]["contestant"] == "expert" and found["failed"][0]["traceback"] == "Traceback: <lost>"
    assert {"one", "other", "probability_of_improvement", "paired_difference"} <= set(found["pairs"][0])
    latex = tables.latex(told)
    assert latex.startswith(r"\begin{tabular}") and r"tests.benchmarks.test\_report:evil" in latex
    assert all(line.count(" & ") == 8 for line in latex.splitlines() if line.endswith(r"\\"))


def test_names_are_text_in_tables(results: list[dict[str, Any]]) -> None:
    named = json.loads(json.dumps(results[0]))
    named["cell"]["name"] = "<b>|&_{}$^~\\"
    told = arrange([named])
    lines = tables.markdown(told).splitlines()
    assert lines[2].startswith("| &lt;b>&#124;&amp;_{}$^~\\ |") and lines[0].count("|") == lines[2].count("|")
    assert r"<b>|\&\_\{\}\$\textasciicircum{}\textasciitilde{}\textbackslash{} &" in tables.latex(told)


def browse(page: str, tmp_path: Path, script: str = "", width: int = 1280) -> str:
    """The page's document after its scripts ran, and ``script`` after them."""
    if BROWSER is None:
        pytest.skip("no Chromium on this machine: the page is not tried in a browser")
    path = tmp_path / "page.html"
    path.write_text(page.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=4000",
        f"--window-size={width},900",
    ]
    command = [BROWSER, *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_browser_shows_it(told: Standings, tmp_path: Path) -> None:
    dom = browse(html(told), tmp_path)
    opening = dom[: dom.index("<head>")]
    assert 'data-ready="yes"' in opening and "data-error" not in opening
    shown = re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL)
    assert not re.search(r"\[object |undefined|NaN", shown)
    for section, mark, least in (
        ("places", 'class="left who"', 4),
        ("heat", 'class="field"', 2 * 4),
        ("curve-grid", "<svg", 1),
        ("profile", "<path", 2 * 4),
        ("family-grid", "<svg", 7),
        ("against", 'class="field"', 4 * 4),
        ("episodes", 'class="token', 1),
        ("failures", "Traceback: &lt;lost&gt;", 1),
        ("origin", "<dt>", 5),
    ):
        inside = re.search(rf'id="{section}".*?(?=<section|<script|$)', shown, re.DOTALL)
        assert inside is not None and inside[0].count(mark) >= least, section


def test_thoughts_do_not_stand_for_other_words(results: list[dict[str, Any]], tmp_path: Path) -> None:
    forged = json.loads(json.dumps(results[:-1]))
    for result in forged:
        for evaluation in result["evaluations"].values():
            for transcript in evaluation["transcripts"]:
                if transcript["thoughts"]:
                    transcript["thoughts"]["turns"][0] = [["forged", -0.1, []], ["<end>", -0.1, []]]
                    transcript["messages"][1]["content"] = "really said"
    dom = browse(html(arrange(forged)), tmp_path)
    shown = re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL)
    assert "really said" in shown and "forged" not in shown


ACT = """
const pick = (label, value) => {
  const select = document.querySelector(`select[aria-label="${label}"]`);
  select.value = value;
  select.dispatchEvent(new Event("change"));
};
pick("family", "words");
root.dataset.columns = document.querySelectorAll("#heat thead th").length - 1;
const boxes = [...document.querySelectorAll("details.who input")];
boxes.find((each) => each.parentElement.textContent === "random").click();
root.dataset.rows = document.querySelectorAll("#places tbody tr").length;
pick("policies play", "sampled");
pick("against", "2");
document.querySelector("#against button").click();
root.dataset.verdict = document.getElementById("verdict").textContent;
const word = document.querySelector("#episodes .token");
word.dispatchEvent(new Event("mouseenter"));
root.dataset.tip = document.getElementById("tip").hidden ? "" : document.getElementById("tip").textContent;
const who = document.querySelector('select[aria-label="contestant"]');
pick("contestant", [...who.options].find((each) => each.textContent.endsWith("evil")).value);
const said = [...document.querySelector("#episodes .agent").firstChild.textContent];
root.dataset.said = JSON.stringify(said.map((each) => each.codePointAt()));
root.dataset.wide = document.documentElement.scrollWidth > innerWidth ? "too wide" : "fits";
"""


@pytest.mark.parametrize("width", [1280, 500])
def test_filters_and_tips_work(told: Standings, tmp_path: Path, width: int) -> None:
    opening = browse(html(told), tmp_path, ACT, width).partition("<head>")[0]
    assert "data-error" not in opening
    for name, value in (("columns", "1"), ("rows", "3"), ("wide", "fits")):
        assert f'data-{name}="{value}"' in opening, opening
    assert re.search(r'data-verdict="[^"]+ beats [^"]+ with probability [01]\.\d\d', opening)
    assert re.search(r'data-tip="probability[^"]*%', opening)
    said = re.search(r'data-said="([^"]*)"', opening)
    assert said is not None and "".join(map(chr, json.loads(said[1]))) == EVIL


def test_the_command(played: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["report", str(played), "--alone", "--out", str(page), "--title", "Mine"]) == 0
    assert str(page) in capsys.readouterr().out and "<h1>Mine</h1>" in page.read_text("utf-8")
    for name in tables.FORMATS:
        assert main(["report", str(played), "--alone", "--format", name]) == 0
        assert "expert" in capsys.readouterr().out
    assert main(["report", str(played), "--alone", "--compare", "expert", "random"]) == 0
    out = capsys.readouterr().out
    assert "expert against random" in out and "1.00 [1.00,1.00]" in out
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- benchmark:start -->\nold\n<!-- benchmark:end -->\nb\n")
    assert main(["report", str(played), "--alone", "--readme", str(readme)]) == 0
    text = readme.read_text()
    assert text.startswith("a\n<!-- benchmark:start -->\n| contestant |") and text.endswith(
        "<!-- benchmark:end -->\nb\n"
    )
    assert "old" not in text and "sampled" not in text
    readme.write_text("no marks")
    assert main(["report", str(played), "--readme", str(readme)]) == 2
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert main(["report", str(played), "--alone", "--compare", "expert", "nobody"]) == 2
    err = capsys.readouterr().err
    assert "lacks the marks" in err and "no results at" in err and "no contestant 'nobody'" in err


def test_committed_results_stand_beside_own_ones(played: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    committed = [
        run_cell(cell) for cell in small_suite(players=("imperfect:0.2",), seeds=1, ids=(GUESS, "TextMaze-v0")).cells()
    ]
    storage.write_submission(tmp_path / "committed" / "a.jsonl.xz", committed)
    monkeypatch.setattr(storage, "COMMITTED", tmp_path / "committed")
    beside = standings.load([played])
    assert {each.name for each in beside.entries} == {"random", "expert", "imperfect:0.2"}
    assert {task.env_id for task in beside.tasks} == {GUESS, BANDIT}, "only where there is something of one's own"
    assert {each.name for each in standings.load([played], baselines=False).entries} == {"random", "expert"}
    assert {task.env_id for task in standings.load([]).tasks} == {GUESS, "TextMaze-v0"}
