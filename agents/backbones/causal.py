"""Causal language models (GPT-2, Llama, Qwen, SmolLM ...): hidden states and next-token logits for padded ids."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from agents.backbones.base import Backbone
from agents.memory.cache import RowCache


class CausalBackbone(Backbone):
    """A Hugging Face causal language model.

    Ids are right-padded. A causal model's hidden state at a real position depends on nothing to its right, so
    padding needs no mask and positions are plain ``0, 1, 2 ...``; this is what makes packed training exact.
    """

    kind = "causal"
    model_type = "llama"

    @classmethod
    def reads(cls, config: Any) -> bool:
        """Any model with a causal head: ``load_backbone`` asks this kind last."""
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

        return config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not config.is_encoder_decoder

    @classmethod
    def with_adapters(cls, model: Any, lora: Any) -> Any:
        """The model with low-rank adapters; ``lora`` are keywords of ``peft.LoraConfig``."""
        return super().with_adapters(model, {"task_type": "CAUSAL_LM", **lora})

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return int(self.model.get_output_embeddings().weight.shape[1])

    def forward(self, ids: Tensor, cache: RowCache | None = None, **keywords: Any) -> Tensor:
        """Hidden states ``(batch, tokens, hidden)`` float32 of right-padded ``ids`` ``(batch, tokens)`` int64.

        With a cache, ``keywords`` are the ``attention_mask`` and ``position_ids`` that the cache makes.
        """
        with self.running(ids):
            output = self.model.base_model(
                input_ids=ids, past_key_values=cache, use_cache=cache is not None, return_dict=True, **keywords
            )
        return output.last_hidden_state.float()

    def states(self, ids: Tensor, segment: Tensor, position: Tensor) -> Tensor:
        """One pass over the sequences gives every step."""
        return self(ids)[segment, position]

    def new_cache(self, rows: int, length: int) -> RowCache:
        """An empty key-value cache for ``rows`` sequences of up to ``length`` tokens."""
        return RowCache(self, rows, length)
