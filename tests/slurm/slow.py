"""A hook for the jobs of the tests: time that passes, and what a job's process may use."""

import os
import time

import torch
from mmagic.registry import HOOKS
from mmengine.hooks import Hook

from facesr.training.output import tell


@HOOKS.register_module()
class SlowHook(Hook):
    """Makes a job's iterations last longer until it is requeued, and logs the processors."""

    def __init__(self, seconds: float) -> None:
        self.seconds = 0 if 'SLURM_RESTART_COUNT' in os.environ else seconds

    def before_train(self, runner) -> None:
        processors = len(os.sched_getaffinity(0))
        tell(runner.logger, f'{processors} processors, {torch.get_num_threads()} threads')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        time.sleep(self.seconds)
