"""docs/add_a_backbone.md works as it stands, and its checker finds what is wrong."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.backbones import KINDS, CausalBackbone, load_backbone
from agents.backbones.check import check_backbone
from tests.agents.conftest import SMALL_BACKBONES

PAGE = (Path(__file__).parents[3] / "docs" / "add_a_backbone.md").read_text("utf-8")


def test_the_page_is_followed_literally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    blocks = re.findall(r"```python(?: title=\"([^\"]+)\")?\n(.*?)```", PAGE, re.DOTALL)
    assert [bool(title) for title, _ in blocks] == [True, False, False, False]
    known = dict(KINDS)
    names: dict[str, Any] = {"__name__": "example"}
    try:
        for title, code in blocks:
            if title:
                (tmp_path / title).write_text(code, "utf-8")
            else:
                exec(compile(code, "add_a_backbone.md", "exec"), names)
        assert names["again"].policy.q_net.reader.backbone.kind == "convolutional"
    finally:
        KINDS.clear()
        KINDS.update(known)
        sys.modules.pop("convolution", None)


@pytest.mark.parametrize("name", SMALL_BACKBONES)
def test_the_shipped_kinds_pass_the_check(name: str) -> None:
    torch.manual_seed(0)
    check_backbone(load_backbone(SMALL_BACKBONES[name]))


class LooksAhead(CausalBackbone):
    def forward(self, ids: torch.Tensor, *cache: Any, **keywords: Any) -> torch.Tensor:
        return super().forward(ids, *cache, **keywords) + 1e-2 * ids[:, -1:, None]


class ForgetsTheStart(CausalBackbone):
    def forward(self, ids: torch.Tensor, *cache: Any, **keywords: Any) -> torch.Tensor:
        return super().forward(torch.cat([torch.zeros_like(ids[:, :1]), ids[:, 1:]], dim=1), *cache, **keywords)


class StaleCache(CausalBackbone):
    def new_cache(self, rows: int, length: int) -> Any:
        cache = super().new_cache(rows, length)
        hidden: list[torch.Tensor] = []
        read = cache.last_hidden

        def last_hidden(ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            hidden.append(read(ids, lengths))
            return hidden[0]

        cache.last_hidden = last_hidden  # type: ignore[method-assign]
        return cache


@pytest.mark.parametrize(
    ("wrong", "what"), [(LooksAhead, "no look-ahead"), (ForgetsTheStart, "whole context"), (StaleCache, "a cache must")]
)
def test_the_check_finds_what_is_wrong(wrong: type[CausalBackbone], what: str) -> None:
    model: Any = load_backbone(SMALL_BACKBONES["gpt2"]).model
    with pytest.raises(ValueError, match=what):
        check_backbone(wrong(model))
