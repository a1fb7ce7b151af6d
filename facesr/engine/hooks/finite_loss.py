"""A run whose numbers are lost stops, before they reach the weights or a checkpoint."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from ...errors import UserError


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops a run at the first loss or gradient that is not finite.

    MMEngine's ``CheckInvalidLossHook`` looks every 50 iterations, at the sum alone, after the
    optimiser's step; a checkpoint may have been spoilt by then. Here a step by such a gradient is
    left out.
    What a gradient scaler finds and skips (fp16's ordinary overflow) is left to it.

    Raises:
        UserError: names the iteration, the loss or net, and the last checkpoint.
    """

    priority = 'VERY_HIGH'  # before anything is saved

    def before_train(self, runner: Runner) -> None:
        self._bad_gradients: list[str] = []
        wrapper = runner.optim_wrapper
        wrappers = dict(
            wrapper.items() if isinstance(wrapper, OptimWrapperDict) else [('', wrapper)]
        )
        for name, one in wrappers.items():
            one.optimizer.register_step_pre_hook(partial(self._before_step, name or 'generator'))

    def _before_step(self, name: str, optimizer: Optimizer, *args: Any) -> None:
        if getattr(optimizer, 'found_inf', None) is not None:  # a fused step with a scaler's word
            return
        weights = [weight for group in optimizer.param_groups for weight in group['params']]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if not torch.isfinite(get_total_norm(gradients)):
            self._bad_gradients.append(name)
            optimizer.zero_grad(set_to_none=True)  # nothing to step by: the weights stay

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        losses = {name: torch.as_tensor(value).item() for name, value in (outputs or {}).items()}
        found = [f'{name} is {loss}' for name, loss in losses.items() if not math.isfinite(loss)]
        found = found or [f"the {name}'s gradient is not finite" for name in self._bad_gradients]
        if not found:
            return
        hub = runner.message_hub
        last = hub.get_info('last_ckpt') or hub.get_info('best_ckpt')
        kept = f'the last good checkpoint is {last}' if last else 'no checkpoint had been saved yet'
        raise UserError(
            f'iteration {runner.iter + 1}: {" and ".join(found)}; training stopped, {kept}; '
            'try a lower learning rate, and look at the last images'
        )
