"""Loops, hooks and checkpoints: what MMEngine lacks."""

from .checkpoint import load_weights, read_checkpoint
from .hooks import RunSummaryHook, SafeCheckpointHook
from .train import train

__all__ = ['RunSummaryHook', 'SafeCheckpointHook', 'load_weights', 'read_checkpoint', 'train']
