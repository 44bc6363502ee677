"""Compiled steps give what torch gives, on any processor's registers; without a compiler torch does it all."""

import platform
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from agents.backbones import CausalBackbone, native
from agents.memory.branches import branches

ROWS, WINDOW, VOCABULARY = 5, 48, 60
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": WINDOW,
}
KINDS: dict[str, Any] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**{**SIZES, "head_dim": 32})),
    "biased": lambda: LlamaForCausalLM(LlamaConfig(**{**SIZES, "head_dim": 32}, attention_bias=True, mlp_bias=True)),
}
FLAGS: list[tuple[str, ...]] = [("-march=native",), ()]
if platform.machine() == "x86_64":
    FLAGS.append(("-mavx2", "-mfma"))


def backbone(kind: str, lora: bool = False) -> CausalBackbone:
    torch.manual_seed(0)
    model = KINDS[kind]()
    if lora:
        model = CausalBackbone.with_adapters(model, {"r": 2, "target_modules": ["q_proj", "down_proj"]})
    for name, parameter in model.named_parameters():
        if "norm" in name or "bias" in name or "lora_B" in name:  # which begin as ones and zeros
            torch.nn.init.normal_(parameter, mean=float("norm" in name), std=0.3)
    return CausalBackbone(model)


def rows_that_grow(rng: np.random.Generator) -> Any:
    """Ids and lengths, again and again with one to eight tokens more in most rows, or another beginning."""
    ids, lengths = torch.zeros(ROWS, WINDOW, dtype=torch.int64), torch.zeros(ROWS, dtype=torch.int64)
    for _ in range(25):
        for row in range(ROWS):
            new, length = int(rng.integers(1, 9)) if rng.random() < 0.5 else 1, int(lengths[row])
            if length + new > WINDOW:
                length = 0
            ids[row, length : length + new] = torch.as_tensor(rng.integers(0, VOCABULARY, new))
            lengths[row] = length + new
        yield ids, lengths


def steps(alike: int) -> tuple[Any, ...]:
    """Ids, of which some begin alike, and steps in them with branches."""
    rng = np.random.default_rng(alike)
    ids = torch.as_tensor(rng.integers(VOCABULARY, size=(6, WINDOW - 8)))
    ids[:4, :alike] = ids[0, :alike]
    segment = torch.as_tensor(rng.permutation(np.repeat([0, 1, 2, 3, 5], 4)))
    position = torch.as_tensor(rng.integers(alike // 2, WINDOW - 8, len(segment)))
    return ids, segment, position, branches(rng.integers(3, size=(len(segment), 5, 8)), 0, 1)


@contextmanager
def by_torch(model: CausalBackbone) -> Iterator[None]:
    decoder: Any = model.decoder
    decoder.read = lambda layout: None
    yield
    del decoder.read


def gradients(model: CausalBackbone, *given: Any) -> dict[str, Any]:
    """Of all weights, made by states of given steps, each with a factor of its own."""
    model.zero_grad()
    states = model.branched(*given)
    (states * torch.linspace(-1, 1, states.numel()).view_as(states).sin()).sum().backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


@pytest.fixture(scope="module", params=FLAGS, ids=" ".join)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The code, compiled with other flags."""
    if native.loaded() is None:
        pytest.skip("no C compiler")
    return native.opened(native.compiled(request.param, tmp_path_factory.mktemp("code")))


@pytest.fixture
def code(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "loaded", lambda: library)


@pytest.fixture
def compiler() -> None:
    if native.loaded() is None:
        pytest.skip("no C compiler")


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(("kind", "lora"), [("llama", False), ("qwen2", False), ("qwen3", False), ("llama", True)])
def test_steps_equal_full_recomputation(kind: str, lora: bool) -> None:
    model = backbone(kind, lora)
    cache = model.new_cache(ROWS, WINDOW)
    model.decoder.generate = None  # type: ignore[union-attr, method-assign]  # nothing may fall to torch
    for ids, lengths in rows_that_grow(np.random.default_rng(0)):
        with torch.no_grad():
            full = model(ids)[torch.arange(ROWS), lengths - 1]
        torch.testing.assert_close(cache.last_hidden(ids, lengths), full, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(("kind", "lora"), [("llama", False), ("qwen2", False), ("qwen3", False), ("llama", True)])
@pytest.mark.parametrize("alike", [0, 30])
def test_states_without_gradients_equal_those_with(alike: int, kind: str, lora: bool) -> None:
    model, (ids, segment, position, found) = backbone(kind, lora), steps(alike)
    with by_torch(model):
        wanted = model.branched(ids, segment, position, found).detach()
    model.decoder.run = None  # type: ignore[union-attr, method-assign]  # nothing may fall to torch
    for parameter in model.parameters():  # as Stable-Baselines3 renews target networks: no version counts it
        parameter.data.mul_(0.5)
    with torch.no_grad():
        other = model.states(ids, segment, position)
        for parameter in model.parameters():
            parameter.data.mul_(2.0)
        read = model.branched(ids, segment, position, found)
        assert (other - read[: len(other)]).abs().max() > 0.1
        torch.testing.assert_close(read, wanted, atol=1e-5, rtol=0)
        torch.testing.assert_close(model.states(ids, segment, position), wanted[: len(segment)], atol=1e-5, rtol=0)


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize("kind", ["llama", "qwen2", "biased"])
@pytest.mark.parametrize(("alike", "part"), [(0, 512), (30, 512), (0, 60), (30, 60)])
@pytest.mark.parametrize("alone", [0, 1 << 30])
def test_gradients_equal_those_of_torch(
    alone: int,
    alike: int,
    part: int,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(native, "_ALONE", alone)
    monkeypatch.setattr(native, "_PART", part)
    model = backbone(kind)
    model.model.base_model.layers[0].mlp.up_proj.weight.requires_grad_(False)
    with by_torch(model):
        wanted = gradients(model, *steps(alike))
    model.decoder.run = None  # type: ignore[union-attr, method-assign]  # nothing may fall to torch
    for _ in range(2):  # in memory that is new, and in what the first pass has left
        found = gradients(model, *steps(alike))
        assert [name for name, each in found.items() if each is None] == [
            name for name, each in wanted.items() if each is None
        ]
        for name, gradient in wanted.items():
            if gradient is not None:
                close = 1e-6 + 2e-5 * float(gradient.abs().max())
                assert (found[name] - gradient).abs().max() < close, name


@pytest.mark.usefixtures("compiler")
def test_a_pass_keeps_what_it_needs_until_it_is_gone() -> None:
    model, (*given, _) = backbone("llama"), steps(0)
    weights = list(model.model.base_model.parameters())
    total = model.states(*given).pow(3).sum()
    first = torch.autograd.grad(total, weights, retain_graph=True)
    torch.autograd.grad(model.states(*given).sum(), weights)
    for one, again in zip(first, torch.autograd.grad(total, weights, retain_graph=True), strict=True):
        assert torch.equal(one, again)
    with torch.no_grad():
        weights[1].add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.usefixtures("compiler")
def test_weights_are_read_where_they_are_now() -> None:
    model, (*given, _) = backbone("llama"), steps(0)
    before = model.states(*given)
    with torch.no_grad():  # as Stable-Baselines3 loads and TRPO moves them
        torch.nn.utils.vector_to_parameters(
            0.5 * torch.nn.utils.parameters_to_vector(model.parameters()), model.parameters()
        )
    found = model.states(*given)
    with by_torch(model):
        wanted = model.states(*given)
    assert (found - before).abs().max() > 0.1
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


class _States(torch.nn.Module):
    def __init__(self, model: CausalBackbone) -> None:
        super().__init__()
        self.model = model

    def forward(self, *given: Any) -> Any:
        return self.model.states(*given)


@pytest.mark.usefixtures("compiler")
def test_weights_that_stand_in_for_others_are_read_and_learn() -> None:
    model, (*given, _) = backbone("llama"), steps(0)
    model.states(*given)
    others = {name: (0.5 * weight.detach()).requires_grad_() for name, weight in model.named_parameters()}
    learn = [weight for name, weight in others.items() if "lm_head" not in name]
    found: list[Any] = []
    for way in (nullcontext(), by_torch(model)):
        with way:
            named = {f"model.{name}": weight for name, weight in others.items()}
            states = torch.func.functional_call(_States(model), named, tuple(given))
        found.append((states.detach(), torch.autograd.grad(states.pow(3).sum(), learn)))
    torch.testing.assert_close(*(states for states, _ in found), atol=1e-5, rtol=0)
    for ours, theirs in zip(*(each for _, each in found), strict=True):
        assert (ours - theirs).abs().max() < 1e-6 + 2e-5 * float(theirs.abs().max())


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("kind", ["adapters", "norms", "hook", "eager"])
def test_what_is_unusual_is_read_by_torch(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = backbone("qwen3" if kind == "norms" else "llama", lora=kind == "adapters")
    seen: list[Any] = []
    if kind == "hook":
        model.model.base_model.layers[1].mlp.down_proj.register_forward_hook(lambda *given: seen.append(given))
    if kind == "eager":
        model.model.set_attn_implementation("eager")
    monkeypatch.setattr(native._Read, "forward", None)  # nothing may be left to compiled code
    found = gradients(model, *steps(0))
    learn = [name for name, weight in model.named_parameters() if weight.requires_grad and "lm_head" not in name]
    assert learn and all(found[name].abs().sum() > 0 for name in learn)
    assert len(seen) == (kind == "hook")


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("rows", [1, 8, 15, 16, 17, 32, 41, 100])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_equal_those_of_rounded_operands(
    dtype: torch.dtype, biased: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not native.takes(32, 32, dtype):
        pytest.skip("this processor has no products of bfloat16")
    torch.manual_seed(rows)
    weights, bias = [torch.randn(out, 96) for out in (64, 32)], torch.randn(96) if biased else None
    given = torch.randn(rows, 96).to(dtype).float()
    product = native.Product(
        weights, bias, dtype, lambda weight, bias: partial(torch.nn.functional.linear, weight=weight.float(), bias=bias)
    )
    wanted = given.double() @ torch.cat(weights).to(dtype).double().T
    if bias is not None:
        wanted += bias
    monkeypatch.setattr(native, "_ALONE", 0)  # by as many threads as torch uses
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        torch.testing.assert_close(product(given).double(), wanted, atol=2e-5, rtol=0)
    torch.set_num_threads(before)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "taking turns with torch"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_steps_in_bfloat16_are_near_those_in_float32(kind: str, alone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not native.takes(32, 32, torch.bfloat16):
        pytest.skip("this processor has no products of bfloat16")
    exact, model = backbone(kind), backbone(kind)
    model.autocast = torch.bfloat16
    decoder: Any = model.decoder
    compiled, by_torch = decoder.advance, decoder.generate
    monkeypatch.setattr(native, "_ALONE", 0)
    near, cache = exact.new_cache(ROWS, WINDOW), model.new_cache(ROWS, WINDOW)
    assert cache.keys[0].dtype == cache.values[0].dtype == torch.bfloat16
    for step, (ids, lengths) in enumerate(rows_that_grow(np.random.default_rng(0))):
        decoder.advance, decoder.generate = (compiled, None) if alone or step % 2 else (lambda *_: None, by_torch)
        wanted, found = near.last_hidden(ids, lengths), cache.last_hidden(ids, lengths)
        assert 1e-4 < (found - wanted).abs().max() < 0.1
        torch.testing.assert_close(found, wanted, atol=0.02 * float(wanted.abs().max()), rtol=0)


@pytest.mark.usefixtures("compiler")
def test_changed_weights_are_packed_anew() -> None:
    model = backbone("llama")
    ids, lengths = next(rows_that_grow(np.random.default_rng(0)))
    cache = model.new_cache(ROWS, WINDOW)
    before = cache.last_hidden(ids, lengths)
    with torch.no_grad():
        model.decoder.base.layers[1].mlp.down_proj.weight.add_(0.1)  # type: ignore[union-attr]
        full = model(ids)[torch.arange(ROWS), lengths - 1]
    assert (before - full).abs().max() > 0.01
    torch.testing.assert_close(cache.last_hidden(ids, lengths), full, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("compiler")
def test_what_the_model_lacks_is_refused_before_it_is_read() -> None:
    model = backbone("llama")
    step = model.decoder.copies.native(torch.float32, 1)  # type: ignore[union-attr]
    assert step is not None
    kept = tuple(torch.zeros(2, 1, 2, WINDOW, 16).unbind() for _ in range(2))
    row = np.zeros(1, np.int64)
    for token, place in ((VOCABULARY, 0), (-1, 0), (0, WINDOW), (0, -1)):
        with pytest.raises(IndexError, match="ids must be 0 to 59 and places 0 to 47"):
            step.advance(np.array([token]), row, np.array([place]), row, kept)
        with pytest.raises(IndexError, match="ids must be 0 to 59"):
            step.read(np.array([token]), row, row - 1, np.array([place]), row)
    assert not kept[0][0].any()


@pytest.mark.parametrize("variable", [("CC", "no-such-compiler"), ("CC", "false"), ("TEXTENVS_NATIVE", "0")])
def test_without_a_compiler_torch_gives_the_same(
    variable: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(*variable)
    native.loaded.cache_clear()
    try:
        assert native.loaded() is None
        model = backbone("llama")
        cache = model.new_cache(ROWS, WINDOW)
        for ids, lengths in rows_that_grow(np.random.default_rng(1)):
            with torch.no_grad():
                full = model(ids)[torch.arange(ROWS), lengths - 1]
            torch.testing.assert_close(cache.last_hidden(ids, lengths), full, atol=1e-5, rtol=0)
    finally:
        native.loaded.cache_clear()


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("home", ["a/file", "nowhere"])
def test_a_home_that_cannot_be_written_is_done_without(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / home) if home == "a/file" else home)
    native.loaded.cache_clear()
    try:
        assert native.loaded() is not None
        assert [each.name for each in tmp_path.iterdir()] == ["a"]
    finally:
        native.loaded.cache_clear()


@pytest.mark.usefixtures("compiler")
def test_it_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = native.compiled((), tmp_path)
    written = path.stat().st_mtime_ns
    assert native.compiled((), tmp_path) == path and path.stat().st_mtime_ns == written
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    with monkeypatch.context() as other:
        other.setattr(native, "_processor", lambda: "another one")
        assert native.compiled((), tmp_path) != path
    monkeypatch.setattr(native, "_FLAGS", ("-O1", *native._FLAGS))
    assert native.compiled((), tmp_path) != path


def test_memory_of_a_pass_is_used_again_but_not_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native._Room, "_free", deque(maxlen=2))
    one, two = native._Room(1000), native._Room(1000)
    start = one.start
    assert two.start != start
    del one
    assert native._Room(900).start == start
    assert native._Room(200).start != start  # which is too large for so little
    assert native._Room(1100).start != start  # and too small for that
    assert len(native._Room._free) == 2
    monkeypatch.setattr(native, "_HELD", 10)
    del two
    assert len(native._Room._free) == 2
