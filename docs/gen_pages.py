"""Write one page per environment and per learner, the catalogue and the leaderboard: ``python docs/gen_pages.py``.

A game's page is its own docstring, with its measured scores and an episode that its expert plays now.
"""

import re
import textwrap
from pathlib import Path
from typing import Any

import textenvs
from agents.learners import LEARNERS
from agents.learners.pages import page
from benchmarks import learning, report, standings, tables
from textenvs import pages
from textenvs.env import load_game
from textenvs.game import Game
from textenvs.recording import expert_who_errs, record
from textenvs.registration import spec
from textenvs.scores import table

OUT = Path(__file__).parent / "environments"
LEARNERS_OUT = Path(__file__).parent / "learners"
LEADERBOARD_OUT = Path(__file__).parent / "leaderboard"
TEMPLATE = Path(__file__).with_name("catalogue.html")
HORIZONS = ((10, "up to 10"), (30, "11 to 30"), (100, "31 to 100"), (10**9, "over 100"))
LEARNING_COMMAND = "python -m benchmarks learning"
TURNS = 15  # of an episode that are shown


def main() -> None:
    """Write ``docs/environments/``, ``docs/learners/`` and ``docs/leaderboard/``."""
    write_environments()
    write_learners()
    write_leaderboard()


def write_learners() -> None:
    """The pages of the learners with what each learned, and their list."""
    LEARNERS_OUT.mkdir(exist_ok=True)
    measured = learning.read()
    listing = ["# Learners", "", "| name | action levels | when to use it |", "|---|---|---|"]
    for name, learner in sorted(LEARNERS.items()):
        rows = [row for row in measured if row["learner"] == name]
        (LEARNERS_OUT / f"{name}.md").write_text("\n".join([page(name), *learned(name, rows)]), encoding="utf-8")
        listing.append(f"| [{name}]({name}.md) | {', '.join(learner.levels)} | {learner.when} |")
    command = f"{LEARNING_COMMAND} --out benchmarks/learning.json"
    told = [learning.markdown(measured, link=True), "", learning.notes(measured, command), ""]
    told += [learning.missing(measured), ""]
    listing += ["", "## What each one learned", "", *told]
    (LEARNERS_OUT / "index.md").write_text("\n".join(listing), encoding="utf-8")


def learned(name: str, rows: list[dict[str, Any]]) -> list[str]:
    """A section of a learner's page, as lines: its rows of the table and the settings that made them."""
    if not rows:
        return []
    lines = ["## What it learned", "", learning.markdown(rows), ""]
    for row in rows:
        settings = f"`{row['settings']}`" if row["settings"] else "its defaults"
        lines.append(
            f"- {row['case']}: `env_kwargs={row['env_kwargs']}`, backbone `{row['backbone']}`, settings {settings}."
        )
    return [*lines, "", learning.notes(rows, f"{LEARNING_COMMAND} --learners {name}"), ""]


def write_leaderboard() -> None:
    """The committed results as tables, and as the page that ``python -m benchmarks report`` makes."""
    LEADERBOARD_OUT.mkdir(exist_ok=True)
    found = standings.load([])
    (LEADERBOARD_OUT / "report.html").write_text(report.html(found, "Reference results"), encoding="utf-8")
    leaderboard, _, matrix = tables.markdown(found).partition("\n\n")
    parts = [
        "---\nhide: [toc]\n---",
        "# Leaderboard",
        "Means with 95% intervals over the games of the suite `core`; random play scores 0, a game's expert 100. [What "
        "the columns mean, how the results were made, and how to add a row](../benchmarks.md). [The same with learning "
        "curves, profiles, pairs and whole episodes](report.html).",
        leaderboard,
        "## Every learner on every game",
        "Mean scores. A learner plays at the first of its action levels that a game has.",
        matrix,
    ]
    (LEADERBOARD_OUT / "index.md").write_text("\n\n".join(parts), encoding="utf-8")


def write_environments() -> None:
    """The pages of the games, and the catalogue."""
    OUT.mkdir(exist_ok=True)
    rows = []
    for id in textenvs.ids():
        game = load_game(spec(id).entry)
        title, _, body = pages.page(game).partition("\n")
        # docstrings spell code as reStructuredText does
        body = re.sub(r"(?<!`)``(?!`)", "`", body)
        parts = [
            f"# {title}",
            facts(id, game),
            body,
            "## An episode of the expert",
            episode(id),
            "## Scores",
            scores(id),
        ]
        (OUT / f"{id}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        rows.append(row(id, game))
    listing = TEMPLATE.read_text("utf-8")
    for name, options in (
        ("families", sorted({spec(id).family for id in textenvs.ids()})),
        ("horizons", [name for _, name in HORIZONS]),
        ("optima", sorted(pages.OPTIMA.values())),
    ):
        listing = listing.replace(f"<!-- {name} -->", "".join(f"<option>{option}</option>" for option in options))
    listing = listing.replace("<!-- rows -->", "\n".join(rows))
    (OUT / "index.md").write_text(f"# Environments\n\n{listing}", encoding="utf-8")


def facts(id: str, game: type[Game]) -> str:
    """What the catalogue tells of a game, in a line."""
    medium = game(**game.levels["medium"])
    choices = f"up to {medium.max_choices}" if medium.max_choices else "no list of"
    about = f"Family **{spec(id).family}**; levels {', '.join(game.levels)}; {medium.max_turns} turns at medium"
    return f"{about}; {choices} admissible utterances; {pages.optimum(game)} expert."


def episode(id: str) -> str:
    """A real episode, of which the first turns are shown."""
    (played,) = record(id, "expert", expert_who_errs(), 1, seed=0)
    said = [f"> {each['content']}" if each["role"] == "assistant" else each["content"] for each in played.messages]
    shown = said if len(said) <= 2 * TURNS + 1 else [*said[: 2 * TURNS - 2], "...", *said[-3:]]
    lines = [line for text in shown for part in text.splitlines() or [""] for line in textwrap.wrap(part, 110) or [""]]
    made = f"`gymnasium.make({id!r})`, `reset(options={{'episode_seed': {played.episode_seed}}})`"
    fence = "~~~~"
    return f"{made}; return {sum(played.rewards):.2f} in {len(played.rewards)} turns.\n\n{fence}text\n" + "\n".join(
        [*lines, fence]
    )


def scores(id: str) -> str:
    """The measured scores as a table."""
    lines = ["| level | random | expert | expert wins | instances |", "|---|---|---|---|---|"]
    for level, measured in table()[id].items():
        means = [f"{measured[who]['mean']:.3f} ± {1.96 * measured[who]['sem']:.3f}" for who in ("random", "expert")]
        wins = measured["expert"]["success"]
        told = "one task" if measured["instances"] is None else f"{measured['instances']} of {measured['episodes']}"
        lines.append(f"| {level} | {means[0]} | {means[1]} | {'-' if wins is None else f'{wins:.1%}'} | {told} |")
    return "\n".join(lines) + (
        "\n\nMean returns with 95% intervals over test episodes (`python -m textenvs.scores`), and how many of these "
        "episodes were different instances."
    )


def row(id: str, game: type[Game]) -> str:
    """A game's row of the catalogue."""
    medium, means = game(**game.levels["medium"]), table()[id]["medium"]
    horizon = next(name for most, name in HORIZONS if medium.max_turns <= most)
    summary = pages.page(game).partition("\n")[0].partition(": ")[2]
    cells = (
        f'<a href="{id}/">{id}</a><br><small>{summary}</small>',
        spec(id).family,
        medium.max_turns,
        medium.max_choices or "-",
        pages.optimum(game),
        f"{means['random']['mean']:.2f}",
        f"{means['expert']['mean']:.2f}",
    )
    data = f'data-family="{spec(id).family}" data-horizon="{horizon}" data-optimum="{pages.optimum(game)}"'
    return f"<tr {data}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


if __name__ == "__main__":
    main()
