"""A run that is asked to stop saves, and says how to go on."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import torch
from mmagic.registry import HOOKS
from mmengine.dist import is_distributed
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...errors import StoppedError
from ...files import write_whole
from ..distributed import by_first
from ..loop import LeaveValidation
from .durable_checkpoint import DurableCheckpointHook

#: An environment variable: the file in which a run says that it has stopped and saved. A launcher's
#: exit code does not tell, where it kills the other processes once one has left.
STOP_FILE = 'FACESR_STOP_FILE'


@HOOKS.register_module()
class StopHook(Hook):
    """Finishes the iteration when a signal asks to stop, saves a checkpoint, and ends the run.

    MMEngine dies of the signal, and loses what was trained since its last checkpoint. A validation
    is left, to be repeated when the run goes on. In a distributed run one process that is asked
    stops all, after the same iteration, and none leaves before the first has saved: launchers end
    the others then. A second Ctrl-C ends at once. ``ResumableTrainLoop`` listens.

    Raises:
        StoppedError: after the checkpoint is written; ``tools/train.py`` turns it into an exit code
            of its own.
    """

    # Before the checkpoint hook, which tells whether the last one could be written.
    priority = 'LOW'

    def __init__(self) -> None:
        self._leaving = False
        self._stopped: str | None = None

    def before_train(self, runner: Runner) -> None:
        self._group: Any = torch.distributed.new_group(backend='gloo') if is_distributed() else None

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if self._is_asked(runner):
            runner.train_loop.stop_training = True

    def after_val_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if self._is_asked(runner):
            raise LeaveValidation

    def after_train(self, runner: Runner) -> None:
        if not self._leaving or runner.iter == runner.max_iters:
            return
        for hook in runner.hooks:
            if isinstance(hook, DurableCheckpointHook):
                hook.save(runner)
        by = runner.train_loop.signals.name or 'another process'
        self._stopped = (
            f'stopped by {by} after iteration {runner.iter:,} of {runner.max_iters:,}, '
            f'saved as {runner.message_hub.get_info("last_ckpt")}; '
            'to go on: the same command with --resume'
        )

    def after_run(self, runner: Runner) -> None:
        if self._stopped is not None:
            by_first(partial(_record, self._stopped))
            raise StoppedError(self._stopped)

    def _is_asked(self, runner: Runner) -> bool:
        """Whether any process was asked."""
        asked = torch.tensor(int(runner.train_loop.signals.name is not None))
        if self._group is not None:
            torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX, group=self._group)
        self._leaving = bool(asked)
        return self._leaving


def _record(stopped: str) -> None:
    if path := os.environ.get(STOP_FILE):
        with write_whole(path, durable=True) as file:
            file.write_text(f'{stopped}\n')
