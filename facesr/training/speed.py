"""Faster iterations: nets laid out for tensor cores and compiled, bfloat16 autocast."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmagic.models import ModifiedVGG
from mmagic.registry import HOOKS, OPTIM_WRAPPERS
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from ..nets import is_fast_in_bf16, unwrap, unwrap_generator
from . import PRIORITIES


@HOOKS.register_module()
class FastStepHook(Hook):
    """Lays out the nets for tensor cores and compiles them; ``Bf16OptimWrapper`` does the rest.

    The nets are the generator, the discriminator and the perceptual loss's VGG. Validations run
    uncompiled, so that no time goes into compiling for their shapes.

    ``channels_last`` lays out weights and features as (N, H, W, C), as 16-bit convolutions want.
    ``compile`` has arguments of ``torch.compile``; None compiles nothing. It takes a C++ compiler,
    and minutes of the first iteration.
    """

    priority = PRIORITIES['FastStepHook']

    def __init__(self, channels_last: bool = True, compile: dict[str, Any] | None = None) -> None:
        self.channels_last = channels_last
        self.compile = compile

    def before_train(self, runner: Runner) -> None:
        for net in _nets(runner):
            if self.channels_last:
                net.to(memory_format=torch.channels_last)
                if isinstance(net, ModifiedVGG):  # its view() wants the other order
                    net.bn4_1.register_forward_hook(lambda net, args, output: output.contiguous())
            if self.compile is not None:
                net.compile(**self.compile)

    def before_val(self, runner: Runner) -> None:
        if self.compile is not None:
            torch.compiler.set_stance('force_eager')

    def after_val(self, runner: Runner) -> None:
        if self.compile is not None:
            torch.compiler.set_stance('default')


def _nets(runner: Runner) -> list[nn.Module]:
    model = unwrap(runner.model)
    vgg = getattr(getattr(model, 'perceptual_loss', None), 'vgg', None)
    others = (getattr(model, 'discriminator', None), vgg)
    return [unwrap_generator(runner), *(unwrap(net) for net in others if net is not None)]


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):
    """MMEngine's ``OptimWrapper`` with bfloat16 autocast, on a CUDA GPU or a CPU.

    bfloat16 has float32's range, so nothing overflows; MMEngine's ``AmpOptimWrapper`` still brings
    a gradient scaler, and asserts a GPU. Weights, gradients and the optimiser stay float32. A
    device that is slow in bfloat16 (:func:`facesr.nets.is_fast_in_bf16`) computes in float32.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device
        bf16 = torch.autocast(device.type, torch.bfloat16, enabled=is_fast_in_bf16(device))
        with super().optim_context(model), bf16:
            yield
