"""How near generation and training come to what a GPU can do: ``python -m benchmarks.gpu``.

Models are random Llamas of 0.1 and 1 billion weights in bfloat16. Generation is held against the bandwidth of the
memory (weights and cached keys and values have to be read for every token), training against the rate of a large matrix
product; both are measured on the same device in the same run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

SIZES: dict[str, dict[str, int]] = {
    "0.1B": {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 12},
    "1B": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
    "nano": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
}
_KEY_HEADS = {"0.1B": 12, "1B": 8, "nano": 4}
_VOCABULARY = 32_000


def backbone_of(size: str, positions: int) -> Any:
    """A random Llama that computes in bfloat16."""
    from agents.backbones import load_backbone

    torch.manual_seed(0)
    config = {
        "model_type": "llama",
        "vocab_size": _VOCABULARY,
        "num_key_value_heads": _KEY_HEADS[size],
        "max_position_embeddings": positions,
        "tie_word_embeddings": True,
        **SIZES[size],
    }
    return load_backbone(config, kind="causal", dtype="bfloat16")


def seconds(work: Callable[[], Any], device: torch.device, repeats: int, warm_up: int = 2) -> float:
    """The median time of ``work``, with the device idle before and after."""
    taken = []
    for round_ in range(warm_up + repeats):
        _wait(device)
        start = time.perf_counter()
        work()
        _wait(device)
        if round_ >= warm_up:
            taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def bandwidth(device: torch.device, repeats: int, count: int = 1 << 28) -> float:
    """Bytes a second that reading a large array reaches."""
    array = torch.ones(count, dtype=torch.bfloat16, device=device)
    return 2 * count / seconds(array.sum, device, repeats)


def product_rate(device: torch.device, repeats: int, size: int = 8192) -> float:
    """Operations a second of a large bfloat16 product."""
    one, other = (torch.randn(size, size, dtype=torch.bfloat16, device=device) for _ in range(2))
    return 2 * size**3 / seconds(lambda: one @ other, device, repeats)


@torch.no_grad()
def decode(backbone: Any, rows: int, context: int, new: int, static: bool, repeats: int) -> dict[str, float]:
    """Tokens and bytes a second while ``rows`` sequences of ``context`` tokens are continued by ``new``."""
    from agents.policies.chosen import pick

    device = backbone.device
    cache = backbone.new_cache(rows, context + new)
    cache.static = static
    written = torch.randint(10, _VOCABULARY, (rows, context + new), device=device)

    def go_on(first: int, last: int) -> None:
        for length in range(first, last):
            hidden = cache.last_hidden(written, torch.full((rows,), length))
            if length < written.shape[1]:
                written[:, length] = pick(backbone.logits(hidden))[0]

    def run() -> float:
        cache.lengths.zero_()
        go_on(context, context + 2)  # reads the contexts and records what is to be recorded
        _wait(device)
        start = time.perf_counter()
        go_on(context + 2, context + new)
        _wait(device)
        return (time.perf_counter() - start) / (new - 2)

    run()
    step = statistics.median(run() for _ in range(repeats))
    config = backbone.model.config
    weights = 2 * sum(parameter.numel() for parameter in backbone.model.parameters())
    kept = 2 * 2 * rows * config.num_key_value_heads * config.head_dim * config.num_hidden_layers * (context + new // 2)
    return {"tokens/s": rows / step, "bytes/s": (weights + kept) / step}


def train(backbone: Any, rows: int, context: int, repeats: int, compiled: bool) -> dict[str, float]:
    """Tokens and operations a second of one packed gradient step: every second token is one that the agent said."""
    from agents.policies.chosen import score_states

    device = backbone.device
    decoder = backbone.decoder
    if compiled:
        decoder.run = torch.compile(decoder.run, dynamic=False)
    optimizer = torch.optim.AdamW(backbone.parameters(), lr=1e-5, fused=device.type == "cuda")
    ids = torch.randint(10, _VOCABULARY, (rows, context), device=device)
    segment = torch.arange(rows, device=device).repeat_interleave(context // 2)
    position = torch.arange(0, context - 1, 2, device=device).repeat(rows)
    actions = ids[segment, position + 1]

    def step() -> None:
        optimizer.zero_grad()
        states = backbone.states(ids, segment, position)
        log_prob, entropy = score_states(backbone.logits, states, _VOCABULARY, actions, None)
        (-log_prob.mean() - 0.01 * entropy.mean()).backward()
        optimizer.step()

    taken = seconds(step, device, repeats)
    config = backbone.model.config
    embedded = _VOCABULARY * config.hidden_size
    inner = sum(parameter.numel() for parameter in backbone.model.parameters()) - embedded
    tokens = rows * context
    # Six operations for a weight and a token (Kaplan et al. 2020, sec. 2.1), the head where it is asked, attention.
    attention = 6 * tokens * context * config.num_attention_heads * config.head_dim * config.num_hidden_layers
    operations = 6 * inner * tokens + 6 * embedded * len(segment) + attention
    return {"tokens/s": tokens / taken, "operations/s": operations / taken}


def measure(args: argparse.Namespace, device: torch.device, console: Console) -> dict[str, Any]:
    """All figures, printed as a table."""
    memory, rate = bandwidth(device, args.repeats, args.array), product_rate(device, args.repeats, args.product)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    console.print(f"{name}: {memory / 1e9:,.0f} GB/s, {rate / 1e12:,.1f} T operations/s in bfloat16, both measured")
    found: dict[str, Any] = {"device": name, "bandwidth": memory, "product rate": rate, "rows": []}
    table = Table(title="Generation and training")
    for column in ("model", "what", "tokens/s", "share of", "share", "aim"):
        table.add_column(column)
    for size in args.sizes:
        backbone = backbone_of(size, args.context + args.new).to(device)
        for static in (False, True):
            figures = decode(backbone, args.rows, args.context, args.new, static, args.repeats)
            what = f"decode, batch {args.rows}" + (", recorded graph" if static else "")
            row = (size, what, figures["tokens/s"], "bandwidth", figures["bytes/s"] / memory, 0.6)
            found["rows"].append(row)
        for compiled in (False, True) if args.compile else (False,):
            figures = train(backbone, args.rows, args.context, args.repeats, compiled)
            what = "packed training" + (", compiled" if compiled else "")
            row = (size, what, figures["tokens/s"], "product rate", figures["operations/s"] / rate, 0.4)
            found["rows"].append(row)
        del backbone
        if device.type == "cuda":
            torch.cuda.empty_cache()
    for size, what, tokens, of, share, aim in found["rows"]:
        table.add_row(size, what, f"{tokens:,.0f}", of, f"{share:.0%}", f"{aim:.0%}")
    console.print(table)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, also where there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--sizes", nargs="+", choices=sorted(SIZES), default=["0.1B", "1B"])
    parser.add_argument("--rows", type=int, default=32, help="sequences (32)")
    parser.add_argument("--context", type=int, default=512, help="tokens of each (512)")
    parser.add_argument("--new", type=int, default=64, help="tokens to generate (64)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="measure training with torch.compile, too")
    parser.add_argument(
        "--array", type=int, default=1 << 28, help="elements of the array that bandwidth is measured on"
    )
    parser.add_argument("--product", type=int, default=8192, help="size of the product that the rate is measured on")
    parser.add_argument("--device", default="cuda", help="another one than cuda, to try the script (cuda)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args(argv)
    console = Console()
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        console.print("There is no GPU here (torch.cuda.is_available() is False): nothing to measure.")
        return 0
    found = measure(args, device, console)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(found, indent=1))
    return 0


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    raise SystemExit(main())
