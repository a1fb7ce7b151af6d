"""One hook a file."""

from .device_degradation import DeviceDegradationHook
from .fast_step import FastStepHook
from .generator_ema import GeneratorEMAHook
from .loss import LossHook
from .pretrained_generator import PretrainedGeneratorHook
from .run_summary import RunSummaryHook, count_parameters
from .safe_checkpoint import SafeCheckpointHook

__all__ = [
    'DeviceDegradationHook',
    'FastStepHook',
    'GeneratorEMAHook',
    'LossHook',
    'PretrainedGeneratorHook',
    'RunSummaryHook',
    'SafeCheckpointHook',
    'count_parameters',
]
