"""How fast a run is, how long it still takes, and what memory it has taken, in each log line."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from mmagic.engine.hooks import IterTimerHook
from mmagic.registry import HOOKS
from mmengine.runner import Runner

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
