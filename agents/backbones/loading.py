"""Find and load a backbone by name, path or configuration; the one list of kinds."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from agents.backbones.base import Backbone
from agents.backbones.causal import CausalBackbone
from agents.backbones.masked import MaskedBackbone
from agents.backbones.permutation import PermutationBackbone
from agents.backbones.recurrent import RecurrentBackbone

TINY = "tiny"
GRU = "gru"
_MODELS = Path(__file__).parent.parent / "models"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_POSITIONS = 1024  # of a model from scratch: room for the default window, an utterance and a mask token

# In the order in which kind="auto" asks them.
KINDS: dict[str, type[Backbone]] = {
    each.kind: each for each in (RecurrentBackbone, PermutationBackbone, MaskedBackbone, CausalBackbone)
}


def register_backbone(backbone: type[Backbone]) -> None:
    """Make ``load_backbone`` and with it every learner know another kind, which ``kind="auto"`` asks first."""
    known = {name: each for name, each in KINDS.items() if name != backbone.kind}
    KINDS.clear()
    KINDS.update({backbone.kind: backbone, **known})


def model_path(name_or_path: str) -> str:
    """The folder of a shipped model where ``name_or_path`` names one, else ``name_or_path`` itself."""
    return str(_MODELS / TINY) if name_or_path == TINY else name_or_path


def find_device(name: str | torch.device) -> torch.device:
    """The device that ``name`` names; ``"auto"`` is a GPU where there is one, as for Stable-Baselines3's learners.

    Raises:
        ValueError: torch knows no such device, or there is none here.
    """
    from stable_baselines3.common.utils import get_device

    try:
        device = get_device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ModuleNotFoundError) as error:
        raise ValueError(
            f"no device {str(name)!r} here: give 'auto', 'cpu', 'cuda' or another that torch has"
        ) from error
    return device


def from_scratch(backbone: Any) -> bool:
    """Whether ``backbone`` asks for random weights: ``"gru"`` or a configuration."""
    return backbone == GRU or isinstance(backbone, Mapping)


def load_backbone(
    name_or_path: str | os.PathLike[str] | Mapping[str, Any] | Any,
    kind: str = "auto",
    lora: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    frozen: bool = False,
) -> Backbone:
    """Load a language model as a backbone.

    Args:
        name_or_path: ``"tiny"`` (shipped), a Hugging Face name, a local folder, a ``.gguf`` file, or a
            ``transformers`` model already in memory. For random weights ``"gru"`` or a configuration, such as
            ``{"model_type": "bert", "hidden_size": 128}``; without a ``vocab_size`` it is for the shipped tokenizer.
        kind: ``"causal"``, ``"masked"``, ``"permutation"``, ``"recurrent"``, or ``"auto"`` to read it from the model.
        lora: keywords of ``peft.LoraConfig`` (``{"r": 8}`` suffices): the model stays fixed and adapters learn.
        dtype: ``"bfloat16"`` runs the forward pass in that type; results are float32, and so are weights, lest small
            learning rates be lost to rounding, unless they are ``frozen`` ones that are read from files. Llama-type
            models generate from bfloat16 copies of the weights, made once after each update.
        frozen: the model stays fixed and only the heads on it learn.

    Raises:
        ValueError: unknown kind or dtype, a model of another kind or of none, a configuration that fits no model,
            ``lora`` together with ``frozen`` or for a GRU.
        TypeError: a configuration with an unknown keyword; the message suggests the right one.
        FileNotFoundError: no such model here, and none could be downloaded.
    """
    if kind != "auto" and kind not in KINDS:
        raise ValueError(f"kind must be 'auto' or one of {sorted(KINDS)}, not {kind!r}")
    if dtype is not None and dtype not in _DTYPES:
        raise ValueError(f"dtype must be one of {sorted(_DTYPES)}, not {dtype!r}")
    if lora is not None and frozen:
        raise ValueError("lora and frozen exclude each other: LoRA trains adapters, frozen trains heads only")
    autocast = _DTYPES[dtype] if dtype not in (None, "float32") else None
    if name_or_path == GRU:
        name_or_path = {"model_type": GRU}
    model: Any
    if isinstance(name_or_path, Mapping):
        config = _configuration(name_or_path, kind)
        backbone = _kind_of(config, kind)
        model = backbone.from_config(config)
    elif hasattr(name_or_path, "get_output_embeddings"):
        model = name_or_path
        backbone = _kind_of(model.config, kind)
    else:
        weights = autocast if frozen and autocast is not None else torch.float32
        backbone, model = _pretrained(os.fspath(name_or_path), kind, weights)
    if lora is not None:
        model = backbone.with_adapters(model, lora)
    return backbone(model, frozen=frozen, autocast=autocast)


def _kind_of(config: Any, kind: str) -> type[Backbone]:
    """The class for a model with this configuration."""
    fitting = [each for each in KINDS.values() if each.reads(config)]
    if not fitting:
        raise ValueError(
            f"a {config.model_type} model is none of {sorted(KINDS)}: no next token can be read off it "
            "(encoder-decoder models are not supported, nor encoders that mix padding in)"
        )
    if kind == "auto":
        return fitting[0]
    # A BERT has a causal class in transformers, too, which looks ahead unless its configuration says is_decoder.
    if KINDS[kind] is not fitting[0]:
        raise ValueError(f"a {config.model_type} model of this configuration is {fitting[0].kind}, not {kind}")
    return fitting[0]


def _configuration(settings: Mapping[str, Any], kind: str) -> Any:
    """The ``transformers`` configuration that ``settings`` describe."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    from textenvs.tokens.tokenizer import SPECIAL_TOKENS, load_tokenizer

    model_type = settings.get("model_type") or (KINDS[kind].model_type if kind != "auto" else None)
    if model_type is None:
        raise ValueError("a configuration needs a model_type, such as 'llama', 'bert', 'xlnet' or 'gru'")
    try:
        blank = AutoConfig.for_model(model_type)
    except ValueError as error:
        raise ValueError(f"transformers knows no model_type {model_type!r}") from error
    known = {*blank.to_dict(), *blank.attribute_map, "mask_token_id"}
    for name in settings:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"a {model_type} configuration has no keyword {name!r}{hint}")
    defaults: dict[str, Any] = {}
    if "vocab_size" not in settings:
        shipped = load_tokenizer("textenvs")
        special = {token.strip("<>"): index for index, token in enumerate(SPECIAL_TOKENS)}
        names = [name for name in ("pad", "bos", "cls", "sep") if f"{name}_token_id" in known]
        defaults = {f"{name}_token_id": special[name] for name in (*names, "mask")}
        defaults |= {"vocab_size": shipped.vocab_size, "eos_token_id": shipped.end_id}
    positions = blank.attribute_map.get("max_position_embeddings", "max_position_embeddings")
    if positions in known and not {positions, "max_position_embeddings"} & {*settings}:
        defaults[positions] = _POSITIONS
    given = {name: value for name, value in settings.items() if name != "model_type"}
    makes_none = f"this {model_type} configuration makes no model"
    try:
        config = AutoConfig.for_model(model_type, **{**defaults, **given})
    except StrictDataclassError as error:
        raise ValueError(f"{makes_none}: {error}") from error
    heads = getattr(config, "num_attention_heads", None)
    if heads and config.hidden_size % heads:  # which transformers 5.0 does not tell
        wide = config.hidden_size // heads
        if getattr(config, "head_dim", None) in (None, wide):
            raise ValueError(f"{makes_none}: its {heads} heads do not divide hidden_size={config.hidden_size}")
    return config


def _pretrained(name: str, kind: str, dtype: torch.dtype) -> tuple[type[Backbone], Any]:
    """The class for the model that ``name`` names, and the model, with weights in ``dtype``."""
    from transformers import AutoConfig

    path = Path(model_path(name))
    try:
        if path.suffix == ".gguf":
            if not path.is_file():
                raise OSError(f"no file {path}")
            with quietly():
                model = _from_gguf(path, dtype)
            return _kind_of(model.config, kind), model
        config = AutoConfig.from_pretrained(str(path))
    except (OSError, ValueError) as error:
        raise _missing(name, path, error) from error
    backbone = _kind_of(config, kind)
    try:
        with quietly(path.exists()):
            return backbone, backbone.from_pretrained(str(path), dtype if dtype in backbone.keeps else torch.float32)
    except (OSError, ValueError) as error:
        raise _missing(name, path, error) from error


def _missing(name: str, path: Path, error: Exception) -> Exception:
    if path.exists():
        return ValueError(f"{name!r} holds no language model that transformers can read: {error}")
    return FileNotFoundError(
        f"no model {name!r}: give 'tiny' (shipped), 'gru', an existing folder or .gguf file, or the name of a Hugging "
        "Face model that is cached or can be downloaded"
    )


@contextmanager
def quietly(local: bool = True) -> Iterator[None]:
    """No progress bar where files are only on this disk, and no table of heads that are made anew."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    if local:
        logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def _from_gguf(path: Path, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise ImportError("reading a .gguf file needs the package gguf: pip install 'textenvs[gguf]'") from error
    loaded = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=dtype)
    # A model read from GGUF is marked as quantized and refuses save_pretrained; a plain one with its weights does not.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with no_init_weights():  # which would take seconds
        plain = AutoModelForCausalLM.from_config(config, dtype=dtype)
    plain.load_state_dict(loaded.state_dict())
    plain.tie_weights()
    plain.generation_config = loaded.generation_config
    return plain
