"""A hook for the jobs of the tests: time that passes, and what a job's process may use."""

import os
import time

import torch
from mmagic.registry import HOOKS
from mmengine.hooks import Hook

from facesr.training.output import tell


@HOOKS.register_module()
class SlowHook(Hook):
    """Makes every iteration last longer, by so many seconds, and logs the processors."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def before_train(self, runner) -> None:
        processors = len(os.sched_getaffinity(0))
        tell(runner.logger, f'{processors} processors, {torch.get_num_threads()} threads')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        time.sleep(self.seconds)
