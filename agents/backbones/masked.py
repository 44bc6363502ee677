"""Masked language models (BERT, RoBERTa, MiniLM ...): a mask token stands where the next token goes."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

from agents.backbones.base import Backbone
from agents.backbones.tokenizers import read_tokenizer
from agents.memory.cache import ContextCache

_REMEMBERED = 100_000  # contexts of a frozen model; then it begins to forget
_MIXING = ("convbert", "fnet", "mra", "nystromformer", "yoso")  # what they make of a row depends on its padding
_CHUNK = 8192  # tokens read at once; of more, activations are computed again for the gradient instead of kept


class MaskedBackbone(Backbone):
    """A Hugging Face masked language model that writes from left to right.

    Each step is a row of its own, its context with a mask token behind it, read in both directions; the hidden state
    at the mask is the step's, and the masked-language-model head predicts the next token from it (Wang and Cho 2019,
    "BERT has a Mouth, and It Must Speak"). Nothing of a row is behind its step, so there is no look-ahead. Equal
    contexts of a batch are read once, rows of like length together; a frozen model remembers what it has read.

    A sentence encoder, which has no such head, gets a fresh one, and its state is what it was trained to tell: the mean
    over the row (``config.pooling = "mean"``).

    Args:
        model: a masked language model whose ``config.mask_token_id`` names the mask token.
        frozen: keep every weight of the model fixed; only heads on top of it learn.
        autocast: dtype that the forward pass runs in.

    Raises:
        ValueError: the model has no head, or its configuration names no mask token.
    """

    kind = "masked"
    model_type = "bert"
    auto_class = "AutoModelForMaskedLM"

    def __init__(self, model: Any, frozen: bool = False, autocast: torch.dtype | None = None) -> None:
        super().__init__(model, frozen, autocast)
        mask_id = getattr(model.config, "mask_token_id", None)
        if mask_id is None:
            raise ValueError(
                "a masked language model needs its mask token: set config.mask_token_id, or put its tokenizer, with "
                "one, into the same folder"
            )
        self.mask_id = int(mask_id)
        self.own_ids = (self.mask_id,)
        self._memory: dict[bytes, Tensor] = {}  # of a frozen model: contexts' ids -> states
        self._memory_version = -1
        self._first_position = _first_position(model)

    @classmethod
    def reads(cls, config: Any) -> bool:
        """Encoders: whatever ``AutoModelForMaskedLM`` knows, is not made a decoder, and does not mix padding in."""
        from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

        decodes = config.is_encoder_decoder or getattr(config, "is_decoder", False)
        apart = config.model_type not in _MIXING
        return config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and apart and not decodes

    @classmethod
    def from_pretrained(cls, name_or_path: str, dtype: torch.dtype = torch.float32) -> Any:
        """The model in a folder; one without a masked-language-model head gets a fresh one, with a warning."""
        from transformers import AutoModelForMaskedLM

        model, found = AutoModelForMaskedLM.from_pretrained(name_or_path, dtype=dtype, output_loading_info=True)
        head = {name for name, _ in model.named_parameters() if not name.startswith(f"{model.base_model_prefix}.")}
        if head <= {*found["missing_keys"]}:
            warnings.warn(
                f"{name_or_path} has no masked-language-model head: it gets a fresh one, tied to its embeddings, that "
                "has to learn which words to write; heads for values and choices do not need it",
                stacklevel=4,
            )
            model.config.pooling = "mean"
        if getattr(model.config, "mask_token_id", None) is None:
            with suppress(OSError, ValueError):  # the constructor says what is missing
                model.config.mask_token_id = read_tokenizer(name_or_path).mask_token_id
        return model

    @property
    def max_length(self) -> int | None:
        """Longest context: one position goes to the mask token, and some models keep their first ones free."""
        limit = super().max_length
        return None if limit is None else limit - 1 - (self._first_position or 0)

    def states(self, ids: Tensor, segment: Tensor, position: Tensor) -> Tensor:
        """Each distinct context is read once, as its own row."""
        lengths = position + 1
        width = int(lengths.max()) + 1
        places = torch.arange(width, device=ids.device)
        rows = pad(ids[:, : width - 1], (0, width - min(width - 1, ids.shape[1])))[segment]
        rows = rows.where(places < lengths[:, None], -1)  # -1: nothing stands here
        rows = rows.scatter(1, lengths[:, None], self.mask_id)
        rows, which = torch.unique(rows, dim=0, return_inverse=True)
        return (self._remembered(rows) if self.frozen else self._read_all(rows))[which]

    def _remembered(self, rows: Tensor) -> Tensor:
        """``_read_all`` of what was not read before: frozen weights read the same row alike every time.

        Each row is read alone: in company its last bits would depend on the others, and a saved learner, which has
        forgotten them, would not go on exactly as before.
        """
        version = sum(weight._version for weight in self.parameters())
        if version != self._memory_version or len(self._memory) > _REMEMBERED:
            self._memory, self._memory_version = {}, version
        keys = [row[row >= 0].tobytes() for row in rows.cpu().numpy()]
        new = [index for index, key in enumerate(keys) if key not in self._memory]
        for index in new:
            row = rows[index]
            self._memory[keys[index]] = self._read(row[row >= 0][None])[0]
        return torch.stack([self._memory[key] for key in keys])

    def _read_all(self, rows: Tensor) -> Tensor:
        """States ``(rows, hidden)`` of distinct rows, rows of like length together."""
        lengths = (rows >= 0).sum(dim=1)
        order = lengths.argsort()
        chunks = _cut(lengths[order], _CHUNK)
        again = torch.is_grad_enabled() and len(chunks) > 1
        read = []
        for chunk in chunks:
            own = rows[order[chunk], : int(lengths[order[chunk]].max())]
            read.append(checkpoint(self._read, own, use_reentrant=False) if again else self._read(own))
        return torch.cat(read)[order.argsort()]

    def _read(self, rows: Tensor) -> Tensor:
        """States ``(rows, hidden)`` of ``rows`` ``(rows, tokens)``, which end with the mask and have -1 after it."""
        real = rows >= 0
        hidden = self.encode(rows.clamp(min=0), real)
        if getattr(self.model.config, "pooling", None) == "mean":
            return (hidden * real[:, :, None]).sum(dim=1) / real.sum(dim=1, keepdim=True)
        return hidden[torch.arange(len(rows), device=rows.device), real.sum(dim=1) - 1]

    def encode(self, ids: Tensor, real: Tensor) -> Tensor:
        """Hidden states ``(batch, tokens, hidden)`` float32 of ``ids`` ``(batch, tokens)``, in both directions
        over what is ``real`` (bool of that shape)."""
        keywords = {}
        if self._first_position is not None:  # else the model would count what its padding id happens to leave
            keywords["position_ids"] = self._first_position + torch.arange(ids.shape[1], device=ids.device)[None]
        with self.running(ids):
            output = self.model.base_model(input_ids=ids, attention_mask=real.long(), return_dict=True, **keywords)
        return output.last_hidden_state.float()

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits ``(..., vocabulary)`` float32 from hidden states ``(..., hidden)``."""
        hidden = hidden.to(self.model.get_output_embeddings().weight.dtype)
        if self.model.config.model_type == "distilbert":  # an activation between its layers is no layer of its own
            hidden = self.model.activation(self.model.vocab_transform(hidden))
            return self.model.vocab_projector(self.model.vocab_layer_norm(hidden)).float()
        for name, layer in self.model.named_children():
            if name != self.model.base_model_prefix:
                hidden = layer(hidden)
        return hidden.float()

    def new_cache(self, rows: int, length: int) -> ContextCache:
        """A cache that reads anew those contexts that have changed: in both directions nothing else can be kept."""
        return ContextCache(self, rows, length)


def _first_position(model: Any) -> int | None:
    """The position of the first token in models (RoBERTa, MPNet) that count from behind their padding id."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return None if module.padding_idx is None else module.padding_idx + 1
    return None


def _cut(lengths: Tensor, tokens: int) -> list[slice]:
    """Runs of rows with ascending ``lengths`` that hold, with padding, at most ``tokens`` (or are one row)."""
    cuts, start = [], 0
    for end, length in enumerate(lengths.tolist(), start=1):
        if (end - start) * length > tokens and end - start > 1:
            cuts.append(slice(start, end - 1))
            start = end - 1
    return [*cuts, slice(start, len(lengths))]
