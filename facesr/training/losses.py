"""Losses on their way to the log: read from the device when needed, checked, kept for a while."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from mmagic.registry import HOOKS
from mmengine.hooks import CheckpointHook, LoggerHook, RuntimeInfoHook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from ..errors import UserError
from . import PRIORITIES
from .optimiser import wrappers_of


class _Number(NamedTuple):
    """A loss or a gradient's norm that is still on its device."""

    value: Tensor
    scalar: str | None  # its name in the message hub; None where it is only checked
    problem: str  # what is said if it is not finite


class _Norm:
    """The norm of a net's gradient at its last step.

    It takes the place of the wrapper's clipping function, and returns nothing: the wrapper would
    read the norm at once. Where nothing is clipped, the norm is computed before the step.
    """

    def __init__(self, name: str, wrapper: OptimWrapper) -> None:
        net = name or 'generator'
        self.problem = f"the {net}'s gradient is not finite"
        self.scalar: str | None = None
        self._clipped: Tensor | None = None
        self._norm: Tensor | None = None
        if wrapper.clip_grad_kwargs:
            self._clip = wrapper.clip_func
            self.scalar = f'train/{name}.grad_norm' if name else 'train/grad_norm'
            wrapper.clip_func = self
        wrapper.optimizer.register_step_pre_hook(self._before_step)

    def __call__(self, *args: Any, **limits: Any) -> None:
        self._clipped = self._clip(*args, **limits)

    def _before_step(self, optimizer: Optimizer, *args: Any) -> None:
        if getattr(optimizer, 'found_inf', None) is not None:  # a scaler's, for a fused step
            return
        self._norm = self._clipped
        if self._norm is None:
            weights = [weight for group in optimizer.param_groups for weight in group['params']]
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            self._norm = get_total_norm(gradients)

    def take(self) -> Iterable[_Number]:
        """Give the norm once, if there was a step since the last time."""
        norm, self._norm, self._clipped = self._norm, None, None
        return () if norm is None else (_Number(norm, self.scalar, self.problem),)


@HOOKS.register_module()
class LossHook(RuntimeInfoHook):
    """MMEngine's ``RuntimeInfoHook``, without waiting for the device; lost numbers stop the run.

    MMagic's models compute the losses themselves (``model.pixel_loss`` in a config, and so on).

    The stock hook reads every loss in every iteration, and ``OptimWrapper`` the norm that it clips
    with; each reading waits until the device has caught up. The stock histories copy all earlier
    values at every iteration (0.7 ms a scalar after 150,000 iterations, 0.006 ms after 1,000, on
    one core) and fill the checkpoints.

    Here losses and norms of gradients stay on a GPU until a log line, a validation, a checkpoint or
    the end of the run needs them, and are then read in one copy; on a CPU they are read at once.
    What a gradient scaler finds and skips (fp16's ordinary overflow) is left to it. No checkpoint
    is written after the first iteration of which a loss or a gradient is not finite.

    ``history`` values are kept of each scalar; at least the log processor's window.
    """

    priority = PRIORITIES['LossHook']

    def __init__(self, history: int = 1000) -> None:
        self.history = history

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        #: By iteration; not read yet.
        self._pending: dict[int, list[_Number]] = {}
        self._norms = [_Norm(*item) for item in wrappers_of(runner.optim_wrapper).items()]
        readers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook | CheckpointHook)]
        self._intervals = [hook.interval for hook in readers if hook.interval > 0]

    def after_train_iter(
        self, runner: Runner, *args: Any, outputs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        losses = [
            _Number(torch.as_tensor(value).detach(), f'train/{name}', f'{name} is {{}}')
            for name, value in (outputs or {}).items()
        ]
        now = runner.iter + 1
        self._pending[now] = [*losses, *(number for norm in self._norms for number in norm.take())]
        needed = now == runner.max_iters or any(now % every == 0 for every in self._intervals)
        if needed or self._is_free(losses):
            self._read(runner)

    def _is_free(self, losses: list[_Number]) -> bool:
        return all(loss.value.device.type == 'cpu' for loss in losses)

    def before_val(self, runner: Runner) -> None:
        self._read(runner)
        super().before_val(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if self._pending:
            self._read(runner)
            checkpoint['message_hub'] = runner.message_hub.state_dict()

    def _read(self, runner: Runner) -> None:
        pending, self._pending, hub = self._pending, {}, runner.message_hub
        tensors = [number.value for numbers in pending.values() for number in numbers]
        levels = iter(torch.stack(tensors).tolist() if tensors else [])
        for iteration, numbers in pending.items():
            read = [(number, next(levels)) for number in numbers]
            strange = [(number, level) for number, level in read if not math.isfinite(level)]
            lost = [number.problem.format(level) for number, level in strange]
            if lost:
                last = hub.get_info('last_ckpt') or hub.get_info('best_ckpt')
                raise UserError(
                    f'iteration {iteration}: {" and ".join(lost)}; training stopped, '
                    + (f'the last good checkpoint is {last}' if last else 'no checkpoint was saved')
                    + '; try a lower learning rate, and look at the last images'
                )
            for number, level in read:
                if number.scalar is not None:
                    hub.update_scalar(number.scalar, level)
        for buffer in hub.log_scalars.values():
            buffer.max_length = self.history
