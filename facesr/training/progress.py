"""What a run is, before it starts; how long it takes and the memory it has, while it trains."""

import json
import resource
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import torch
from mmagic.engine.hooks import IterTimerHook
from mmagic.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from ..config import check_config
from ..errors import UserError
from ..files import write_whole
from ..nets import count_parameters, is_fast_in_bf16, unwrap_generator
from . import PRIORITIES
from .speed import Bf16OptimWrapper

#: Where the message hub, and so every checkpoint, keeps what the last complete validation took; a
#: name that begins with 'val' would appear in its log line.
VALIDATION_SECONDS = 'seconds_of_validation'
#: Iterations over which the ETA averages.
ETA_WINDOW = 200


@HOOKS.register_module()
class RunSummaryHook(Hook):
    """Checks the config and the generator's size, and prints what the run is.

    The same goes into ``run.json`` in the log's folder, for the report: ``device``, ``generator``
    (its class), ``parameters`` (trainable), ``training_images``, ``batch_size`` (of a process),
    ``processes``, and ``validation_images`` if there is a validation.

    Args:
        parameter_limit: the generator's trainable parameters must be fewer; None allows any.

    Raises:
        UserError: the config has an unknown key, or the generator is too large.
    """

    priority = PRIORITIES['RunSummaryHook']

    def __init__(self, parameter_limit: int | None = None) -> None:
        self.parameter_limit = parameter_limit

    def before_run(self, runner: Runner) -> None:
        check_config(runner.cfg)

    def before_train(self, runner: Runner) -> None:
        generator, loader, loop = unwrap_generator(runner), runner.train_dataloader, runner.val_loop
        device, name = describe_device(generator, runner.optim_wrapper), type(generator).__name__
        parameters, images = count_parameters(generator), len(loader.dataset)
        facts = dict(device=device, generator=name, parameters=parameters, training_images=images)
        facts |= dict(batch_size=loader.batch_size, processes=runner.world_size)
        net = f'{name}, {parameters:,} trainable parameters'
        limit = self.parameter_limit
        if limit is not None and parameters >= limit:
            raise UserError(
                f'the generator has {parameters:,} trainable parameters, fewer than {limit:,} are '
                "allowed; make it smaller, or change RunSummaryHook's parameter_limit"
            )
        if limit is not None:
            net += f' (fewer than {limit:,} allowed)'
        span = f'iterations {runner.iter + 1:,} to {runner.max_iters:,}'
        training = f'{images:,} images, {span}, batch of {loader.batch_size}'
        if runner.world_size > 1:
            training += f' on each of {runner.world_size} processes'
        lines = {'device': device, 'generator': net, 'training': training}
        lines['writing to'] = runner.work_dir
        if loop is not None:  # MMagic's, of several loaders, or MMEngine's
            loaders = getattr(loop, 'dataloaders', None) or [loop.dataloader]
            facts['validation_images'] = images = sum(len(loader.dataset) for loader in loaders)
            lines['validation'] = f'{images:,} images every {runner.val_interval:,} iterations'
        runner.logger.info('\n'.join(['', *(f'{key:>12}  {line}' for key, line in lines.items())]))
        if is_main_process():
            with write_whole(Path(runner.log_dir, 'run.json')) as file:
                file.write_text(json.dumps(facts, indent=2) + '\n', encoding='utf-8')


def describe_device(module: nn.Module, optim_wrapper: Any) -> str:
    """What a module trains on, and in which numbers: ``CPU, 2 threads, bfloat16``, say."""
    device = next(module.parameters()).device
    name = f'CPU, {torch.get_num_threads()} threads'
    if device.type == 'cuda':
        name = f'{torch.cuda.get_device_name(device)} ({device})'
    wrappers = optim_wrapper.values() if hasattr(optim_wrapper, 'values') else [optim_wrapper]
    if not any(isinstance(wrapper, Bf16OptimWrapper) for wrapper in wrappers):
        return name
    numbers = 'bfloat16' if is_fast_in_bf16(device) else 'float32 (it is slow in bfloat16)'
    return f'{name}, {numbers}'


@HOOKS.register_module()
class ProgressHook(IterTimerHook):
    """MMagic's ``IterTimerHook`` with an ETA that counts validations and survives a resume.

    The stock ETA leaves validations out, averages over the complete run, slow start included, and
    begins anew with each resume. This one takes the mean of the last iterations, which a checkpoint
    holds, and the time of the last validation for each that is left (0 until the first has ended).
    On a CPU the log line also has the most memory that the process has had, without the loader's.

    Args:
        timing_iters: after so many iterations the time that is left is printed for the first time.
    """

    priority = PRIORITIES['ProgressHook']

    def __init__(self, timing_iters: int = 20) -> None:
        super().__init__()
        self.timing_iters = timing_iters

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        super().after_train_iter(runner, *args, **kwargs)
        hub, loop, iteration = runner.message_hub, runner.train_loop, runner.iter + 1
        times, iters = hub.get_scalar('train/time'), runner.max_iters - iteration
        if iteration - self.start_iter == self.timing_iters:
            seconds = times.mean(max(1, self.timing_iters - 1))  # the first one is slow
            time_left = timedelta(seconds=round(seconds * iters))
            runner.logger.info(
                f'{seconds:.3g} s an iteration: the {iters:,} left take about {time_left} '
                f'(without validation), until {datetime.now() + time_left:%a %d %b %H:%M}'
            )
        seconds = times.mean(ETA_WINDOW) * iters
        if runner.val_loop is not None:
            left = validations_left(iteration, runner.max_iters, loop.val_interval, loop.val_begin)
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
    """Count validations from after one iteration to after the last, both included, from 1 on.

    There is one every ``interval`` iterations and one after the last, none before ``begin``.
    """
    regular = last // interval - max(iteration - 1, begin - 1) // interval
    return max(regular, 0) + (last % interval != 0 and last >= begin)


def peak_memory() -> int:
    """The most memory that this process has had, in MB of 2**20 bytes, PyTorch's unit."""
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20
