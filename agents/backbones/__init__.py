"""Language models behind one interface; one file per kind."""

from agents.backbones.base import Backbone
from agents.backbones.causal import CausalBackbone
from agents.backbones.loading import GRU, KINDS, TINY, from_scratch, load_backbone, register_backbone
from agents.backbones.masked import MaskedBackbone
from agents.backbones.permutation import PermutationBackbone
from agents.backbones.recurrent import RecurrentBackbone

__all__ = [
    "GRU",
    "KINDS",
    "TINY",
    "Backbone",
    "CausalBackbone",
    "MaskedBackbone",
    "PermutationBackbone",
    "RecurrentBackbone",
    "from_scratch",
    "load_backbone",
    "register_backbone",
]
