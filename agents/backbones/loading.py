"""Find and load a backbone by name or path."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from agents.backbones.causal import CausalBackbone

TINY = "tiny"
_MODELS = Path(__file__).parent.parent / "models"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def model_path(name_or_path: str) -> str:
    """The folder of a shipped model where ``name_or_path`` names one, else ``name_or_path`` itself."""
    return str(_MODELS / TINY) if name_or_path == TINY else name_or_path


def load_backbone(
    name_or_path: str | os.PathLike[str] | Any,
    kind: str = "auto",
    lora: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    frozen: bool = False,
) -> CausalBackbone:
    """Load a language model as a backbone.

    Args:
        name_or_path: ``"tiny"`` (shipped), a Hugging Face name, a local folder, a ``.gguf`` file, or a
            ``transformers`` model already in memory.
        kind: ``"causal"``, or ``"auto"`` to read it from the model.
        lora: keywords of ``peft.LoraConfig`` (``{"r": 8}`` suffices): the model stays fixed and adapters learn.
        dtype: ``"bfloat16"`` runs the forward pass in that type; weights and results stay float32.
        frozen: the model stays fixed and only the heads on it learn.

    Raises:
        ValueError: unknown kind or dtype, or ``lora`` together with ``frozen``.
        FileNotFoundError: no such model here, and none could be downloaded.
    """
    if kind not in ("auto", "causal"):
        raise ValueError(f"kind must be 'auto' or 'causal', not {kind!r}")
    if dtype is not None and dtype not in _DTYPES:
        raise ValueError(f"dtype must be one of {sorted(_DTYPES)}, not {dtype!r}")
    if lora is not None and frozen:
        raise ValueError("lora and frozen exclude each other: LoRA trains adapters, frozen trains heads only")
    model = name_or_path if hasattr(name_or_path, "get_output_embeddings") else _pretrained(os.fspath(name_or_path))
    if lora is not None:
        model = _with_adapters(model, lora)
    autocast = _DTYPES[dtype] if dtype not in (None, "float32") else None
    return CausalBackbone(model, frozen=frozen, autocast=autocast)


def _pretrained(name: str) -> Any:
    from transformers import AutoModelForCausalLM

    path = Path(model_path(name))
    try:
        if path.suffix == ".gguf":
            if not path.is_file():
                raise OSError(f"no file {path}")
            return _from_gguf(path)
        with _quietly() if path.exists() else nullcontext():
            return AutoModelForCausalLM.from_pretrained(str(path), dtype=torch.float32)
    except (OSError, ValueError) as error:
        if path.exists():
            raise ValueError(f"{name!r} holds no causal language model that transformers can read: {error}") from error
        raise FileNotFoundError(
            f"no model {name!r}: give 'tiny' (shipped), an existing folder or .gguf file, or the name of a Hugging "
            "Face model that is cached or can be downloaded"
        ) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """No progress bar: reading a file from disk is not worth one."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _from_gguf(path: Path) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise ImportError("reading a .gguf file needs the package gguf: pip install 'textenvs[gguf]'") from error
    loaded = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)
    # A model read from GGUF is marked as quantized and refuses save_pretrained; a plain one with its weights does not.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    plain.generation_config = loaded.generation_config
    return plain


def _with_adapters(model: Any, lora: Mapping[str, Any]) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ImportError("LoRA needs the package peft: pip install 'textenvs[lora]'") from error
    settings = {"task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 16, "target_modules": "all-linear", **lora}
    # The adapters live inside the model's own layers, so the plain model is all that is needed.
    return get_peft_model(model, LoraConfig(**settings)).get_base_model()
