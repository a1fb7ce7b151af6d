"""What configs may name as a ``type``: MMagic's components in use, and ours.

Importing a component registers it. To use another one of MMagic's, import it here.
"""

# ruff: noqa: F401

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
from .models import face_unet, perceptual_loss, stock
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
