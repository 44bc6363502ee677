"""A recurrent language model (GRU), from scratch: the small baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from agents.backbones.base import Backbone
from agents.memory.cache import RecurrentCache


class GRUConfig(PreTrainedConfig):
    """Configuration of ``GRULanguageModel``.

    Args:
        vocab_size: number of tokens.
        hidden_size: width of embeddings and of the recurrent state.
        num_hidden_layers: layers of the GRU.
        keywords: those of every Hugging Face configuration.
    """

    model_type = "gru"

    def __init__(
        self, vocab_size: int = 2048, hidden_size: int = 128, num_hidden_layers: int = 1, **keywords: Any
    ) -> None:
        self.vocab_size, self.hidden_size, self.num_hidden_layers = vocab_size, hidden_size, num_hidden_layers
        super().__init__(**keywords)


class GRULanguageModel(PreTrainedModel):
    """Embeddings, a GRU (Cho et al. 2014) and a head tied to the embeddings; saved and read like any other model."""

    config_class = GRUConfig
    base_model_prefix = "gru"
    _tied_weights_keys = {"head.weight": "embeddings.weight"}  # noqa: RUF012

    def __init__(self, config: GRUConfig) -> None:
        super().__init__(config)
        size = config.hidden_size
        self.embeddings = nn.Embedding(config.vocab_size, size)
        self.gru = nn.GRU(size, size, config.num_hidden_layers, batch_first=True)
        self.head = nn.Linear(size, config.vocab_size)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        size = self.config.hidden_size
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=size**-0.5)
        elif isinstance(module, nn.GRU):
            for weight in module.parameters():
                nn.init.uniform_(weight, -(size**-0.5), size**-0.5)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def get_input_embeddings(self) -> nn.Embedding:
        """Embeddings of tokens."""
        return self.embeddings

    def get_output_embeddings(self) -> nn.Linear:
        """The head, whose weights are those of the embeddings."""
        return self.head

    def forward(self, input_ids: Tensor) -> Tensor:
        """Hidden states ``(batch, tokens, hidden)`` of ids ``(batch, tokens)``."""
        return self.gru(self.embed(input_ids))[0]

    def embed(self, input_ids: Tensor) -> Tensor:
        """What the GRU reads, of unit variance at the start, ``(..., hidden)``, for ids ``(...)``."""
        return self.embeddings(input_ids) * math.sqrt(self.config.hidden_size)


AutoConfig.register("gru", GRUConfig)
AutoModelForCausalLM.register(GRUConfig, GRULanguageModel)


class RecurrentBackbone(Backbone):
    """A GRU: one pass over a sequence gives every step, and its state is all that has to be kept of the past."""

    kind = "recurrent"
    model_type = "gru"

    @classmethod
    def reads(cls, config: Any) -> bool:
        """The GRU of this module."""
        return config.model_type == "gru"

    @classmethod
    def with_adapters(cls, model: Any, lora: Mapping[str, Any]) -> Any:
        """Refused."""
        raise ValueError("a GRU has no linear layers for LoRA to adapt: train it whole, or frozen with heads")

    @property
    def max_length(self) -> None:
        """No limit."""
        return None

    def states(self, ids: Tensor, segment: Tensor, position: Tensor) -> Tensor:
        """One pass over the sequences gives every step."""
        return self(ids)[segment, position]

    def forward(self, ids: Tensor) -> Tensor:
        """Hidden states ``(batch, tokens, hidden)`` float32 of right-padded ``ids`` ``(batch, tokens)`` int64."""
        with self.running(ids):
            return self.model(ids).float()

    def advance(self, ids: Tensor, lengths: Tensor, state: Tensor) -> Tensor:
        """The state ``(layers, rows, hidden)`` float32 after ``ids`` ``(rows, tokens)``, right-padded, of which each
        row has ``lengths`` ``(rows,)``, at least 1."""
        with self.running(ids):
            embedded = self.model.embed(ids)
            packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
            return self.model.gru(packed, state.to(embedded.dtype))[1].float()

    def new_cache(self, rows: int, length: int) -> RecurrentCache:
        """An empty cache of recurrent states for ``rows`` sequences of up to ``length`` tokens."""
        return RecurrentCache(self, rows, length)
