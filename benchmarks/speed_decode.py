"""Generation: against Hugging Face's ``generate``, against the products alone, and what a rollout spends beside it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import agents
from agents.backbones import CausalBackbone, load_backbone
from agents.policies.chosen import pick
from benchmarks.speed_measure import CLOCKS, Comparison, compare, interleaved

_PROMPT = 32
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@torch.no_grad()
def generate(backbone: Any, ids: Tensor, new: int, mark: Callable[[], None] = lambda: None) -> Tensor:
    """``ids`` ``(rows, tokens)`` and ``new`` sampled tokens behind them; ``mark`` is called at each token's logits."""
    rows, width = ids.shape
    cache = backbone.new_cache(rows, width + new)
    written = torch.nn.functional.pad(ids, (0, new))
    for length in range(width, width + new):
        hidden = cache.last_hidden(written, torch.full((rows,), length, device=ids.device))
        logits = backbone.logits(hidden)
        mark()
        written[:, length] = pick(logits)[0]
    return written


class _Marks:
    """A logits processor of ``generate`` that looks at the clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.times: list[float] = []

    def __call__(self, ids: Any, scores: Any) -> Any:
        self.times.append(self.now())
        return scores

    def mark(self) -> None:
        """Note the time."""
        self.times.append(self.now())


def compare_decoding(
    path: str, dtype: str, repeats: int, clock: str = "wall", rows: int = 32, new: int = 16
) -> list[Comparison]:
    """Tokens a second while ``rows`` sequences are continued, without the time to read the prompts.

    Args:
        path: a Llama-type model, such as the ``.gguf`` file of SmolLM2-135M.
        dtype: ``"float32"`` or ``"bfloat16"``. Hugging Face's side has its weights in that type; ours keeps them in
            float32 for learning and generates from copies.
        repeats: rounds.
        clock: ``"wall"`` or ``"cpu"``.
        rows: sequences.
        new: tokens written to each.

    Returns:
        The comparison with ``generate``, and that with the model's products alone.
    """
    import copy

    now = CLOCKS[clock]
    loaded: Any = load_backbone(path)
    theirs = copy.deepcopy(loaded.model).to(_DTYPES[dtype])
    ours = CausalBackbone(loaded.model, autocast=None if dtype == "float32" else _DTYPES[dtype])
    torch.manual_seed(0)
    ids = torch.randint(10, loaded.vocab_size, (rows, _PROMPT))

    def hugging_face() -> float:
        marks = _Marks(now)
        theirs.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            top_k=0,
            max_new_tokens=new,
            min_new_tokens=new,
            logits_processor=[marks],
            pad_token_id=0,
        )
        return marks.times[-1] - marks.times[0]

    def own() -> float:
        marks = _Marks(now)
        generate(ours, ids, new, marks.mark)
        return marks.times[-1] - marks.times[0]

    products = _products(loaded.model.config, rows, _DTYPES[dtype])

    def ceiling() -> float:
        start = now()
        for _ in range(new - 1):
            products()
        return now() - start

    taken = interleaved({"generate": hugging_face, "textenvs": own, "products alone": ceiling}, repeats, clock)
    tokens = rows * (new - 1)
    name = f"decode, {loaded.model.config.num_hidden_layers} layers of {loaded.hidden_size}, batch {rows}, {dtype}"
    sides = {side: taken[side] for side in ("generate", "textenvs")}
    against = compare(sides, "generate", "textenvs", name, tokens, "tokens/s", goal=1.5)
    sides = {side: taken[side] for side in ("products alone", "textenvs")}
    share = compare(sides, "products alone", "textenvs", f"{name}: share of the ceiling", tokens, "tokens/s", goal=0.5)
    return [against, share]


@torch.no_grad()
def _products(config: Any, rows: int, dtype: torch.dtype) -> Callable[[], None]:
    """The matrix products of one token for ``rows`` rows, each as fast as torch has it, and nothing else."""
    hidden, inner = config.hidden_size, config.intermediate_size
    heads = (config.num_attention_heads + 2 * config.num_key_value_heads) * config.head_dim
    shapes = [
        (hidden, heads),
        (config.num_attention_heads * config.head_dim, hidden),
        (hidden, 2 * inner),
        (inner, hidden),
    ]
    layers = [shape for _ in range(config.num_hidden_layers) for shape in shapes] + [(hidden, config.vocab_size)]
    calls: list[tuple[Any, tuple[Any, ...]]] = []
    for into, out in layers:
        given, weight = torch.randn(rows, into, dtype=dtype), torch.randn(out, into, dtype=dtype)
        if torch.backends.mkldnn.is_available():
            packed = torch.ops.mkldnn._reorder_linear_weight(weight)
            calls.append((torch.ops.mkldnn._linear_pointwise, (given, packed, None, "none", [], "")))
        else:
            calls.append((torch.nn.functional.linear, (given, weight)))

    @torch.no_grad()
    def run() -> None:
        for call, arguments in calls:
            call(*arguments)

    return run


def share_outside(
    backbone: Any, name: str, limit: float, repeats: int, num_envs: int = 32, steps: int = 32, **env_kwargs: Any
) -> Comparison:
    """The share of a token-level rollout's time that is not the model's: environments, bookkeeping, sampling.

    The ratio is ``limit`` over that share, so that 1 is the goal.
    """
    model: Any = agents.make(
        "ppo",
        "TextDialogue-v0",
        backbone=backbone,
        num_envs=num_envs,
        env_kwargs={"window": 256, "max_utterance_tokens": 16, **env_kwargs},
        n_steps=steps,
        batch_size=steps * num_envs,
    )
    reader = model.policy.reader
    inside = [0.0]

    def clocked(function: Any) -> Any:
        def call(*positional: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            result = function(*positional, **keywords)
            inside[0] += time.perf_counter() - start
            return result

        return call

    decoder = reader.backbone.decoder
    decoder.generate, decoder.advance = clocked(decoder.generate), clocked(decoder.advance)
    reader.backbone.logits = clocked(reader.backbone.logits)
    model.train = model.policy.reader.forget  # the next rollout begins as after an update: with nothing cached
    shares, rates = [], []
    for round_ in range(repeats + 1):
        inside[0] = 0.0
        start = time.perf_counter()
        model.learn(steps * num_envs, reset_num_timesteps=False)
        taken = time.perf_counter() - start
        if round_:
            shares.append(1 - inside[0] / taken)
            rates.append(steps * num_envs / taken)
    middle = statistics.median(shares)
    return Comparison(
        f"rollout, share of time outside the model, {name}, {num_envs} environments",
        f"at most {limit:.0%}",
        "tokens/s",
        limit / middle,
        (limit / max(shares), limit / min(shares)),
        1.0,
        {"share outside": middle, "rate": statistics.median(rates)},
    )
