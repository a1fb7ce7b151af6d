"""The nets behind MMEngine's wrappers for several GPUs."""

from __future__ import annotations

from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def unwrap(module: nn.Module) -> Any:
    """The module itself, without the wrapper that a distributed run puts around it."""
    return module.module if is_model_wrapper(module) else module


def unwrap_generator(runner: Runner) -> nn.Module:
    """A runner's generator; wrapped apart from the discriminator in a distributed SRGAN."""
    generator: nn.Module = unwrap(unwrap(runner.model).generator)
    return generator
