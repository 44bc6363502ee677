"""Write one page per environment from its class docstring, and the catalogue: ``python docs/gen_pages.py``."""

import inspect
import re
from pathlib import Path

import textenvs
from textenvs.env import load_game
from textenvs.registration import spec

OUT = Path(__file__).parent / "environments"


def main() -> None:
    """Write ``docs/environments/``."""
    OUT.mkdir(exist_ok=True)
    rows = ["# Environments", "", "| id | family | levels | turns at medium |", "|---|---|---|---|"]
    for id in textenvs.ids():
        game = load_game(spec(id).entry)
        title, _, body = inspect.getdoc(game).partition("\n")
        # docstrings spell code as reStructuredText does
        body = re.sub(r"(?<!`)``(?!`)", "`", body)
        (OUT / f"{id}.md").write_text(f"# {title}\n{body}\n", encoding="utf-8")
        turns = game(**game.levels["medium"]).max_turns
        rows.append(f"| [{id}]({id}.md) | {spec(id).family} | {', '.join(game.levels)} | {turns} |")
    (OUT / "index.md").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
