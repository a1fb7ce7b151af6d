"""Blind face super-resolution (128x128 -> 512x512) on MMagic and MMEngine.

Importing the package registers what the configs name: MMagic's components in use, and ours.
A config does it by itself, with ``custom_imports``.
"""

from . import compat

compat.install()

from mmagic.datasets.transforms import (  # noqa: E402
    CopyValues,
    Flip,
    PackInputs,
    PairedRandomCrop,
    RandomBlur,
    RandomJPEGCompression,
    RandomNoise,
    RandomResize,
    SetValues,
)
from mmagic.engine.optimizers import MultiOptimWrapperConstructor  # noqa: E402
from mmagic.engine.runner import LogProcessor, MultiTestLoop, MultiValLoop  # noqa: E402
from mmagic.evaluation import NIQE, PSNR, SSIM, Evaluator  # noqa: E402
from mmagic.models import (  # noqa: E402
    SRGAN,
    BaseEditModel,
    CharbonnierLoss,
    DataPreprocessor,
    GANLoss,
    L1Loss,
    ModifiedVGG,
    MSELoss,
    MSRResNet,
    PSNRLoss,
)

from .data import DrawSampler, FaceDataset, LoadFace  # noqa: E402
from .degradation.preprocessor import FacePreprocessor  # noqa: E402
from .degradation.transform import BlindDegradation, collate_faces  # noqa: E402
from .engine import Bf16OptimWrapper, MuonAdam, ResumableTrainLoop  # noqa: E402
from .engine.hooks import (  # noqa: E402
    DeviceDegradationHook,
    DurableCheckpointHook,
    FastStepHook,
    GeneratorEMAHook,
    LossHook,
    PanelHook,
    PretrainedGeneratorHook,
    ProgressHook,
    RunSummaryHook,
    SafeCheckpointHook,
    StopHook,
)
from .evaluation.metrics import BatchPSNR, BatchSSIM  # noqa: E402
from .models import (  # noqa: E402
    FaceEditModel,
    FaceSRGAN,
    FaceUNet,
    SRResNet,
    VGGPerceptualLoss,
)
from .report import PanelVisualizer  # noqa: E402

__version__ = '0.1.0'

__all__ = [
    'NIQE',
    'PSNR',
    'SRGAN',
    'SSIM',
    'BaseEditModel',
    'BatchPSNR',
    'BatchSSIM',
    'Bf16OptimWrapper',
    'BlindDegradation',
    'CharbonnierLoss',
    'CopyValues',
    'DataPreprocessor',
    'DeviceDegradationHook',
    'DrawSampler',
    'DurableCheckpointHook',
    'Evaluator',
    'FaceDataset',
    'FaceEditModel',
    'FacePreprocessor',
    'FaceSRGAN',
    'FaceUNet',
    'FastStepHook',
    'Flip',
    'GANLoss',
    'GeneratorEMAHook',
    'L1Loss',
    'LoadFace',
    'LogProcessor',
    'LossHook',
    'MSELoss',
    'MSRResNet',
    'ModifiedVGG',
    'MultiOptimWrapperConstructor',
    'MultiTestLoop',
    'MultiValLoop',
    'MuonAdam',
    'PSNRLoss',
    'PackInputs',
    'PairedRandomCrop',
    'PanelHook',
    'PanelVisualizer',
    'PretrainedGeneratorHook',
    'ProgressHook',
    'RandomBlur',
    'RandomJPEGCompression',
    'RandomNoise',
    'RandomResize',
    'ResumableTrainLoop',
    'RunSummaryHook',
    'SRResNet',
    'SafeCheckpointHook',
    'SetValues',
    'StopHook',
    'VGGPerceptualLoss',
    'collate_faces',
]
