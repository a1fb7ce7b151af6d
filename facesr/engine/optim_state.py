"""An optimiser's state of a checkpoint, fit for the run that resumes from it."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor

#: How an optimiser computes its step, not which step.
_MEANS = ('capturable', 'foreach', 'fused')


def keep_means(wrapper: OptimWrapper | OptimWrapperDict, saved: dict[str, Any]) -> None:
    """Have a step computed as the config says, not as the run did that wrote the checkpoint.

    PyTorch takes ``fused`` and its like over from the checkpoint with the learning rate.

    Args:
        wrapper: the run's.
        saved: the checkpoint's ``optimizer``, not yet loaded; changed in place.
    """
    if isinstance(wrapper, OptimWrapperDict):
        for net, one in wrapper.items():
            keep_means(one, saved[net])
        return
    for group, own in zip(saved['param_groups'], wrapper.param_groups, strict=False):
        group.update({key: own[key] for key in _MEANS if key in own})


def match_layout(wrapper: OptimWrapper | OptimWrapperDict) -> None:
    """Give all state of a weight's shape the weight's memory format.

    PyTorch loads it in the layout in which it was saved; fused optimisers walk weight and state as
    they lie in memory, and make a wrong step without a word where the layouts differ.

    Args:
        wrapper: the run's, its weights laid out as they are trained.
    """
    for one in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
        for weight, state in one.optimizer.state.items():
            for key, value in state.items():
                if (
                    isinstance(value, Tensor)
                    and value.shape == weight.shape
                    and value.stride() != weight.stride()
                ):
                    laid_out = torch.empty_like(weight, dtype=value.dtype, device=value.device)
                    state[key] = laid_out.copy_(value)
