"""Causal language models (GPT-2, Llama, Qwen, SmolLM ...): hidden states and next-token logits for padded ids."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from agents.memory.cache import RowCache


class CausalBackbone(nn.Module):
    """A Hugging Face causal language model.

    Ids are right-padded. A causal model's hidden state at a real position depends on nothing to its right, so
    padding needs no mask and positions are plain ``0, 1, 2 ...``; this is what makes packed training exact.

    Args:
        model: any ``transformers`` model with a language-model head.
        frozen: keep every weight of the model fixed; only heads on top of it learn.
        autocast: dtype the forward pass runs in (``torch.bfloat16``) while weights and results stay float32.
    """

    def __init__(self, model: Any, frozen: bool = False, autocast: torch.dtype | None = None) -> None:
        super().__init__()
        if model.get_output_embeddings() is None:
            raise ValueError(f"{type(model).__name__} has no language-model head: load it with AutoModelForCausalLM")
        self.model = model
        self.frozen = frozen
        self.autocast = autocast
        if frozen:
            self.model.requires_grad_(False)
        self.eval()

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return int(self.model.get_output_embeddings().weight.shape[1])

    @property
    def vocab_size(self) -> int:
        """Number of next-token logits."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    @property
    def max_length(self) -> int | None:
        """Longest sequence the model has positions for, or ``None`` where it names no limit."""
        limit = getattr(self.model.config, "max_position_embeddings", None)
        return None if limit is None else int(limit)

    def train(self, mode: bool = True) -> CausalBackbone:
        """Stay in evaluation mode whatever is asked: dropout between rollout and update would clip most samples
        of PPO before any learning (with p = 0.1 the mean |log ratio| of a 31-token utterance is 0.28)."""
        return super().train(False)

    def forward(self, ids: Tensor, cache: RowCache | None = None, **keywords: Any) -> Tensor:
        """Hidden states ``(batch, tokens, hidden)`` float32 of right-padded ``ids`` ``(batch, tokens)`` int64.

        With a cache, ``keywords`` are the ``attention_mask`` and ``position_ids`` that the cache makes.
        """
        enabled = self.autocast is not None
        with torch.autocast(ids.device.type, dtype=self.autocast or torch.bfloat16, enabled=enabled):
            output = self.model.base_model(
                input_ids=ids, past_key_values=cache, use_cache=cache is not None, return_dict=True, **keywords
            )
        return output.last_hidden_state.float()

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits ``(..., vocabulary)`` float32 from hidden states ``(..., hidden)``."""
        head = self.model.get_output_embeddings()
        return head(hidden.to(head.weight.dtype)).float()

    def new_cache(self, rows: int, length: int) -> RowCache:
        """An empty key-value cache for ``rows`` sequences of up to ``length`` tokens."""
        return RowCache(self, rows, length)
