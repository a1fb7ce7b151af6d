"""Iterations that do not become slower with their number."""

from __future__ import annotations

from typing import Any

from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class BoundedHistoryHook(Hook):
    """Keeps only the last values of what MMEngine logs.

    Its ``HistoryBuffer`` copies all earlier values at every iteration (0.7 ms a scalar after
    150,000 iterations, 0.006 ms after 1,000, on one core), and all of them go into every
    checkpoint. Curves are drawn from the logged files; only the log processor's windows look back.

    Args:
        length: values that are kept of each scalar; at least the log processor's window.
    """

    priority = 'VERY_LOW'

    def __init__(self, length: int = 1000) -> None:
        self.length = length

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        for buffer in runner.message_hub.log_scalars.values():
            buffer.max_length = self.length
