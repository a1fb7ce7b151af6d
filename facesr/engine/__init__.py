"""Loops, hooks and checkpoints: what MMEngine lacks."""

from .checkpoint import load_generator, read_checkpoint
from .loop import ResumableTrainLoop
from .muon import MuonAdam
from .optim import Bf16OptimWrapper
from .train import train

__all__ = [
    'Bf16OptimWrapper',
    'MuonAdam',
    'ResumableTrainLoop',
    'load_generator',
    'read_checkpoint',
    'train',
]
