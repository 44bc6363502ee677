"""Tokenizers of ``transformers`` that belong to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textenvs.tokens.tokenizer import SHIPPED_FILE

_FILES = ("tokenizer*", "vocab*", "*.model")
_CHAT_TEMPLATE = (
    "{{ '<bos>' }}{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ '<agent>' + message['content'] + '<end>' }}{% else %}{{ '<env>' + message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<agent>' }}{% endif %}"
)


def read_tokenizer(name_or_path: str) -> Any:
    """The ``transformers`` tokenizer in a folder, or of a Hugging Face name.

    Raises:
        OSError, ValueError: there is none. (For a folder that holds only a model, ``transformers`` itself makes an
            empty one up.)
    """
    from transformers import AutoTokenizer

    folder = Path(name_or_path)
    if folder.is_dir() and not any(any(folder.glob(pattern)) for pattern in _FILES):
        raise OSError(f"{folder} holds no tokenizer")
    return AutoTokenizer.from_pretrained(name_or_path)


def shipped_tokenizer() -> Any:
    """The shipped tokenizer as one of ``transformers``, with a chat template that writes the same transcript."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_file=str(SHIPPED_FILE),
        bos_token="<bos>",
        eos_token="<end>",
        pad_token="<pad>",
        mask_token="<mask>",
        cls_token="<cls>",
        sep_token="<sep>",
        chat_template=_CHAT_TEMPLATE,
    )
