"""Blind face super-resolution (128x128 -> 512x512) on MMagic and MMEngine.

Importing the package registers what configs may name as a ``type``: MMagic's components in use, and
ours. To use another one of MMagic's, import it here. A config imports the package by itself, with
``custom_imports``.
"""

# ruff: noqa: E402, F401

from . import compat

compat.install()

from mmagic.engine.optimizers import MultiOptimWrapperConstructor
from mmagic.engine.runner import LogProcessor, MultiTestLoop, MultiValLoop
from mmagic.evaluation import NIQE, PSNR, SSIM, Evaluator
from mmagic.models import (
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

from .data import dataset, loader
from .degradation import first_order, preprocessor, second_order
from .models import face_photo, face_unet, perceptual_loss, stock
from .restoring import metrics
from .training import (
    checkpoints,
    generator,
    loop,
    losses,
    optimiser,
    output,
    progress,
    speed,
)

__version__ = '0.1.0'
