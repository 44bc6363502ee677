"""Every Python example of the README runs as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

from textenvs import registration

ROOT = Path(__file__).parent.parent
EXAMPLES = re.findall(r"## ([^\n]+)\n+```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize(("title", "code"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_example_runs(title: str, code: str, tmp_path: Path, monkeypatch: Any, request: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registration, "_table", dict(registration._table))  # an example adds a game
    if "SmolLM2" in code:
        code = code.replace("HuggingFaceTB/SmolLM2-135M-Instruct", request.getfixturevalue("hub_model"))
    exec(compile(code, title, "exec"), {"__name__": "example"})


def test_there_is_an_example_of_each_kind() -> None:
    assert len(EXAMPLES) == 4


@pytest.fixture
def hub_model(tmp_path: Path) -> str:
    """A folder as a hub gives it: a random GPT-2 and a byte-level tokenizer, in place of a download."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(["<|endoftext|>", *alphabet])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder = tmp_path / "hub"
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>"
    ).save_pretrained(folder)
    config = GPT2Config(vocab_size=257, n_positions=256, n_embd=32, n_layer=1, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return str(folder)
