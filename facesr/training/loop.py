"""The training loop, and the hook that ends it when a signal has asked for that."""

from typing import Any

import torch
from mmagic.registry import HOOKS, LOOPS
from mmengine.dist import is_distributed
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmengine.runner.loops import _InfiniteDataloaderIterator

from ..data.loader import NumberedSampler, number_samples
from ..errors import StoppedError, UserError
from ..files import by_first
from ..nets import use_tf32
from . import PRIORITIES, signals
from .optimiser import match_layout
from .resume import VALIDATED
from .schedule import is_validation_due

NOT_RESUMABLE = (
    'train_dataloader: built outside of the config, or with a batch_sampler: such a run cannot be '
    'resumed; give its dictionary, with batch_size and sampler'
)


class LeaveValidation(Exception):  # noqa: N818  (no error)
    """How ``StopHook`` leaves a validation; a resumed run repeats it."""


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """MMEngine's ``IterBasedTrainLoop``, resumed without a replay, and stopped by a signal.

    To resume, the stock loop fetches every batch since the first and throws it away; to stop, it
    validates first. Here the sampler starts at the right sample, and if the checkpoint predates the
    end of its validation, that validation runs again first. On a CPU a resumed run ends with the
    same bits as the uncut one; not on a GPU, where some sums have no fixed order. ``tf32`` is
    whether a CUDA GPU computes float32 convolutions in TF32; see :func:`facesr.nets.use_tf32`.
    """

    def __init__(
        self, runner: Runner, dataloader: Any, *args: Any, tf32: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(runner, number_samples(dataloader), *args, **kwargs)
        self.tf32 = tf32
        if not self._is_resumable:
            runner.logger.warning(NOT_RESUMABLE)

    def run(self) -> Any:
        """Train until ``max_iters``, or until ``stop_training`` is set."""
        with use_tf32(self.tf32):
            runner = self.runner
            runner.call_hook('before_train')
            runner.call_hook('before_train_epoch')
            if self._iter > 0:
                match_layout(runner.optim_wrapper)  # the hooks have laid the nets out
                self._start_in_the_middle()
            signals.begin()
            self._validate_if_due()
            while self._iter < self._max_iters and not self.stop_training:
                runner.model.train()
                self.run_iter(next(self.dataloader_iterator))
                self._decide_current_val_interval()
                if not self.stop_training:
                    self._validate_if_due()
            runner.call_hook('after_train_epoch')
            runner.call_hook('after_train')
            return runner.model

    @property
    def _is_resumable(self) -> bool:
        loader = self.dataloader
        return isinstance(loader.sampler, NumberedSampler) and loader.batch_size is not None

    def _start_in_the_middle(self) -> None:
        if not self._is_resumable:
            raise UserError(NOT_RESUMABLE)
        sampler = self.dataloader.sampler
        sampler.start = self._iter * self.dataloader.batch_size
        sampler.seed = self.runner.seed  # the checkpoint's
        self.dataloader_iterator = _InfiniteDataloaderIterator(self.dataloader)

    @property
    def complete(self) -> bool:
        """Whether all iterations are done, and the validation after the last."""
        return self._iter >= self._max_iters and not self._is_validation_due()

    def _is_validation_due(self) -> bool:
        when = self._iter, self._max_iters, self.val_interval, self.val_begin
        done = self.runner.message_hub.get_info(VALIDATED) == self._iter
        return self.runner.val_loop is not None and is_validation_due(*when) and not done

    def _validate_if_due(self) -> None:
        if not self._is_validation_due():
            return
        try:
            self.runner.val_loop.run()
        except LeaveValidation:
            self.stop_training = True


@HOOKS.register_module()
class StopHook(Hook):
    """Ends the run after the iteration in which a signal came; ``SafeCheckpointHook`` then saves.

    MMEngine dies of the signal, and loses what was trained since its last checkpoint. A validation
    is left at once, and repeated when the run resumes. A signal to one of several processes stops
    all of them after the same iteration. :func:`facesr.training.signals.taking_signals` listens.
    After the checkpoint is written, a ``StoppedError`` says so; the tools exit with 75 for it.
    """

    priority = PRIORITIES['StopHook']
    acts_on_average = True

    #: Whether any process was asked to stop.
    _leaving = False

    def before_train(self, runner: Runner) -> None:
        self._group: Any = torch.distributed.new_group(backend='gloo') if is_distributed() else None

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if self._is_asked(runner):
            runner.train_loop.stop_training = True

    def after_val_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if self._is_asked(runner):
            raise LeaveValidation

    def after_run(self, runner: Runner) -> None:
        if not self._leaving or runner.train_loop.complete:
            return
        stopped = (
            f'stopped by {signals.asked() or "another process"} after iteration '
            f'{runner.iter:,} of {runner.max_iters:,}, saved as '
            f'{runner.message_hub.get_info("last_ckpt")}'
        )
        by_first(lambda: signals.record_stop(stopped))
        raise StoppedError(f'{stopped}; to resume: the same command with --resume')

    def _is_asked(self, runner: Runner) -> bool:
        """Whether any process was asked to stop."""
        asked = torch.tensor(int(signals.asked() is not None))
        if self._group is not None:
            torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX, group=self._group)
        self._leaving = bool(asked)
        return self._leaving
