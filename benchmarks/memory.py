"""What keeping freed memory saves on a CPU: a net's passes, with and without it."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import torch
from mmengine.config import Config

from facesr.nets import build_part, is_fast_in_bf16, keep_memory

from .measure import Figures, format_figures, run_benchmark, take_turns, time_call

BATCH = 4  # faces, when training


def time_memory(config: Config, rounds: int, iterations: int) -> Figures:
    """Measure a config's generator on inputs of 128x128, in two processes that take turns.

    Returns:
        ``restoring`` an image, and ``training`` on a batch, forward and backward: ``seconds`` per
        image of each, as the C library does by itself and with :func:`facesr.nets.keep_memory`.
    """
    spawn = get_context('spawn')  # a forked process would inherit the setting
    with (
        ProcessPoolExecutor(1, spawn) as stock,
        ProcessPoolExecutor(1, spawn, initializer=keep_memory) as ours,
    ):

        def measure(training: bool) -> Figures:
            def call(process: ProcessPoolExecutor) -> float:
                return process.submit(time_passes, config, training, iterations).result()

            sides = {'freed memory given back': stock, 'freed memory kept': ours}
            turns = {name: partial(call, process) for name, process in sides.items()}
            return {'seconds': take_turns(turns, rounds)}

        return {'restoring': measure(training=False), 'training': measure(training=True)}


def time_passes(config: Config, training: bool, iterations: int) -> float:
    """Seconds per image of a new net, after a first pass that does not count."""
    net = build_part(config, 'generator')
    lq = torch.rand(BATCH if training else 1, 3, 128, 128)
    wrapper = config.optim_wrapper.get('generator', config.optim_wrapper)  # an SRGAN has two
    in_bf16 = training and wrapper.type == 'Bf16OptimWrapper'
    bf16 = torch.autocast('cpu', enabled=in_bf16 and is_fast_in_bf16(lq.device))

    def work(count: int) -> None:
        for _ in range(count):
            with torch.set_grad_enabled(training), bf16:
                restored = net(lq)
            if training:
                restored.float().square().mean().backward()

    work(1)
    return time_call(partial(work, iterations), iterations * len(lq))


def show(figures: Figures) -> str:
    """One table for restoring, one for training."""
    return '\n'.join(f'{name}\n{format_figures(part)}' for name, part in figures.items())


if __name__ == '__main__':
    run_benchmark(time_memory, __doc__, 'rounds', 'iterations', show=show)
