"""Mixed precision that needs no gradient scaler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from mmagic.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper
from torch import nn


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):
    """MMEngine's ``OptimWrapper`` with bfloat16 autocast, on a CUDA GPU or a CPU.

    bfloat16 has float32's range, so nothing overflows; MMEngine's ``AmpOptimWrapper`` brings a
    gradient scaler all the same and asserts a GPU. Weights, gradients and the optimiser stay
    float32. A device that is slow in bfloat16 (:func:`is_fast_in_bf16`) computes in float32.

    Args: as ``mmengine.optim.OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device
        bf16 = torch.autocast(device.type, torch.bfloat16, enabled=is_fast_in_bf16(device))
        with super().optim_context(model), bf16:
            yield


@cache
def is_fast_in_bf16(device: torch.device) -> bool:
    """Whether a device multiplies matrices of bfloat16 itself.

    GPUs since NVIDIA's Ampere do, and CPUs with AVX512-BF16 or AMX; on others PyTorch emulates it,
    10 to 25 times slower than float32.
    """
    if device.type == 'cuda':
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, 'get_capabilities'):  # an older PyTorch
        return False
    return any(torch.cpu.get_capabilities().get(name) for name in ('avx512_bf16', 'amx_bf16'))
