"""Mixed precision that needs no gradient scaler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmagic.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper
from torch import nn


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):
    """MMEngine's ``OptimWrapper`` with bfloat16 autocast, on a CUDA GPU or a CPU.

    bfloat16 has float32's range, so nothing overflows; MMEngine's ``AmpOptimWrapper`` brings a
    gradient scaler all the same and asserts a GPU. Weights, gradients and the optimiser stay
    float32.

    Args: as ``mmengine.optim.OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
