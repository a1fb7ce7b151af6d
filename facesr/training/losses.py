"""Losses on their way to the log: read from the device when needed, checked, kept for a while."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmagic.registry import HOOKS
from mmengine.hooks import CheckpointHook, LoggerHook, RuntimeInfoHook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from ..errors import UserError
from . import PRIORITIES


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
    What a gradient scaler finds and skips (fp16's ordinary overflow) is left to it.

    Args:
        history: values that are kept of each scalar; at least the log processor's window.

    Raises:
        UserError: a loss or a gradient is not finite; it names the first such iteration, the loss
            or net, and the last checkpoint. None is written after that iteration.
    """

    priority = PRIORITIES['LossHook']

    def __init__(self, history: int = 1000) -> None:
        self.history = history

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        #: Iteration, losses, and norms of gradients by net; not read yet.
        self._pending: list[tuple[int, dict[str, Tensor], dict[str, Tensor]]] = []
        self._norms: dict[str, Tensor] = {}
        self._clipped: dict[str, Tensor] = {}
        #: Under which name the norm of a net is logged, if its gradients are clipped.
        self._logged: dict[str, str] = {}
        readers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook | CheckpointHook)]
        self._intervals = [hook.interval for hook in readers if hook.interval > 0]
        wrapper = runner.optim_wrapper
        wrappers = wrapper if isinstance(wrapper, OptimWrapperDict) else {'': wrapper}
        for name, one in wrappers.items():
            net = name or 'generator'
            one.optimizer.register_step_pre_hook(partial(self._before_step, net))
            if one.clip_grad_kwargs:
                one.clip_func = partial(self._clip, net, one.clip_func)
                self._logged[net] = f'train/{name}.grad_norm' if name else 'train/grad_norm'

    def _clip(
        self, net: str, clip: Callable[..., Tensor | None], *args: Any, **limits: Any
    ) -> None:
        """Clip; the wrapper gets no norm, for it would read it at once."""
        norm = clip(*args, **limits)
        if norm is not None:
            self._clipped[net] = norm

    def _before_step(self, net: str, optimizer: Optimizer, *args: Any) -> None:
        if getattr(optimizer, 'found_inf', None) is not None:  # a scaler's, for a fused step
            return
        if net in self._clipped:
            self._norms[net] = self._clipped[net]
            return
        weights = [weight for group in optimizer.param_groups for weight in group['params']]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        self._norms[net] = get_total_norm(gradients)

    def after_train_iter(
        self, runner: Runner, *args: Any, outputs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        losses = {name: torch.as_tensor(value) for name, value in (outputs or {}).items()}
        now = runner.iter + 1
        self._pending.append((now, losses, self._norms))
        self._norms, self._clipped = {}, {}
        needed = now == runner.max_iters or any(now % every == 0 for every in self._intervals)
        if needed or self._is_free(losses):
            self._read(runner)

    def _is_free(self, losses: dict[str, Tensor]) -> bool:
        return all(loss.device.type == 'cpu' for loss in losses.values())

    def before_val(self, runner: Runner) -> None:
        if self._pending:
            self._read(runner)
        super().before_val(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if self._pending:
            self._read(runner)
            checkpoint['message_hub'] = runner.message_hub.state_dict()

    def _read(self, runner: Runner) -> None:
        pending, self._pending = self._pending, []
        both = [part for _, losses, norms in pending for part in (losses, norms)]
        tensors = [value.detach() for part in both for value in part.values()]
        values = iter(torch.stack(tensors).tolist() if tensors else [])
        hub = runner.message_hub
        for iteration, losses, norms in pending:
            found = {name: next(values) for name in losses}
            gradients = {net: next(values) for net in norms}
            lost = [f'{name} is {loss}' for name, loss in found.items() if not math.isfinite(loss)]
            lost = lost or [
                f"the {net}'s gradient is not finite"
                for net, norm in gradients.items()
                if not math.isfinite(norm)
            ]
            if lost:
                last = hub.get_info('last_ckpt') or hub.get_info('best_ckpt')
                raise UserError(
                    f'iteration {iteration}: {" and ".join(lost)}; training stopped, '
                    + (f'the last good checkpoint is {last}' if last else 'no checkpoint was saved')
                    + '; try a lower learning rate, and look at the last images'
                )
            for name, loss in found.items():
                hub.update_scalar(f'train/{name}', loss)
            for net, name in self._logged.items():
                if net in gradients:
                    hub.update_scalar(name, gradients[net])
        for buffer in hub.log_scalars.values():
            buffer.max_length = self.history
