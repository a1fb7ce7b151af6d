"""One hook a file."""

from .device_degradation import DeviceDegradationHook
from .durable_checkpoint import DurableCheckpointHook
from .fast_step import FastStepHook
from .generator_ema import GeneratorEMAHook
from .loss import LossHook
from .panel import PanelHook
from .pretrained_generator import PretrainedGeneratorHook
from .progress import ProgressHook
from .run_summary import RunSummaryHook, count_parameters
from .safe_checkpoint import SafeCheckpointHook
from .stop import StopHook

__all__ = [
    'DeviceDegradationHook',
    'DurableCheckpointHook',
    'FastStepHook',
    'GeneratorEMAHook',
    'LossHook',
    'PanelHook',
    'PretrainedGeneratorHook',
    'ProgressHook',
    'RunSummaryHook',
    'SafeCheckpointHook',
    'StopHook',
    'count_parameters',
]
