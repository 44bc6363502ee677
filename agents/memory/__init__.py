"""Buffers that store tokens compactly and hand out packed batches; the row-wise key-value cache."""

from agents.memory.cache import RowCache
from agents.memory.maskable import PackedMaskableRolloutBuffer
from agents.memory.packed import PackedBatch
from agents.memory.packed_replay import PackedReplayBuffer
from agents.memory.prioritized import PrioritizedReplayBuffer
from agents.memory.replay import TokenReplayBuffer
from agents.memory.rollout import PackedRolloutBuffer

__all__ = [
    "PackedBatch",
    "PackedMaskableRolloutBuffer",
    "PackedReplayBuffer",
    "PackedRolloutBuffer",
    "PrioritizedReplayBuffer",
    "RowCache",
    "TokenReplayBuffer",
]
