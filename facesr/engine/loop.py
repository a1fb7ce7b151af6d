"""A training loop that goes on at once where it was left, and leaves when it is asked to."""

from __future__ import annotations

from typing import Any

from mmagic.registry import LOOPS
from mmengine.runner import IterBasedTrainLoop
from mmengine.runner.loops import _InfiniteDataloaderIterator

from ..data.sampler import DrawSampler
from ..errors import UserError
from ..precision import use_tf32
from .optim_state import match_layout
from .signals import StopRequest

#: Where the message hub, and so every checkpoint, keeps the iteration that was validated last.
VALIDATED = 'last_validated_iter'


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
            :func:`facesr.precision.use_tf32`.

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
        if not isinstance(sampler, DrawSampler):
            raise UserError(
                f'train_dataloader.sampler: {type(sampler).__name__} cannot go on from iteration '
                f"{self._iter}; use dict(type='DrawSampler', shuffle=True)"
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
