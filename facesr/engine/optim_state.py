"""An optimiser's state of a checkpoint, fit for the run that resumes from it."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor


def take_settings(wrapper: OptimWrapper | OptimWrapperDict, saved: dict[str, Any]) -> None:
    """Have an optimiser resume with the config's settings: its state is what a checkpoint holds.

    PyTorch takes learning rates, ``fused`` and all other settings from the checkpoint, and ignores
    what was changed in the config. The learning rate keeps its place in the schedule.

    Args:
        wrapper: the run's.
        saved: the checkpoint's ``optimizer``, not yet loaded; changed in place.
    """
    if isinstance(wrapper, OptimWrapperDict):
        for net, one in wrapper.items():
            take_settings(one, saved[net])
        return
    groups = [*saved['param_groups']]
    if 'base_param_settings' in saved:  # of several groups; MMEngine logs its rate
        groups.append(saved['base_param_settings'])
    for group, own in zip(groups, wrapper.param_groups, strict=False):
        before, rate = group.get('initial_lr', group['lr']), own.get('initial_lr', own['lr'])
        if before != rate:
            print_log(f'learning rate: {rate:g} by the config, {before:g} before', 'current')
        share = group['lr'] / before if before else 1.0
        group.update({key: value for key, value in own.items() if key != 'params'})
        group['lr'] = rate * share


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
