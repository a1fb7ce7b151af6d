"""Loops, hooks and checkpoints: what MMEngine lacks."""

from .checkpoint import load_generator, read_checkpoint
from .hooks import (
    DeviceDegradationHook,
    FiniteLossHook,
    GeneratorEMAHook,
    PretrainedGeneratorHook,
    RunSummaryHook,
    SafeCheckpointHook,
)
from .optim import Bf16OptimWrapper
from .train import train

__all__ = [
    'Bf16OptimWrapper',
    'DeviceDegradationHook',
    'FiniteLossHook',
    'GeneratorEMAHook',
    'PretrainedGeneratorHook',
    'RunSummaryHook',
    'SafeCheckpointHook',
    'load_generator',
    'read_checkpoint',
    'train',
]
