"""What a training iteration costs, part by part: MMagic's way against a config of this project."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import wraps
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import LOOPS
from mmengine.runner import Runner
from torch.utils.flop_counter import FlopCounterMode

from facesr.nets import unwrap, use_tf32
from facesr.training.loop import ResumableTrainLoop
from facesr.training.train import pin_batches

from .measure import Figures, format_spread, run_benchmark, synchronise

#: On a GPU, where timing the parts makes it wait, the total is of iterations of its own.
PARTS = ('data', 'degradation', 'forward', 'backward', 'optimiser', 'hooks', 'total')
#: MMEngine's and MMagic's own hooks, by the names that both sides use.
STOCK_HOOKS = {
    'runtime_info': 'RuntimeInfoHook',
    'timer': 'IterTimerHook',
    'logger': 'LoggerHook',
    'param_scheduler': 'ParamSchedulerHook',
    'sampler_seed': 'DistSamplerSeedHook',
    'checkpoint': 'CheckpointHook',
}


@LOOPS.register_module()
class MeasuredLoop(ResumableTrainLoop):
    """A training loop that trains when :meth:`measure` is called, and times the parts.

    ``data`` is the wait for a batch; ``degradation`` all that the data preprocessor does;
    ``forward`` includes the losses; ``hooks`` are all hooks around an iteration.
    """

    def run(self) -> Any:
        """Get ready."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        return self.runner.model

    def measure(self, iterations: int) -> dict[str, float]:
        """Train, and return the seconds per iteration of each of :data:`PARTS`."""
        loader = self.dataloader
        for _ in range(loader.num_workers * (loader.prefetch_factor or 0)):
            next(self.dataloader_iterator)  # loaded while the other way had its turn
        wrapper = self.runner.optim_wrapper
        wrappers = [*wrapper.values()] if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        seconds = dict.fromkeys(PARTS, 0.0)
        with ExitStack() as stack:
            for owner, name, part in (
                (self.dataloader_iterator, '__next__', 'data'),
                (self.runner, 'call_hook', 'hooks'),
                (unwrap(self.runner.model).data_preprocessor, 'forward', 'degradation'),
                *((one, 'backward', 'backward') for one in wrappers),
                *((one, 'step', 'optimiser') for one in wrappers),
            ):
                stack.enter_context(_timed(owner, name, seconds, part))
            seconds['total'] = self._train(iterations)
        # The forward pass is the rest.
        seconds['forward'] = seconds['total'] - sum(seconds[part] for part in PARTS[:-1])
        if torch.cuda.is_available():
            seconds['total'] = self._train(iterations)
        return {part: value / iterations for part, value in seconds.items()}

    def _train(self, iterations: int) -> float:
        synchronise()
        start = time.perf_counter()
        with use_tf32(self.tf32):
            for _ in range(iterations):
                self.run_iter(next(self.dataloader_iterator))
        synchronise()
        return time.perf_counter() - start


def build_loop(config: Config, name: str, work_dir: str) -> MeasuredLoop:
    """Build a config's runner and get it ready to train; nothing is validated or saved."""
    config = copy.deepcopy(config)
    config.train_cfg.type = 'MeasuredLoop'
    config.update(val_cfg=None, val_dataloader=None, val_evaluator=None, load_from=None)
    config.update(work_dir=work_dir, experiment_name=name, log_level='ERROR')
    config.default_hooks.pop('pretrained', None)
    if 'perceptual_loss' in config.model:  # any weights take the same time
        config.model.perceptual_loss.pretrained = 'random'
    runner = Runner.from_cfg(config)
    runner.train()
    loop: MeasuredLoop = runner.train_loop
    return loop


def as_stock(config: Config) -> Config:
    """The same training with MMagic's own parts: float32, degraded in the loader."""
    stock: Config = copy.deepcopy(config)
    stock.train_cfg.tf32 = True  # PyTorch's default
    stock.train_dataloader.dataset.update(degrade_on='loader', cache_dir=None)
    stock.train_dataloader.pop('worker_init_fn', None)
    stock.default_hooks = {
        name: {**config.default_hooks[name], 'type': hook} for name, hook in STOCK_HOOKS.items()
    }
    for wrapper in (stock.optim_wrapper, *stock.optim_wrapper.values()):
        if isinstance(wrapper, dict) and 'optimizer' in wrapper:
            wrapper['type'] = OptimWrapper.__name__
            wrapper['optimizer'].pop('fused', None)
    return stock


def time_training(config: Config, rounds: int, iterations: int) -> Figures:
    """Measure both ways in turn, so many iterations in each.

    Returns:
        ``seconds``: of each turn, by way and part; ``first``: seconds of the first iteration, with
        compiling, by way; ``flops``: floating-point operations of an iteration's nets; ``memory``:
        largest number of bytes in use on a GPU, by way; ``max_iters``: the config's.
    """
    ours = copy.deepcopy(config)
    pin_batches(ours)
    with tempfile.TemporaryDirectory() as folder:
        loops = {
            name: build_loop(side, name, f'{folder}/{name}')
            for name, side in {'stock': as_stock(config), 'ours': ours}.items()
        }
        counter = FlopCounterMode(display=False)
        with counter:
            loops['stock'].measure(1)
        first = {name: loop.measure(1)['total'] for name, loop in loops.items()}
        seconds: dict[str, Any] = {name: {part: [] for part in PARTS} for name in loops}
        memory = dict.fromkeys(loops, 0)
        for _ in range(rounds):
            for name, loop in loops.items():
                if torch.cuda.is_available():
                    torch.cuda.reset_peak_memory_stats()
                for part, value in loop.measure(iterations).items():
                    seconds[name][part].append(value)
                memory[name] = max(memory[name], torch.cuda.max_memory_allocated())
        for loop in loops.values():
            loop.runner.visualizer.close()  # before its folder goes
    passes = 2 if torch.cuda.is_available() else 1  # iterations under the counter
    return {
        'seconds': seconds,
        'first': first,
        'flops': counter.get_total_flops() // passes,
        'memory': memory,
        'max_iters': config.train_cfg.max_iters,
    }


def format_parts(results: Figures) -> str:
    """The table of :func:`time_training`'s results, and what follows for a run of the config."""
    seconds: dict[str, dict[str, list[float]]] = results['seconds']
    max_iters: int = results['max_iters']
    lines = [f'{"per iteration":14}' + ''.join(f'{name + ", ms":>34}' for name in seconds)]
    for part in PARTS:
        columns = [format_spread(parts[part]) for parts in seconds.values()]
        lines.append(f'{part:14}' + ''.join(f'{column:>34}' for column in columns))
    total = {name: median(parts['total']) for name, parts in seconds.items()}
    lines.append(f'ours takes 1/{total["stock"] / total["ours"]:.2f} of the time')
    for name, middle in total.items():
        nets = sum(median(seconds[name][part]) for part in ('forward', 'backward'))
        rate = results['flops'] / nets
        used = results['memory'][name]
        lines.append(
            f'{name}: {max_iters:,} iterations in {middle * max_iters / 3600:.2f} h; '
            f'{results["flops"] / 1e12:.2f} TFLOP an iteration at {rate / 1e12:.2f} TFLOP/s; '
            f'the first took {results["first"][name]:.1f} s'
            + (f'; {used / 2**30:.2f} GiB' if used else '')
        )
    return '\n'.join(lines)


def _timed(
    owner: Any, name: str, seconds: dict[str, float], part: str
) -> AbstractContextManager[Any]:
    """Within the context, add the time that calls of a method take to a part."""
    target = type(owner) if name.startswith('__') else owner
    stock: Callable[..., Any] = getattr(target, name)

    @wraps(stock)
    def timed(*args: Any, **kwargs: Any) -> Any:
        synchronise()
        start = time.perf_counter()
        result = stock(*args, **kwargs)
        synchronise()
        seconds[part] += time.perf_counter() - start
        return result

    return patch.object(target, name, timed)


if __name__ == '__main__':
    run_benchmark(time_training, __doc__, 'rounds', 'iterations', show=format_parts)
