"""What a run is, said before it starts; how long it takes, said as soon as that is known."""

from __future__ import annotations

import resource
import sys
import time
from datetime import datetime, timedelta
from typing import Any

import torch
from mmagic.engine.hooks import IterTimerHook
from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from ..config import check_config
from ..errors import UserError
from ..nets import count_parameters, is_fast_in_bf16, unwrap_generator
from .speed import Bf16OptimWrapper


@HOOKS.register_module()
class RunSummaryHook(Hook):
    """Checks the config and the model's size, and prints the facts of the run.

    Args:
        parameter_limit: the generator's trainable parameters must be fewer; None allows any.
        timing_iters: iterations timed before the whole duration is told; the first is left out.

    Raises:
        UserError: the config names something that nothing takes, or the generator is too large.
    """

    priority = 'VERY_HIGH'

    def __init__(self, parameter_limit: int | None = None, timing_iters: int = 20) -> None:
        self.parameter_limit = parameter_limit
        self.timing_iters = timing_iters

    def before_run(self, runner: Runner) -> None:
        check_config(runner.cfg)

    def before_train(self, runner: Runner) -> None:
        generator = unwrap_generator(runner)
        parameters = count_parameters(generator)
        limit = self.parameter_limit
        if limit is not None and parameters >= limit:
            raise UserError(
                f'the generator has {parameters:,} trainable parameters, fewer than {limit:,} are '
                "allowed; make it smaller, or change RunSummaryHook's parameter_limit"
            )
        loader = runner.train_dataloader
        facts = {
            'device': describe_device(generator, runner.optim_wrapper),
            'generator': f'{type(generator).__name__}, {parameters:,} trainable parameters'
            + (f' (fewer than {limit:,} allowed)' if limit is not None else ''),
            'training': f'{len(loader.dataset):,} images, iterations '
            f'{runner.iter + 1:,} to {runner.max_iters:,}, batch of {loader.batch_size}'
            + (f' on each of {runner.world_size} processes' if runner.world_size > 1 else ''),
            'writing to': runner.work_dir,
        }
        if runner.val_loop is not None:
            loop = runner.val_loop
            loaders = getattr(loop, 'dataloaders', None) or [
                loop.dataloader
            ]  # MMagic's, MMEngine's
            images = sum(len(loader.dataset) for loader in loaders)
            facts['validation'] = f'{images:,} images every {runner.val_interval:,} iterations'
        runner.logger.info(
            '\n'.join(['', *(f'{name:>12}  {fact}' for name, fact in facts.items())])
        )

    def before_train_epoch(self, runner: Runner) -> None:
        self._start_iter = runner.iter

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        done = runner.iter + 1 - self._start_iter
        if done == 1:
            self._start_time = time.perf_counter()
        elif done == self.timing_iters:
            seconds = (time.perf_counter() - self._start_time) / (done - 1)
            iters = runner.max_iters - runner.iter - 1
            left = timedelta(seconds=round(seconds * iters))
            runner.logger.info(
                f'{seconds:.3g} s an iteration: the {iters:,} left take about {left} '
                f'(without validation), until {datetime.now() + left:%a %d %b %H:%M}'
            )


def describe_device(module: nn.Module, optim_wrapper: Any) -> str:
    """A module's device and arithmetic: ``NVIDIA H100 (cuda:0)``, ``CPU, 2 threads, bfloat16``.

    Args:
        module: what is trained.
        optim_wrapper: its optimiser's wrapper, or MMEngine's dictionary of several.
    """
    device = next(module.parameters()).device
    name = f'CPU, {torch.get_num_threads()} threads'
    if device.type == 'cuda':
        name = f'{torch.cuda.get_device_name(device)} ({device})'
    wrappers = optim_wrapper.values() if hasattr(optim_wrapper, 'values') else [optim_wrapper]
    if not any(isinstance(wrapper, Bf16OptimWrapper) for wrapper in wrappers):
        return name
    return f'{name}, ' + (
        'bfloat16' if is_fast_in_bf16(device) else 'float32 (it is slow in bfloat16)'
    )


# Where the message hub, and so every checkpoint, keeps what the last whole validation took; what
# begins with 'val' would be in its log line.
VALIDATION_SECONDS = 'seconds_of_validation'


@HOOKS.register_module()
class ProgressHook(IterTimerHook):
    """MMagic's ``IterTimerHook`` with an ETA that counts validations and survives a resume.

    The stock ETA knows nothing of validations, averages over the whole run, slow start included,
    and begins anew with each resume. This one is the mean of the last iterations, which a
    checkpoint holds, for all that are left, and the last validation's time for each that is left;
    until the first validation has ended, none is counted.

    The stock log line tells memory on a GPU alone; here it also tells the most that the process
    has had of a CPU's, without the loader's processes.

    Args:
        window: iterations to average over.
    """

    def __init__(self, window: int = 200) -> None:
        super().__init__()
        self.window = window
        self._validation_start = 0.0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        hub = runner.message_hub
        following, loop = runner.max_iters - runner.iter - 1, runner.train_loop
        seconds = hub.get_scalar('train/time').mean(self.window) * following
        if runner.val_loop is not None:
            left = validations_left(
                runner.iter + 1, runner.max_iters, loop.val_interval, loop.val_begin
            )
            seconds += left * hub.runtime_info.get(VALIDATION_SECONDS, 0.0)
        hub.update_info('eta', seconds)
        if not torch.cuda.is_available():
            hub.update_scalar('train/memory', peak_memory())

    def before_val(self, runner: Runner) -> None:
        self._validation_start = time.monotonic()

    def after_val(self, runner: Runner) -> None:
        seconds = time.monotonic() - self._validation_start
        runner.message_hub.update_info(VALIDATION_SECONDS, seconds)


def validations_left(iteration: int, last: int, interval: int, begin: int = 1) -> int:
    """Count the validations from after one iteration to after the last, both included.

    Args:
        iteration, last: counted from 1; after the last there is always one.
        interval: a validation every so many iterations.
        begin: none before this iteration.
    """
    regular = last // interval - max(iteration - 1, begin - 1) // interval
    return max(regular, 0) + (last % interval != 0 and last >= begin)


def peak_memory() -> int:
    """The most memory that this process has had, in MB of 2**20 bytes, as PyTorch's is told."""
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20
