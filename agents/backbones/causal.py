"""Causal language models (GPT-2, Llama, Qwen, SmolLM ...): hidden states and next-token logits for padded ids."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from agents.backbones.base import Backbone, HiddenCache
from agents.backbones.decoder import Decoder
from agents.memory.branches import Branches
from agents.memory.cache import ContextCache, FlatCache, RowCache
from agents.memory.layout import Layout

_KNOWN = ("gpt2",)  # to be read by RowCache as by itself
_LONGEST = 1 << 62
_EXACT, _ROUGH = 5e-3, 0.05  # of the largest number: how far apart the same states may be, in float32 and in others


class CausalBackbone(Backbone):
    """A Hugging Face causal language model.

    Ids are right-padded. A causal model's hidden state at a real position depends on nothing to its right, so
    padding needs no mask and positions are plain ``0, 1, 2 ...``; this is what makes packed training exact.

    Models of the Llama family are read by ``Decoder``, unless they are loaded with another attention than
    ``"sdpa"``; any other one by its own ``forward``. Set to ``"eager"`` later, they give second derivatives, too.
    """

    kind = "causal"
    model_type = "llama"
    keeps = (torch.bfloat16,)

    def __init__(self, model: Any, frozen: bool = False, autocast: torch.dtype | None = None) -> None:
        super().__init__(model, frozen, autocast)
        self._decoder = Decoder(model) if Decoder.reads(model) else None
        # Whether ``RowCache`` does, and up to which length that has been tried.
        self._by_rows, self._tried = True, _LONGEST if model.config.model_type in _KNOWN else 0

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

    @property
    def decoder(self) -> Decoder | None:
        """The model's layers over flat tokens, where it is of a family that ``Decoder`` knows."""
        return self._decoder if self.model.config._attn_implementation in ("sdpa", "eager") else None

    def states(self, ids: Tensor, segment: Tensor, position: Tensor) -> Tensor:
        """One pass over the sequences gives every step; what several of them begin with is read once."""
        decoder = self.decoder
        if decoder is None:
            return self(ids)[segment, position]
        return self._run(decoder, Layout(ids, segment, position))

    def branched(self, ids: Tensor, segment: Tensor, position: Tensor, found: Branches) -> Tensor:
        """As ``Backbone.branched``, in one pass in which the contexts are read once."""
        if self.decoder is None:
            return super().branched(ids, segment, position, found)
        return self._run(self.decoder, Layout(ids, segment, position, found))

    def _run(self, decoder: Decoder, layout: Layout) -> Tensor:
        # By what has second derivatives, where there are to be any.
        twice = torch.is_grad_enabled() and self.model.config._attn_implementation == "eager"
        hidden = None if twice or self.autocast else decoder.read(layout)
        if hidden is None:
            given = layout.tokens, layout.positions, layout.attend(decoder.scale), layout.wanted
            with self.running(layout.tokens), sdpa_kernel(SDPBackend.MATH) if twice else nullcontext():
                hidden = decoder.run(*given, twice)
        return hidden if layout.which is None else hidden[layout.which]

    def logits(self, hidden: Tensor) -> Tensor:
        """As ``Backbone.logits``; while generating, from the weights that were laid out for it."""
        if not torch.is_grad_enabled() and self._decoder is not None:
            found = self._decoder.head(hidden)
            if found is not None:
                return found
        return super().logits(hidden)

    def new_cache(self, rows: int, length: int) -> HiddenCache:
        """An empty cache for ``rows`` sequences of up to ``length`` tokens: of keys and values, unless the model keeps
        something else.

        Raises:
            ValueError: the model is not causal.
        """
        if self.decoder is not None:
            return FlatCache(self, self.decoder, rows, length)
        if self._by_rows and self._tried < length:
            self._by_rows, self._tried = self._try_cache(length), length
        return RowCache(self, rows, length) if self._by_rows else ContextCache(self, rows, length)

    @torch.no_grad()
    def _try_cache(self, length: int) -> bool:
        """Whether rows of their own lengths, up to ``length``, can be cached: there are models that count places by
        themselves, keep other things than keys and values, or look back in ways of their own."""
        length = max(length, 8)
        lengths = torch.tensor([[length - 1, 2], [length, 5], [1, 6]], device=self.device)  # both grow, one begins anew
        ids = torch.arange(1, 2 * length + 1, device=self.device).view(2, length) % self.vocab_size
        rows = torch.arange(2, device=self.device)
        expected = self.states(ids, rows.repeat(3), lengths.flatten() - 1)
        kind = f"a {self.model.config.model_type} model of this configuration"
        exact = self.autocast is None and {each.dtype for each in self.parameters()} == {torch.float32}

        def alike(one: Tensor, other: Tensor) -> bool:
            return bool((one - other).abs().max() <= (_EXACT if exact else _ROUGH) * other.abs().max())

        if not alike(self.states(ids[1:, :2], rows[:1], lengths[0, 1:] - 1), expected[1:2]):
            raise ValueError(
                f"{kind} is not causal, as what it makes of a token depends on later ones: its configuration may need "
                "is_decoder=True"
            )
        try:
            cache = RowCache(self, 2, length)
            if alike(torch.cat([cache.last_hidden(ids, each) for each in lengths]), expected):
                return True
        except Exception:  # whatever a model does that was not made for this
            pass
        warnings.warn(
            f"what {kind} keeps of a context cannot be cached by rows: every new token reads its context anew",
            stacklevel=3,
        )
        return False
