"""A language model that answers, found by name: ``tiny``, a run of ``agents train``, a folder, a ``.gguf`` file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.speaking.decoder import Decoder
from agents.speaking.layout import Layout
from textenvs.tokens.tokenizer import ByteTokenizer, Tokenizer, load_tokenizer

_LIMIT = 2048  # ids of a context and its reply, where neither the model nor the user sets fewer
_PROBE = "user: what area would you like?"


@dataclass
class Speaker:
    """A language model with the layout of its dialogues.

    Attributes:
        name: what reports call it.
        backbone: the model.
        layout: how messages become its ids.
        learner: the learner that it was trained by, where it comes from a checkpoint.
    """

    name: str
    backbone: Any
    layout: Layout
    learner: Any = None

    @property
    def tokenizer(self) -> Tokenizer:
        """Strings <-> ids."""
        return self.layout.tokenizer

    @property
    def reads_prose(self) -> bool:
        """Whether the model may have learned from more than games: its vocabulary is not the shipped one."""
        shipped = load_tokenizer()
        same = all(getattr(self.tokenizer, name) == getattr(shipped, name) for name in ("vocab_size", "opening_prefix"))
        return not (same and self.tokenizer.encode(_PROBE) == shipped.encode(_PROBE))

    def decoder(self, rows: int, limit: int | None = None) -> Decoder:
        """What writes ``rows`` replies side by side, each with its context in at most ``limit`` ids."""
        return Decoder(self.backbone, self.tokenizer, rows, _LIMIT if limit is None else limit)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model: to a ``.pt`` file the learner it comes from, else a plain Hugging Face folder.

        Raises:
            ValueError: see ``check_savable``.
        """
        self.check_savable(path)
        from agents.checkpoint import save, write_folder

        path = Path(path)
        if path.suffix == ".pt":
            return save(self.learner, path)
        write_folder(self.backbone.model, self._source(), path)
        return path

    def check_savable(self, path: str | os.PathLike[str]) -> None:
        """Raise what ``save`` would.

        Raises:
            ValueError: a ``.pt`` file is asked for and the model comes from no checkpoint; a folder, and it comes from
                a ``frozen`` run; or ``path`` is a file.
        """
        path = Path(path)
        if path.suffix == ".pt":
            if self.learner is None:
                raise ValueError(f"only a model from a checkpoint can be saved as one: give a folder instead of {path}")
        elif path.is_file():
            raise ValueError(f"{path} is a file: give a folder")
        else:
            _ = self.backbone.model  # which a frozen run has none of to write

    def _source(self) -> Any:
        if isinstance(self.tokenizer, ByteTokenizer):
            from agents.backbones.tokenizers import shipped_tokenizer

            return shipped_tokenizer()
        return self.layout.raw


def load_speaker(
    target: Any,
    lora: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    device: str | None = None,
    frozen: bool = False,
) -> Speaker:
    """The language model that ``target`` names.

    Args:
        target: a checkpoint of ``agents train`` or its folder, or what ``agents.load_backbone`` takes by name; or a
            ``Speaker``, which is returned as it is.
        lora: keywords of ``peft.LoraConfig``: adapters learn and the model stays fixed. Not for a checkpoint.
        dtype: ``"bfloat16"`` runs the model in that type. Not for a checkpoint.
        device: where it computes; ``None`` for a GPU where there is one, for a checkpoint as in ``agents.load``.
        frozen: the model will not learn, so that its weights are kept in ``dtype``, too. Nothing to a checkpoint.

    Raises:
        ValueError, FileNotFoundError: no such model or device; the message says what there is.
    """
    if isinstance(target, Speaker):
        return target
    from agents.backbones import TINY, load_backbone
    from agents.backbones.loading import find_device
    from agents.learners.table import tokenizer_of
    from agents.runs import checkpoint_file, load_run, run_name

    target = os.fspath(target)
    file = checkpoint_file(target)
    if file is None:
        place = find_device(device or "auto")
        source = "textenvs" if target == TINY else tokenizer_of(target)
        backbone = load_backbone(target, lora=lora, dtype=dtype, frozen=frozen).to(place)
        return Speaker(Path(target).name, backbone, Layout(source))
    if lora is not None or dtype is not None:
        raise ValueError("a checkpoint brings its own lora and dtype: give them for a model only")
    learner: Any = load_run(str(file), device)
    reader = learner.policy.reader if hasattr(learner.policy, "reader") else learner.policy.q_net.reader
    source = learner.get_env().get_attr("tokenizer", 0)[0]
    if not isinstance(source, ByteTokenizer):
        from agents.checkpoint import _tokenizer

        source = _tokenizer(learner)
    return Speaker(run_name(file), reader.speaking, Layout(source), learner)
