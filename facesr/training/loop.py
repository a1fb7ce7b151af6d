"""Signals that ask a run to stop."""

from __future__ import annotations

import os
import signal
from functools import partial
from threading import current_thread, main_thread
from types import FrameType, TracebackType
from typing import Any

import torch
from mmagic.registry import HOOKS, LOOPS
from mmengine.dist import is_distributed
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmengine.runner.loops import _InfiniteDataloaderIterator

from ..data.loader import NumberedSampler
from ..errors import StoppedError, UserError
from ..files import write_whole
from ..nets import use_tf32
from .checkpoint_hook import VALIDATED, SafeCheckpointHook
from .distributed import by_first
from .optimiser import match_layout

#: Slurm's warning before the time limit (scripts/slurm_train.sh), a cluster's or a user's kill, and
#: Ctrl-C.
SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Takes note of :data:`SIGNALS` for a while, as a context; a second Ctrl-C interrupts at once.

    Attributes:
        name: the last signal's; None as long as none has come.
    """

    def __init__(self) -> None:
        self.name: str | None = None

    def __enter__(self) -> StopRequest:
        numbers = SIGNALS if current_thread() is main_thread() else ()  # no other takes signals
        self._former = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.name is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name


class LeaveValidation(Exception):  # noqa: N818  (no error: StopHook's way out of a validation)
    """The validation is to be left, and repeated when the run goes on."""


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """MMEngine's ``IterBasedTrainLoop`` without its replay of what has been trained.

    The stock loop fetches every batch from the first on and throws it away; it never makes up for a
    validation that a kill cut off after its checkpoint; and it validates before it looks at whether
    it should stop. Here the sampler starts at the right draw, and a validation whose end no
    checkpoint knows of comes first. On a CPU a resumed run ends bit for bit as the uncut
    one; on a GPU, where some sums have no fixed order, it does not.

    Args: as ``IterBasedTrainLoop``, and
        tf32: whether a CUDA GPU computes float32 convolutions in TF32, also in validations; see
            :func:`facesr.nets.use_tf32`.

    Raises:
        UserError: no iterations are asked for, or the sampler cannot start in the middle.
    """

    def __init__(self, *args: Any, tf32: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tf32 = tf32
        if self._max_iters < 1:
            raise UserError(f'train_cfg.max_iters={self._max_iters}: at least 1 expected')
        #: Whether the run was asked to stop; ``StopHook`` looks.
        self.signals = StopRequest()

    def run(self) -> Any:
        """Train until ``max_iters``, or until ``stop_training`` is set."""
        with self.signals, use_tf32(self.tf32):
            return self._run()

    def _run(self) -> Any:
        runner = self.runner
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        if self._iter > 0:
            match_layout(runner.optim_wrapper)  # the hooks have laid the nets out
            self._start_in_the_middle()
            if self._is_validation_due() and runner.message_hub.get_info(VALIDATED) != self._iter:
                self._validate()
        while self._iter < self._max_iters and not self.stop_training:
            runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            if self._is_validation_due() and not self.stop_training:
                self._validate()
        runner.call_hook('after_train_epoch')
        runner.call_hook('after_train')
        return runner.model

    def _start_in_the_middle(self) -> None:
        sampler = self.dataloader.sampler
        if not isinstance(sampler, NumberedSampler):
            raise UserError(
                f'train_dataloader.sampler: {type(sampler).__name__} cannot go on from iteration '
                f"{self._iter}; use dict(type='NumberedSampler', shuffle=True)"
            )
        sampler.start = self._iter * self.dataloader.batch_size
        sampler.seed = self.runner.seed  # the checkpoint's
        self.dataloader_iterator = _InfiniteDataloaderIterator(self.dataloader)

    def _is_validation_due(self) -> bool:
        return (
            self.runner.val_loop is not None
            and self._iter >= self.val_begin
            and (self._iter % self.val_interval == 0 or self._iter == self._max_iters)
        )

    def _validate(self) -> None:
        try:
            self.runner.val_loop.run()
        except LeaveValidation:
            self.stop_training = True


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
            if isinstance(hook, SafeCheckpointHook):
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
