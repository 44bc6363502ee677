"""Decoders of the Llama family over flat tokens: no padding, nothing twice, and little besides matrix products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from agents.backbones.native import FEW, NativeStep, Product, takes
from agents.memory.cache import Version
from agents.memory.layout import Layout

# How a layer's queries (tokens, heads, size) meet its keys and values (tokens, key heads, size): (tokens, all heads).
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]

_TYPES = ("llama", "mistral", "qwen2", "qwen3")
_ROPES = ("default", "linear", "llama3", "yarn")  # those whose angles do not depend on the length of the sequence
_LARGE = 1 << 20  # the weights of a product from which on torch is as fast where tokens are many
_PACKED = 1 << 18  # weights from this size on gain from oneDNN's own layout, smaller float32 ones from lying across


class Decoder:
    """The layers of a ``transformers`` model of the Llama family, run over tokens that lie flat, one after another.

    ``transformers`` pads sequences to the longest, and spends more time of a small model between its products than in
    them. Here linear layers see real tokens only, and which token attends to which is the caller's to say. The numbers
    are those of the model itself, to rounding.

    Args:
        model: a model that ``Decoder.reads``.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.base = model.base_model
        config = model.config
        self.heads: int = config.num_attention_heads
        self.key_heads: int = config.num_key_value_heads
        self.size: int = self.base.layers[0].self_attn.head_dim
        self.scale: float = self.base.layers[0].self_attn.scaling
        self.widest = 2 * config.intermediate_size * config.hidden_size  # weights of a layer's largest product
        self.copies = Copies(self)
        self._angles: tuple[Tensor, ...] | None = None

    @classmethod
    def reads(cls, model: Any) -> bool:
        """Whether the model is one of the family, with nothing unusual in it."""
        config = model.config
        if config.model_type not in _TYPES or config._attn_implementation != "sdpa":
            return False
        if any(kind != "full_attention" for kind in getattr(config, "layer_types", None) or ()):
            return False
        sliding = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
        rope = getattr(config, "rope_parameters", None) or {}
        plain = rope.get("rope_type", "default") in _ROPES and rope.get("partial_rotary_factor", 1.0) == 1.0
        return plain and sliding is None and not getattr(config, "attention_dropout", 0.0)

    def angles(self, device: torch.device) -> tuple[Tensor, ...]:
        """Of all positions: cosines ``(positions, 1, size)``, sines ``(positions, 1, size / 2)``, and these with the
        signs that both halves of a state are turned with, ``(positions, 1, size)``."""
        if self._angles is None or self._angles[0].device != device:
            places = torch.arange(self.model.config.max_position_embeddings, device=device)[None]
            with torch.no_grad():
                cos, sin = (each[0, :, None] for each in self.base.rotary_emb(torch.zeros(1, device=device), places))
            half = sin[..., : self.size // 2]
            self._angles = (cos.contiguous(), half.contiguous(), torch.cat([-half, half], dim=-1))
        return self._angles

    def run(
        self, tokens: Tensor, positions: Tensor, attend: Attend, wanted: Tensor | None = None, twice: bool = False
    ) -> Tensor:
        """Hidden states ``(wanted, hidden)`` float32, with gradient.

        Args:
            tokens: ``(tokens,)`` int64.
            positions: ``(tokens,)`` int64, the place of each in its sequence.
            attend: called once a layer.
            wanted: ``(wanted,)`` int64, distinct: the tokens whose states are asked for; ``None`` for all.
            twice: whether second derivatives are needed.
        """
        normal = _plain_normal if twice else _normal
        hidden = self.base.embed_tokens(tokens).float()
        cos, sin = (table[positions] for table in self.angles(tokens.device)[:2])
        last = len(self.base.layers) - 1
        for index, layer in enumerate(self.base.layers):
            attention, mlp = layer.self_attn, layer.mlp
            inner = normal(hidden, layer.input_layernorm)
            queries = attention.q_proj(inner).unflatten(1, (self.heads, self.size))
            keys = attention.k_proj(inner).unflatten(1, (self.key_heads, self.size))
            values = attention.v_proj(inner).unflatten(1, (self.key_heads, self.size))
            if hasattr(attention, "q_norm"):
                queries, keys = normal(queries, attention.q_norm), normal(keys, attention.k_norm)
            seen = attend(index, rotate(queries, cos, sin), rotate(keys, cos, sin), values)
            if index == last and wanted is not None:
                seen, hidden = _Pick.apply(seen, wanted), _Pick.apply(hidden, wanted)
            hidden = hidden + attention.o_proj(seen)
            inner = normal(hidden, layer.post_attention_layernorm)
            hidden = hidden + mlp.down_proj(mlp.act_fn(mlp.gate_proj(inner)) * mlp.up_proj(inner))
        return normal(hidden, self.base.norm)

    @torch.no_grad()
    def generate(self, tokens: Tensor, positions: Tensor, attend: Attend, wanted: Tensor | None, dtype: Any) -> Tensor:
        """As ``run``, without gradient, from copies of the weights in ``dtype`` that are laid out for speed."""
        layers = self.copies.current(dtype)
        hidden = functional.embedding(tokens, self.base.embed_tokens.weight).float()
        cosines, _, sines = self.angles(tokens.device)
        cos, sin = cosines[positions], sines[positions]
        half, parts = self.size // 2, [self.heads + self.key_heads, self.key_heads]
        for index, layer in enumerate(layers):
            mixed = layer.attention(layer.before(hidden)).view(-1, sum(parts), self.size)
            both, values = mixed.split_with_sizes(parts, dim=1)
            both = both.float()
            if layer.query is not None and layer.key is not None:
                both = torch.cat([layer.query(both[:, : self.heads]), layer.key(both[:, self.heads :])], dim=1)
            both = torch.addcmul(both * cos, both.roll(half, dims=-1), sin)  # few tokens: fewer calls are faster
            queries, keys = both.split_with_sizes([self.heads, self.key_heads], dim=1)
            seen = attend(index, queries, keys, values)
            if index + 1 == len(layers) and wanted is not None:
                seen, hidden = seen[wanted], hidden[wanted]
            hidden = hidden + layer.out(seen)
            gate, up = layer.widen(layer.between(hidden)).chunk(2, dim=1)
            hidden = hidden + layer.narrow(layer.active(gate).mul_(up))
        return self.copies.last(hidden)

    def advance(
        self, tokens: np.ndarray, rows: np.ndarray, places: np.ndarray, wanted: np.ndarray, kept: Any, dtype: Any
    ) -> Tensor | None:
        """As ``generate``, on a processor, by compiled code: see ``NativeStep.advance``. ``None`` where torch has to do
        it, or is as fast."""
        native = self.copies.native(dtype, len(tokens))
        return None if native is None else native.advance(tokens, rows, places, wanted, kept)

    def read(self, layout: Layout) -> Tensor | None:
        """As ``run``, on a processor, by compiled code, with gradient where it is enabled. ``None`` where torch has to
        do it, or the weights are so many that laying them out anew costs more than it gains."""
        if not self.compiled(torch.float32) or self.widest >= _LARGE or torch.compiler.is_compiling():
            return None
        weights, gradients = self.weights(), torch.is_grad_enabled()
        if gradients and not weights:
            return None
        self.copies.forget()  # not all that changes weights is counted in their version
        native = self.copies.native(torch.float32, len(layout.tokens), weights)
        assert native is not None
        tokens, places, wanted = (each.numpy() for each in (layout.tokens, layout.positions, layout.wanted))
        return native.read(tokens, layout.starts, layout.before, places, wanted, weights if gradients else None)

    def compiled(self, dtype: Any) -> bool:
        """Whether ``advance`` knows the model, with weights in ``dtype``."""
        return NativeStep.reads(self, dtype)

    def weights(self) -> list[Tensor | None]:
        """All weights that a pass reads: of the embedding and the last norm, and of each layer those of its maps, their
        biases and those of its norms. Empty unless layers are nothing but products with float32 weights, where these
        are, attention and norms of its input: then gradients are compiled, too."""
        found = [self.base.embed_tokens.weight, self.base.norm.weight]
        for layer in self.base.layers:
            own = _weights(layer)
            if not own:
                return []
            found += own
        plain = all(each is None or (each.dtype == torch.float32 and each.is_contiguous()) for each in found)
        return found if plain else []

    def head(self, hidden: Tensor) -> Tensor | None:
        """Logits of ``hidden`` ``(..., hidden)`` from the copied weights; ``None`` where there are no current ones."""
        return self.copies.logits(hidden)


class Copies:
    """Weights laid out for generation: projections of the same input in one product, in oneDNN's layout where that is
    faster, in the dtype asked for, adapters merged in. They are made anew when the weights have changed, where they are
    if all else is as it was."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.version: tuple[int, Any] | None = None
        self._version: Version | None = None
        self.layers: list[_Layer] = []
        self.last: _Norm
        self._logits: Callable[[Tensor], Tensor] | None = None
        self._native: NativeStep | None = None
        self._places: list[int] = []  # where the weights were, if copies can be made in place
        self._dtype: Any = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Copies:
        return Copies(memo[id(self.decoder)])  # a copied model makes its own when it needs them

    def __reduce__(self) -> tuple[Any, ...]:
        return Copies, (self.decoder,)

    def current(self, dtype: Any, weights: list[Tensor | None] | None = None) -> list[_Layer]:
        """The layers, in step with the model; ``weights`` are ``Decoder.weights``, where they are known."""
        if self._version is None:
            self._version = Version(self.decoder.model)
        version = (self._version(), dtype)
        if version != self.version:
            self._logits = None
            weights = self.decoder.weights() if weights is None else weights
            places = [0 if each is None else each.data_ptr() for each in weights]
            if self._dtype == dtype and self._places and self._places == places:
                for layer in self.layers:
                    layer.renew()
                self.last.renew()
            else:
                self.layers, self._places, self._native = [], [], None  # before new ones take as much memory
                base = self.decoder.base
                self.layers, self.last = [_Layer(layer, dtype) for layer in base.layers], _Norm(base.norm)
                self._native = NativeStep(self.decoder, self.layers) if self.decoder.compiled(dtype) else None
                self._dtype, self._places = dtype, [] if self._native is None else places
            self.version = version
        return self.layers

    def native(self, dtype: Any, tokens: int, weights: list[Tensor | None] | None = None) -> NativeStep | None:
        """What ``advance`` and ``read`` call, in step with the model; ``weights`` as in ``current``."""
        self.current(dtype, weights)
        many = tokens > FEW and self.decoder.widest >= _LARGE
        return None if many else self._native

    def forget(self) -> None:
        """Make the copies anew when they are needed next."""
        self.version = None

    def logits(self, hidden: Tensor) -> Tensor | None:
        """As ``Decoder.head``."""
        if self.version is None or self._version is None or self.version[0] != self._version():
            return None
        if self._logits is None:
            self._logits = _linear([self.decoder.model.lm_head], self.version[1])
        flat = hidden.reshape(-1, hidden.shape[-1])
        return self._logits(flat).float().reshape(*hidden.shape[:-1], -1)


class _Layer:
    """One layer's products and what stands between them, at hand: looking modules up costs as much as a product."""

    def __init__(self, layer: Any, dtype: Any) -> None:
        attention = layer.self_attn
        self.before, self.between = _Norm(layer.input_layernorm), _Norm(layer.post_attention_layernorm)
        self.query = _Norm(attention.q_norm) if hasattr(attention, "q_norm") else None
        self.key = _Norm(attention.k_norm) if hasattr(attention, "k_norm") else None
        self.active = layer.mlp.act_fn
        maps = _maps(layer)
        self._joined = maps[:3], maps[3:4], maps[4:6], maps[6:]
        self.products = [_linear(each, dtype) for each in self._joined]
        self.attention, self.out, self.widen, self.narrow = self.products

    def renew(self) -> None:
        """Copy weights that have changed, but stayed where they were."""
        for product, modules in zip(self.products, self._joined, strict=True):
            product.pack(*_merged(modules))  # type: ignore[attr-defined]  # compiled ones
        self.before.renew()
        self.between.renew()


class _Norm:
    """``_normal`` with its weights at hand."""

    def __init__(self, norm: Any) -> None:
        self.weight, self.epsilon = norm.weight.detach().float(), norm.variance_epsilon
        self.least = _least(self.weight, self.epsilon)
        self.stretched: Tensor | None = None

    def renew(self) -> None:
        """As ``_Layer.renew``."""
        self.stretched = None

    def __call__(self, hidden: Tensor) -> Tensor:
        if hidden.is_cpu:
            if self.stretched is None:
                self.stretched = self.weight * len(self.weight) ** 0.5
            return (hidden / _length(hidden, self.least)).mul_(self.stretched)
        return functional.rms_norm(hidden, self.weight.shape, self.weight, self.epsilon)


def _linear(modules: list[Any], dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """One product for several affine modules of the same input, their outputs side by side, all of it in ``dtype``."""
    weights, bias = _merged(modules)
    if weights[0].device.type == "cpu" and all(takes(len(weight), weight.shape[1], dtype) for weight in weights):
        return Product(weights, bias, dtype, _by_torch)
    return _by_torch(torch.cat(weights).to(dtype), bias)


def _merged(modules: list[Any]) -> tuple[list[Tensor], Tensor | None]:
    """The weights of some affine modules, and the biases of all."""
    maps = [_affine(module) for module in modules]
    weights = [weight for weight, _ in maps]
    if all(each is None for _, each in maps):
        return weights, None
    return weights, torch.cat([weight.new_zeros(len(weight)) if bias is None else bias for weight, bias in maps])


def _by_torch(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """As ``_linear``, of one map ``(out, in)`` and ``(out,)``, in the type of the weights."""
    dtype, large, on_host = weight.dtype, weight.numel() >= _PACKED, weight.device.type == "cpu"
    bias = None if bias is None else bias.to(dtype)
    if on_host and not large and dtype == torch.float32:
        across = weight.T.contiguous()
        if bias is None:
            return lambda given: torch.mm(given, across)
        return lambda given: torch.addmm(bias, given, across)
    if on_host and large and torch.backends.mkldnn.is_available():
        try:
            packed = torch.ops.mkldnn._reorder_linear_weight(weight)
            product = torch.ops.mkldnn._linear_pointwise
            product(weight[:1], packed, bias, "none", [], "")
            return lambda given: product(given.to(dtype), packed, bias, "none", [], "")
        except (AttributeError, RuntimeError, TypeError):  # another version of torch: slower, the same numbers
            pass
    return lambda given: functional.linear(given.to(dtype), weight, bias)


def _maps(layer: Any) -> list[Any]:
    """The linear maps of a layer, in the order that ``native.c`` has them in."""
    attention, mlp = layer.self_attn, layer.mlp
    mixing = [attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj]
    return [*mixing, mlp.gate_proj, mlp.up_proj, mlp.down_proj]


def _weights(layer: Any) -> list[Tensor | None]:
    """Of one layer, as in ``Decoder.weights``; empty where a map is more than a product, or queries have a norm."""
    maps, norms = _maps(layer), (layer.input_layernorm, layer.post_attention_layernorm)
    if hasattr(layer.self_attn, "q_norm") or any(
        type(each) is not nn.Linear or each._forward_hooks or each._forward_pre_hooks or each._backward_hooks
        for each in maps
    ):
        return []
    return [*(each.weight for each in maps), *(each.bias for each in maps), *(each.weight for each in norms)]


def _affine(module: Any) -> tuple[Tensor, Tensor | None]:
    """Weight ``(out, in)`` and bias ``(out,)`` of a linear layer, with its adapters if it has some."""
    if type(module) is nn.Linear:
        return module.weight, module.bias
    like = next(module.parameters())
    zero = torch.zeros(1, module.in_features, device=like.device)
    bias = module(zero)[0]
    return (module(torch.eye(module.in_features, device=like.device)) - bias).T, bias


def _normal(hidden: Tensor, norm: Any) -> Tensor:
    """Root-mean-square normalisation over the last axis (Zhang and Sennrich 2019, eq. 4)."""
    if hidden.is_cpu:
        return _Normal.apply(hidden.float(), norm.weight.float(), norm.variance_epsilon)
    return _plain_normal(hidden, norm)


def _plain_normal(hidden: Tensor, norm: Any) -> Tensor:
    """As ``_normal``, by torch itself."""
    return functional.rms_norm(hidden.float(), norm.weight.shape, norm.weight.float(), norm.variance_epsilon)


def _least(weight: Tensor, epsilon: float) -> Tensor:
    """What ``epsilon`` makes the smallest ``_length``."""
    return weight.new_tensor((len(weight) * epsilon) ** 0.5)


def _length(states: Tensor, least: Tensor) -> Tensor:
    """``sqrt(sum of squares + least^2)`` over the last axis, which stays."""
    return torch.hypot(torch.linalg.vector_norm(states, dim=-1, keepdim=True), least)


class _Normal(torch.autograd.Function):
    """On processors ``rms_norm`` is a row of small operations, of which this leaves out more than half.

    With ``n = x / rms(x)`` and ``g`` the gradient of ``w n``, that of ``x`` is ``(w g - n mean(n w g)) / rms(x)``.
    """

    @staticmethod
    def forward(context: Any, hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        scale = _length(hidden, _least(weight, epsilon)).reciprocal_().mul_(len(weight) ** 0.5)
        normal = hidden * scale
        context.save_for_backward(normal, scale, weight)
        return normal * weight

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:  # type: ignore[override]
        normal, scale, weight = context.saved_tensors
        product = gradient * normal
        along = (product @ weight).div_(-len(weight)).unsqueeze(-1)
        own = product.flatten(0, -2).sum(dim=0) if context.needs_input_grad[1] else None
        return (gradient * weight).addcmul_(normal, along).mul_(scale), own, None


def _turn(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """``states`` turned; of many tokens, writing in place is faster."""
    half = sin.shape[-1]
    turned = states * cos
    turned[..., :half].addcmul_(states[..., half:], sin, value=-1)
    turned[..., half:].addcmul_(states[..., :half], sin)
    return turned


class _Rotate(torch.autograd.Function):
    """Rotary embedding in three passes over memory; its gradient is the opposite rotation."""

    @staticmethod
    def forward(context: Any, states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        context.save_for_backward(cos, sin)
        return _turn(states, cos, sin)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        cos, sin = context.saved_tensors
        return _Rotate.apply(gradient, cos, -sin), None, None


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding (Su et al. 2021, sec. 3.4.2) of ``states`` ``(tokens, heads, size)``."""
    return _Rotate.apply(states.float(), cos, sin)


class _Pick(torch.autograd.Function):
    """Distinct rows of a matrix; the gradient is written where they stood instead of added up."""

    @staticmethod
    def forward(context: Any, rows: Tensor, places: Tensor) -> Tensor:
        context.save_for_backward(places)
        context.count = len(rows)
        return rows.index_select(0, places)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (places,) = context.saved_tensors
        zeros = gradient.new_zeros(context.count, gradient.shape[1])
        return zeros.index_copy(0, places, gradient), None
