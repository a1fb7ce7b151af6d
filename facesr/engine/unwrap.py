"""The nets behind MMEngine's wrappers for several GPUs."""

from __future__ import annotations

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def unwrap(module: nn.Module) -> nn.Module:
    """The module itself, without the wrapper that a distributed run puts around it."""
    inner: nn.Module = module.module if is_model_wrapper(module) else module
    return inner


def unwrap_generator(runner: Runner) -> nn.Module:
    """A runner's generator; wrapped apart from the discriminator in a distributed SRGAN."""
    return unwrap(unwrap(runner.model).generator)
