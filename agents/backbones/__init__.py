"""Language models behind one interface; one file per kind."""

from agents.backbones.causal import CausalBackbone
from agents.backbones.loading import TINY, load_backbone

__all__ = ["TINY", "CausalBackbone", "load_backbone"]
