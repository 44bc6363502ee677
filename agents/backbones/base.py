"""What every kind of backbone offers to policies, buffers and learners."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from agents.memory.branches import Branches
from agents.memory.packed import pad_sequences


class HiddenCache(Protocol):
    """Hidden states at the ends of ``rows`` growing token sequences, without computing again what is known."""

    ids: Tensor
    lengths: Tensor  # (rows,)

    def last_hidden(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """``(rows, hidden)`` of right-padded ``ids`` ``(rows, tokens)`` with ``lengths`` ``(rows,)``, each at least 1;
        without gradient."""

    def beyond(self, found: Branches) -> Tensor | None:
        """``(nodes beyond the contexts, hidden)`` of branches, each step of which is a row as it was last read; without
        gradient. ``None`` where contexts have to be read anew for it."""


class Backbone(nn.Module, ABC):
    """A language model of ``transformers`` behind one interface.

    ``states`` is the heart of it: what the model knows after the first tokens of a sequence, from which ``logits``
    predicts the next one. It never depends on later tokens, on padding or on the other sequences of the batch, so
    that packed, cached and plain reading give the same numbers.

    Args:
        model: a ``transformers`` model with a language-model head.
        frozen: keep every weight of the model fixed; only heads on top of it learn.
        autocast: dtype that the forward pass runs in (``torch.bfloat16``) while weights and results stay float32.

    Attributes:
        kind: what ``load_backbone(kind=...)`` calls it.
        model_type: of the configuration that is meant where none is named.
        auto_class: the class of ``transformers`` that reads its folders.
        keeps: types that its weights may be kept in while they do not learn, beside float32.
        own_ids: ids that it needs for itself, which the environment's tokenizer may use for nothing else.

    Raises:
        ValueError: the model has no language-model head.
    """

    kind: ClassVar[str]
    model_type: ClassVar[str]
    auto_class: ClassVar[str] = "AutoModelForCausalLM"
    keeps: ClassVar[tuple[torch.dtype, ...]] = ()
    own_ids: tuple[int, ...] = ()

    def __init__(self, model: Any, frozen: bool = False, autocast: torch.dtype | None = None) -> None:
        super().__init__()
        if model.get_output_embeddings() is None:
            raise ValueError(f"{type(model).__name__} has no language-model head: load it with {self.auto_class}")
        self.model = model
        self.frozen = frozen
        self.autocast = autocast
        if frozen:
            self.model.requires_grad_(False)
        self.eval()

    @classmethod
    @abstractmethod
    def reads(cls, config: Any) -> bool:
        """Whether models with this configuration are of this kind."""

    @classmethod
    def from_pretrained(cls, name_or_path: str, dtype: torch.dtype = torch.float32) -> Any:
        """The model in a folder, or of a Hugging Face name, with weights in ``dtype``."""
        import transformers

        return getattr(transformers, cls.auto_class).from_pretrained(name_or_path, dtype=dtype)

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """A model with random weights."""
        import transformers

        return getattr(transformers, cls.auto_class).from_config(config, dtype=torch.float32)

    @classmethod
    def with_adapters(cls, model: Any, lora: Mapping[str, Any]) -> Any:
        """The model with low-rank adapters in its linear layers; ``lora`` are keywords of ``peft.LoraConfig``."""
        try:
            from peft import LoraConfig, get_peft_model
        except ImportError as error:
            raise ImportError("LoRA needs the package peft: pip install 'textenvs[lora]'") from error
        settings = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear", **lora}
        # The adapters live inside the model's own layers, so the plain model is all that is needed.
        return get_peft_model(model, LoraConfig(**settings)).get_base_model()

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return int(self.model.config.hidden_size)

    @property
    def vocab_size(self) -> int:
        """Number of next-token logits."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    @property
    def max_length(self) -> int | None:
        """Longest sequence that can be read, or ``None`` where the model names no limit."""
        limit = getattr(self.model.config, "max_position_embeddings", None)
        return None if limit is None or limit < 0 else int(limit)

    def train(self, mode: bool = True) -> Backbone:
        """Stay in evaluation mode whatever is asked: dropout between rollout and update would clip most samples
        of PPO before any learning (with p = 0.1 the mean |log ratio| of a 31-token utterance is 0.28)."""
        return super().train(False)

    def running(self, ids: Tensor) -> torch.autocast:
        """The context in which the model runs: in ``autocast`` where one was asked for."""
        dtype, enabled = self.autocast or torch.bfloat16, self.autocast is not None
        return torch.autocast(ids.device.type, dtype=dtype, enabled=enabled)

    @abstractmethod
    def states(self, ids: Tensor, segment: Tensor, position: Tensor) -> Tensor:
        """Hidden states ``(steps, hidden)`` float32 after the first tokens of sequences.

        Args:
            ids: ``(sequences, tokens)`` int64, right-padded with whatever.
            segment: ``(steps,)`` int64, the sequence of each step.
            position: ``(steps,)`` int64, the last token that the step may depend on.
        """

    def branched(self, ids: Tensor, segment: Tensor, position: Tensor, found: Branches) -> Tensor:
        """``states`` and behind them those at the nodes of ``found`` that lie beyond the contexts, ``(steps + such
        nodes, hidden)``."""
        return torch.cat([self.states(ids, segment, position), self.beyond(ids, segment, position, found)])

    def beyond(self, ids: Tensor, segment: Tensor, position: Tensor, found: Branches) -> Tensor:
        """Hidden states ``(nodes beyond the contexts, hidden)``, each of its context and its path read anew."""
        paths, steps = found.paths(), found.node_steps[found.nodes >= 0]
        if not paths:
            return torch.zeros(0, self.hidden_size, device=ids.device)
        contexts, segments, last = (each.cpu().numpy() for each in (ids, segment, position))
        rows = [
            np.concatenate([contexts[segments[step], : last[step] + 1], path])
            for step, path in zip(steps.tolist(), paths, strict=True)
        ]
        lengths = torch.tensor([len(row) for row in rows], device=ids.device)
        read = pad_sequences(rows, 0, ids.device)
        return self.states(read, torch.arange(len(rows), device=ids.device), lengths - 1)

    def forward(self, ids: Tensor) -> Tensor:
        """``states`` at every place of ``ids``: ``(sequences, tokens, hidden)``."""
        sequences, tokens = ids.shape
        segment = torch.arange(sequences, device=ids.device).repeat_interleave(tokens)
        position = torch.arange(tokens, device=ids.device).repeat(sequences)
        return self.states(ids, segment, position).unflatten(0, (sequences, tokens))

    @abstractmethod
    def new_cache(self, rows: int, length: int) -> HiddenCache:
        """An empty cache for ``rows`` sequences of up to ``length`` tokens."""

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits ``(..., vocabulary)`` float32 from hidden states ``(..., hidden)``."""
        head = self.model.get_output_embeddings()
        return head(hidden.to(head.weight.dtype)).float()
