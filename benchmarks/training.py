"""What a training iteration costs, part by part: MMagic's way against a config of this project."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from statistics import median
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import LOOPS
from mmengine.runner import Runner
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import describe_spread
from facesr.nets import unwrap, use_tf32
from facesr.training.loop import ResumableTrainLoop
from facesr.training.train import pin_batches

#: The whole is measured apart where measuring the parts makes a GPU wait.
PARTS = ('data', 'degradation', 'forward', 'backward', 'optimiser', 'hooks', 'whole')
Turn = dict[str, float]


@LOOPS.register_module()
class MeasuredLoop(ResumableTrainLoop):
    """Iterations of the training loop on demand, with the time of their parts.

    ``data`` is the wait for a batch; ``degradation`` all that the data preprocessor does;
    ``forward`` includes the losses; ``hooks`` are all that MMEngine calls before and after.
    """

    def run(self) -> Any:
        """Get ready; :meth:`measure` trains."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        return self.runner.model

    def measure(self, iterations: int) -> Turn:
        """Train.

        Returns:
            Seconds per iteration of each of :data:`PARTS`.
        """
        loader = self.dataloader
        for _ in range(loader.num_workers * (loader.prefetch_factor or 0)):
            next(self.dataloader_iterator)  # made while the other way had its turn
        seconds = dict.fromkeys(PARTS, 0.0)
        with ExitStack() as stack:
            for owner, name, part in self._parts():
                stack.enter_context(_timed(owner, name, seconds, part))
            seconds['whole'] = self._train(iterations)
        # What is neither of these is the forward pass.
        seconds['forward'] = seconds['whole'] - sum(seconds[part] for part in PARTS[:-1])
        if torch.cuda.is_available():
            seconds['whole'] = self._train(iterations)
        return {part: value / iterations for part, value in seconds.items()}

    def _train(self, iterations: int) -> float:
        _synchronise()
        start = time.perf_counter()
        with use_tf32(self.tf32):
            for _ in range(iterations):
                self.run_iter(next(self.dataloader_iterator))
        _synchronise()
        return time.perf_counter() - start

    def _parts(self) -> Iterator[tuple[Any, str, str]]:
        yield self.dataloader_iterator, '__next__', 'data'
        yield self.runner, 'call_hook', 'hooks'
        yield unwrap(self.runner.model).data_preprocessor, 'forward', 'degradation'
        wrapper = self.runner.optim_wrapper
        for one in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
            yield one, 'backward', 'backward'
            yield one, 'step', 'optimiser'


def build_loop(config: Config, name: str, work_dir: str) -> MeasuredLoop:
    """Build a config's runner and get it ready to train; nothing is validated or saved."""
    config = copy.deepcopy(config)
    config.train_cfg.type = 'MeasuredLoop'
    config.update(val_cfg=None, val_dataloader=None, val_evaluator=None, load_from=None)
    config.update(work_dir=work_dir, experiment_name=name, log_level='ERROR')
    config.custom_hooks = [
        hook for hook in config.custom_hooks if hook.type != 'PretrainedGeneratorHook'
    ]
    if 'perceptual_loss' in config.model:  # any weights take the same time
        config.model.perceptual_loss.pretrained = 'random'
    runner = Runner.from_cfg(config)
    runner.train()
    loop: MeasuredLoop = runner.train_loop
    return loop


def as_stock(config: Config) -> Config:
    """The same training as MMagic's own parts do it: float32, degraded in the loader."""
    stock: Config = copy.deepcopy(config)
    stock.train_cfg.tf32 = True  # PyTorch's default
    stock.train_dataloader.dataset.cache_dir = None
    stock.train_dataloader.dataset.pipeline[1].on = 'loader'
    stock.train_dataloader.sampler.type = 'InfiniteSampler'
    stock.train_dataloader.pop('worker_init_fn', None)
    stock.custom_hooks = []
    stock.default_hooks.runtime_info = dict(type='RuntimeInfoHook')
    stock.default_hooks.checkpoint.type = 'CheckpointHook'
    for wrapper in (stock.optim_wrapper, *stock.optim_wrapper.values()):
        if isinstance(wrapper, dict) and 'optimizer' in wrapper:
            wrapper['type'] = OptimWrapper.__name__
            wrapper['optimizer'].pop('fused', None)
    return stock


def time_training(config: Config, rounds: int, iterations: int) -> dict[str, Any]:
    """Measure both ways in turn.

    Args:
        config: a training config.
        rounds: turns of each way.
        iterations: in a turn.

    Returns:
        ``seconds``: of each turn, by way and part; ``first``: seconds of the first iteration, with
        compiling, by way; ``flops``: floating-point operations of an iteration's nets; ``memory``:
        bytes that a GPU had in use at the most, by way.
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
        first = {name: loop.measure(1)['whole'] for name, loop in loops.items()}
        taken: dict[str, list[Turn]] = {name: [] for name in loops}
        memory = dict.fromkeys(loops, 0)
        for _ in range(rounds):
            for name, loop in loops.items():
                if torch.cuda.is_available():
                    torch.cuda.reset_peak_memory_stats()
                taken[name].append(loop.measure(iterations))
                if torch.cuda.is_available():
                    memory[name] = max(memory[name], torch.cuda.max_memory_allocated())
        for loop in loops.values():
            loop.runner.visualizer.close()  # before its folder goes
    passes = 2 if torch.cuda.is_available() else 1  # iterations under the counter
    return {
        'seconds': {
            name: {part: [turn[part] for turn in turns] for part in PARTS}
            for name, turns in taken.items()
        },
        'first': first,
        'flops': counter.get_total_flops() // passes,
        'memory': memory,
    }


def format_parts(results: dict[str, Any], max_iters: int) -> str:
    """The table of :func:`time_training`'s results, and what follows for a whole run."""
    seconds: dict[str, dict[str, list[float]]] = results['seconds']
    lines = [f'{"per iteration":14}' + ''.join(f'{name + ", ms":>34}' for name in seconds)]
    for part in PARTS:
        columns = [describe_spread(parts[part]) for parts in seconds.values()]
        lines.append(f'{part:14}' + ''.join(f'{column:>34}' for column in columns))
    whole = {name: median(parts['whole']) for name, parts in seconds.items()}
    lines.append(f'ours takes 1/{whole["stock"] / whole["ours"]:.2f} of the time')
    for name, middle in whole.items():
        rate = results['flops'] / sum(
            median(seconds[name][part]) for part in ('forward', 'backward')
        )
        used = results['memory'][name]
        lines.append(
            f'{name}: {max_iters:,} iterations in {middle * max_iters / 3600:.2f} h; '
            f'{results["flops"] / 1e12:.2f} TFLOP an iteration at {rate / 1e12:.2f} TFLOP/s; '
            f'the first took {results["first"][name]:.1f} s'
            + (f'; {used / 2**30:.2f} GiB' if used else '')
        )
    return '\n'.join(lines)


@contextmanager
def _timed(owner: Any, name: str, seconds: Turn, part: str) -> Iterator[None]:
    """Add what calls of a method take to a part, for a while."""
    target = type(owner) if name.startswith('__') else owner
    stock: Callable[..., Any] = getattr(target, name)

    @wraps(stock)
    def timed(*args: Any, **kwargs: Any) -> Any:
        _synchronise()
        start = time.perf_counter()
        result = stock(*args, **kwargs)
        _synchronise()
        seconds[part] += time.perf_counter() - start
        return result

    own = name in vars(target)
    setattr(target, name, timed)
    try:
        yield
    finally:
        if own:
            setattr(target, name, stock)
        else:
            delattr(target, name)


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
