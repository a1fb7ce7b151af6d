"""One hook a file."""

from .bounded_history import BoundedHistoryHook
from .device_degradation import DeviceDegradationHook
from .finite_loss import FiniteLossHook
from .generator_ema import GeneratorEMAHook
from .pretrained_generator import PretrainedGeneratorHook
from .run_summary import RunSummaryHook, count_parameters
from .safe_checkpoint import SafeCheckpointHook

__all__ = [
    'BoundedHistoryHook',
    'DeviceDegradationHook',
    'FiniteLossHook',
    'GeneratorEMAHook',
    'PretrainedGeneratorHook',
    'RunSummaryHook',
    'SafeCheckpointHook',
    'count_parameters',
]
