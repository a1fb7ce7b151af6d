"""A run that is asked to stop saves, and says how to go on."""

from __future__ import annotations

import signal
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

import torch
from mmagic.registry import HOOKS
from mmengine.dist import is_distributed
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...errors import StoppedError
from ..loop import LeaveValidation
from .durable_checkpoint import DurableCheckpointHook

#: Slurm's warning before the time limit (scripts/slurm_train.sh), a cluster's or a user's kill, and
#: Ctrl-C.
SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)


@HOOKS.register_module()
class StopHook(Hook):
    """Finishes the iteration when a signal asks to stop, saves a checkpoint, and ends the run.

    MMEngine dies of the signal, and loses what was trained since its last checkpoint. A validation
    is left, to be repeated when the run goes on. In a distributed run one process that is asked
    stops all, after the same iteration. A second Ctrl-C ends at once.

    Raises:
        StoppedError: after the checkpoint is written; ``tools/train.py`` turns it into an exit code
            of its own.
    """

    # Before the checkpoint hook, which tells whether the last one could be written.
    priority = 'LOW'

    def __init__(self) -> None:
        self._asked: str | None = None
        self._leaving = False
        self._stopped: str | None = None

    def before_train(self, runner: Runner) -> None:
        self._group: Any = torch.distributed.new_group(backend='gloo') if is_distributed() else None
        numbers = SIGNALS if current_thread() is main_thread() else ()  # no other takes signals
        self._former = {number: signal.signal(number, self._note) for number in numbers}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._asked is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = signal.Signals(number).name

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if self._is_asked():
            runner.train_loop.stop_training = True

    def after_val_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if self._is_asked():
            raise LeaveValidation

    def after_train(self, runner: Runner) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        if not self._leaving or runner.iter == runner.max_iters:
            return
        for hook in runner.hooks:
            if isinstance(hook, DurableCheckpointHook):
                hook.save(runner)
        self._stopped = (
            f'stopped by {self._asked or "another process"} after iteration {runner.iter:,} of '
            f'{runner.max_iters:,}, saved as {runner.message_hub.get_info("last_ckpt")}; '
            'to go on: the same command with --resume'
        )

    def after_run(self, runner: Runner) -> None:
        if self._stopped is not None:
            raise StoppedError(self._stopped)

    def _is_asked(self) -> bool:
        """Whether any process was asked."""
        asked = torch.tensor(int(self._asked is not None))
        if self._group is not None:
            torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX, group=self._group)
        self._leaving = bool(asked)
        return self._leaving
