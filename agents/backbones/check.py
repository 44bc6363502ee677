"""Hold a backbone against what policies, buffers and caches count on."""

from __future__ import annotations

import tempfile

import torch

from agents.backbones.base import Backbone

_SEQUENCES, _TOKENS, _STEPS, _ROUNDS = 4, 24, 32, 20
_TOLERANCE = 1e-4


@torch.no_grad()
def check_backbone(backbone: Backbone, seed: int = 0) -> None:
    """Read random ids in many ways that must all give the same.

    Args:
        backbone: what is checked, in float32; its weights stay as they are.
        seed: of the ids.

    Raises:
        ValueError: a contract is broken; the message says which.
    """
    rng = torch.Generator().manual_seed(seed)

    def draw(*shape: int, low: int = 0, high: int = backbone.vocab_size) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=rng)

    def require(one: torch.Tensor, other: torch.Tensor, contract: str) -> None:
        if one.shape != other.shape or one.dtype != torch.float32 or not torch.allclose(one, other, atol=_TOLERANCE):
            raise ValueError(f"{type(backbone).__name__}: {contract}")

    ids, segment, position = draw(_SEQUENCES, _TOKENS), draw(_STEPS, high=_SEQUENCES), draw(_STEPS, high=_TOKENS)
    states = backbone.states(ids, segment, position)
    require(states, states.new_zeros(_STEPS, backbone.hidden_size) + states, "states must be (steps, hidden) float32")
    logits = backbone.logits(states)
    require(
        logits, logits.new_zeros(_STEPS, backbone.vocab_size) + logits, "logits must be (steps, vocabulary) float32"
    )

    places = torch.arange(_TOKENS)
    for step in range(_STEPS):
        later = places > position[step]
        changed = torch.where(later, draw(_TOKENS), ids[segment[step]])[None]
        where = torch.zeros(1, dtype=torch.int64), position[step, None]
        alone = backbone.states(changed, *where)[0]
        require(alone, states[step], "a state must not depend on later tokens or on other sequences (no look-ahead)")
        cut = backbone.states(changed[:, : position[step] + 1], *where)[0]
        require(cut, states[step], "a state must not depend on padding")
        other = changed.clone()
        other[0, 0] = (other[0, 0] + 1) % backbone.vocab_size
        if torch.equal(backbone.states(other, *where)[0], alone):
            raise ValueError(
                f"{type(backbone).__name__}: a state must depend on its whole context, from the first token"
            )
    order = torch.randperm(_STEPS, generator=rng)
    mixed = backbone.states(ids, segment[order], position[order])
    require(mixed, states[order], "states must not depend on the order of the steps")
    require(backbone(ids)[segment, position], states, "forward must give the states of all places")

    cache, rows = backbone.new_cache(_SEQUENCES, _TOKENS), torch.arange(_SEQUENCES)
    lengths = draw(_SEQUENCES, low=1, high=_TOKENS // 2)
    for turn in range(_ROUNDS):
        found = cache.last_hidden(ids, lengths)
        require(found, backbone.states(ids, rows, lengths - 1), "a cache must give what reading anew gives")
        lengths = (lengths + draw(_SEQUENCES, high=3)).clamp(max=_TOKENS)
        again = turn % _SEQUENCES  # one row begins anew
        ids[again], lengths[again] = draw(_TOKENS), 1 + turn % 5

    with tempfile.TemporaryDirectory() as folder:
        backbone.model.save_pretrained(folder)
        saved = type(backbone)(type(backbone).from_pretrained(folder))
        same = torch.equal(saved.states(ids, rows, lengths - 1), backbone.states(ids, rows, lengths - 1))
    if not same:
        raise ValueError(f"{type(backbone).__name__}: a saved model must be read back as it was")
