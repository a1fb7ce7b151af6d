"""A hook for the jobs of the tests: time that passes."""

import time

from mmagic.registry import HOOKS
from mmengine.hooks import Hook


@HOOKS.register_module()
class SlowHook(Hook):
    """Makes every iteration last longer, by so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        time.sleep(self.seconds)
