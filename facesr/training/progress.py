"""What a run is, before it starts; how long it takes and the memory it has, while it trains."""

import json
import math
import resource
import sys
import time
from collections.abc import Callable
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

from ..config import as_list, check_config, leaves
from ..errors import UserError
from ..files import write_file
from ..nets import count_parameters, is_fast_in_bf16, unwrap_generator
from . import PRIORITIES
from .generator import GENERATOR_ITERATIONS, GeneratorEMAHook, PretrainedGeneratorHook
from .optimiser import wrappers_of
from .output import in_words, show, tell
from .schedule import count_validations
from .speed import Bf16OptimWrapper

#: Where the message hub, and so every checkpoint, keeps what the last complete validation took; a
#: name that begins with 'val' would appear in its log line.
VALIDATION_SECONDS = 'seconds_of_validation'
#: Where it keeps the facts of ``run.json``, to say which of them a resume has changed.
FACTS = 'facts'
#: Iterations over which the ETA averages.
ETA_WINDOW = 200
#: Seconds between two lines that say where the run stands, and between two looks on a terminal.
LINE_EVERY, LOOK_EVERY = 60, 0.5


@HOOKS.register_module()
class RunSummaryHook(Hook):
    """Checks the config and the generator's size, and prints what the run is and starts from.

    The same goes into ``run.json`` in the log's folder, for the report: ``device``, ``generator``
    (its class), ``parameters`` (trainable), ``training_images``, ``batch_size`` (of a process),
    ``processes``, ``start`` (which of the run's it is, from 1), ``validation_images`` if there is a
    validation, and ``generator_iterations`` if another run trained the generator before. Those
    that a resume has changed are printed too. The generator's trainable parameters must be fewer
    than ``parameter_limit``; None allows any.
    """

    priority = PRIORITIES['RunSummaryHook']

    def __init__(self, parameter_limit: int | None = None) -> None:
        self.parameter_limit = parameter_limit

    def before_run(self, runner: Runner) -> None:
        check_config(runner.cfg)

    def before_train(self, runner: Runner) -> None:
        generator, loader, loop = unwrap_generator(runner), runner.train_dataloader, runner.val_loop
        facts: dict[str, Any] = dict(
            device=describe_device(generator, runner.optim_wrapper),
            generator=type(generator).__name__,
            parameters=count_parameters(generator),
            training_images=len(loader.dataset),
            batch_size=loader.batch_size,
            processes=runner.world_size,
        )
        net, limit = f'{facts["parameters"]:,} trainable parameters', self.parameter_limit
        if limit is not None:
            if facts['parameters'] >= limit:
                raise UserError(
                    f'the generator has {net}, fewer than {limit:,} are allowed; make it smaller, '
                    "or change RunSummaryHook's parameter_limit"
                )
            net += f' (fewer than {limit:,} allowed)'
        span = f'iterations {runner.iter + 1:,} to {runner.max_iters:,}'
        training = f'{facts["training_images"]:,} images, {span}, batch of {loader.batch_size}'
        if runner.world_size > 1:
            training += f' on each of {runner.world_size} processes'
        lines = {'device': facts['device'], 'generator': f'{facts["generator"]}, {net}'}
        lines |= {'training': training, 'writing to': runner.work_dir}
        if loop is not None:
            facts['validation_images'] = images = sum(
                len(part.dataset) for part in loop.dataloaders
            )
            lines['validation'] = f'{images:,} images every {runner.val_interval:,} iterations'
        if origin := _origin(runner):
            lines['starts from'] = origin
        lines['log'] = runner.logger.log_file
        tell(runner.logger, '\n'.join(f'{key:>12}  {line}' for key, line in lines.items()))
        former = runner.message_hub.runtime_info.get(FACTS, facts)
        facts['start'] = former.get('start', 0) + 1
        for name in ('device', 'processes', 'training_images', 'validation_images'):
            if former.get(name) != facts.get(name):
                tell(runner.logger, f'{name}: {facts.get(name)} (before: {former.get(name)})')
        runner.message_hub.update_info(FACTS, facts)

    def before_train_epoch(self, runner: Runner) -> None:
        infos = runner.message_hub.runtime_info  # PretrainedGeneratorHook has acted now
        facts = infos[FACTS]
        if iterations := infos.get(GENERATOR_ITERATIONS):
            facts |= {'generator_iterations': iterations}
        if is_main_process():
            write_file(Path(runner.log_dir, 'run.json'), json.dumps(facts, indent=2) + '\n')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        for place, names in leaves(runner.cfg):
            if place.endswith(('.monitor', '.save_best')):
                for name in as_list(names):
                    if metrics is not None and name not in metrics:
                        known = ', '.join(metrics)
                        raise UserError(
                            f'config: {place}={name!r}: no such score; there are {known}'
                        )


def _origin(runner: Runner) -> str:
    """What a run starts from; empty where ``PretrainedGeneratorHook`` will say it."""
    if runner._resume:
        return f'{runner._load_from}, iteration {runner.iter:,}'
    if runner._load_from:
        return f'the weights of {runner._load_from}'
    loads = any(isinstance(hook, PretrainedGeneratorHook) for hook in runner.hooks)
    return '' if loads else 'the beginning'


def describe_device(module: nn.Module, optim_wrapper: Any) -> str:
    """What a module trains on, and in which numbers: ``CPU, 2 threads, bfloat16``, say."""
    device, threads = next(module.parameters()).device, torch.get_num_threads()
    name = f'CPU, {threads} thread{"s" if threads > 1 else ""}'
    if device.type == 'cuda':
        name = f'{torch.cuda.get_device_name(device)} ({device})'
    wrappers = wrappers_of(optim_wrapper).values()
    if any(isinstance(wrapper, Bf16OptimWrapper) for wrapper in wrappers):
        name += ', bfloat16' if is_fast_in_bf16(device) else ', float32 (it is slow in bfloat16)'
    return name


@HOOKS.register_module()
class ProgressHook(IterTimerHook):
    """MMagic's ``IterTimerHook`` with an ETA that counts validations and survives a resume.

    The stock ETA leaves validations out, averages over the complete run, slow start included, and
    begins anew with each resume; a validation's is the training's, and the first iteration after
    it counts what followed its last batch. This one takes the mean of the last iterations, which a
    checkpoint holds, and the time of the last validation for each that is left (0 until the first
    has ended). A validation has its own, with that of the average.

    It prints where the run stands: after two iterations and every minute, all the time on a
    terminal; and the scores of a validation. On a CPU the log line also has the most memory that
    the process has had, without the loader's.
    """

    priority = PRIORITIES['ProgressHook']
    acts_on_average = True

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        self._told = self._looked = time.monotonic()

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        super().after_train_iter(runner, *args, **kwargs)
        hub, loop, iteration = runner.message_hub, runner.train_loop, runner.iter + 1
        times, iters = hub.get_scalar('train/time'), runner.max_iters - iteration
        trained = iteration - self.start_iter
        # The first iteration after a start is slow.
        a_time = times.mean(ETA_WINDOW if trained > ETA_WINDOW else max(1, trained - 1))
        seconds = a_time * iters
        if runner.val_loop is not None:
            left = count_validations(iteration, runner.max_iters, loop.val_interval, loop.val_begin)
            seconds += left * hub.runtime_info.get(VALIDATION_SECONDS, 0.0)
        hub.update_info('eta', seconds)
        if not torch.cuda.is_available():
            hub.update_scalar('train/memory', peak_memory())

        def describe() -> str:
            text = f'iteration {iteration:,} of {runner.max_iters:,}: {a_time:.3g} s an iteration, '
            if 'train/loss' in hub.log_scalars:
                loss = hub.get_scalar('train/loss').mean(runner.log_processor.window_size)
                text += f'loss {loss:.4g}, '
            end = datetime.now() + timedelta(seconds=seconds)
            return text + f'about {in_words(seconds)} left, until {end:%a %H:%M}'

        if trained > 1:  # the first may have compiled the nets for minutes
            self._say(runner, describe, now=trained == 2)

    def _say(self, runner: Runner, describe: Callable[[], str], now: bool = False) -> None:
        """Say where the run stands, not too often."""
        moment = time.monotonic()
        if now or (moment - self._told >= LINE_EVERY and not sys.stdout.isatty()):
            self._told = moment
            tell(runner.logger, describe())
        elif moment - self._looked >= LOOK_EVERY:
            self._looked = moment
            show(describe())

    def before_val(self, runner: Runner) -> None:
        self._validation_start = time.monotonic()

    def after_val_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        super().after_val_iter(runner, batch_idx, *args, **kwargs)
        hub, done = runner.message_hub, batch_idx + 1
        averaged = any(isinstance(hook, GeneratorEMAHook) for hook in runner.hooks)
        batches = runner.val_loop.total_length * (2 if averaged else 1)
        seconds = hub.get_scalar('val/time').mean(done) * (batches - done)
        hub.update_info('eta', seconds)
        text = f'validation, batch {done:,} of {batches:,}: about {in_words(seconds)} left'
        self._say(runner, lambda: text)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        super().after_val_epoch(runner, metrics)
        self._scores = metrics or {}

    def after_val(self, runner: Runner) -> None:
        seconds = time.monotonic() - self._validation_start
        infos = runner.message_hub.runtime_info
        runner.message_hub.update_info(VALIDATION_SECONDS, seconds)
        self.t = time.time()  # the next iteration begins here
        scores = ', '.join(f'{name} {score:.4f}' for name, score in self._scores.items())
        best = self._scores.get(infos.get('best_score_name', ''), math.nan)
        scores += ', the best so far' if best == infos.get('best_score') else ''
        tell(runner.logger, f'validation after iteration {runner.iter:,}: {scores}')


def peak_memory() -> int:
    """The most memory that this process has had, in MB of 2**20 bytes, PyTorch's unit."""
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20
