"""Checkpoints that a kill, a crash or a full disk cannot take away."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

from mmagic.registry import HOOKS
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ...errors import UserError
from ...files import write_whole
from ..distributed import by_first
from ..loop import VALIDATED

#: What the message hub knows of checkpoints.
_INFOS = ('keep_ckpt_ids', 'last_ckpt', 'best_ckpt', 'best_score')
#: And the stock hook itself.
_OWN = ('keep_ckpt_ids', 'last_ckpt', 'best_ckpt_path')


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, which deletes the old only when the new is whole on the disk.

    The stock hook deletes first and then writes in place. A checkpoint that cannot be written (a
    full disk) ends no run here: the one before stays, the log tells it as an error, and the next
    interval tries again; only the end of the training insists. After a validation the checkpoint is
    written once more, with its score.

    Args: as ``CheckpointHook``; to a local disk.

    Raises:
        UserError: the training's last checkpoint cannot be written.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, backend_args=dict(backend='durable'), **kwargs)
        self._failure: OSError | None = None

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        self.file_backend = _RemoveLater()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        runner.message_hub.update_info(VALIDATED, runner.iter)
        super().after_val_epoch(runner, metrics)
        if Path(self.out_dir, self.filename_tmpl.format(runner.iter)).is_file():
            self.save(runner)

    def after_train(self, runner: Runner) -> None:
        super().after_train(runner)
        by_first(self._insist)  # no process ends before the checkpoint is written

    def _insist(self) -> None:
        if self._failure is not None:
            raise UserError(
                f'{self.out_dir}: the last checkpoint could not be written ({self._failure}); '
                'make room and resume'
            )

    def save(self, runner: Runner) -> None:
        """Save between two iterations."""
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        self._save_checkpoint_with_step(runner, runner.iter, meta)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        save = super()._save_checkpoint_with_step
        self._save_safely(runner, partial(save, runner, step, meta))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        save = super()._save_best_checkpoint
        self._save_safely(runner, partial(save, runner, metrics))

    def _save_safely(self, runner: Runner, save: Callable[[], None]) -> None:
        hub = runner.message_hub
        infos = {name: hub.get_info(name) for name in _INFOS}
        own = {name: copy(getattr(self, name, None)) for name in _OWN}
        self._failure = None
        try:
            save()
            self.file_backend.remove_now()
        except OSError as error:
            self._failure = error
            self.file_backend.outdated.clear()
            for name, info in infos.items():
                hub.update_info(name, info) if info is not None else hub.pop_info(name)
            for name, value in own.items():
                setattr(self, name, value)
            runner.logger.error(
                f'checkpoint of iteration {runner.iter} NOT WRITTEN: {error}; '
                f'the last good one is {infos["last_ckpt"]}; training goes on, the next try is at '
                'the next interval: make room'
            )


@register_backend('durable')
class DurableBackend(LocalBackend):
    """MMEngine's files on a local disk, written whole: ``backend_args=dict(backend='durable')``."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file's content, durably."""
        with write_whole(filepath, durable=True) as partial:
            partial.write_bytes(obj)


class _RemoveLater(LocalBackend):
    """Remembers what the stock hook removes until what takes its place is there."""

    def __init__(self) -> None:
        super().__init__()
        self.outdated: list[str] = []

    def remove(self, filepath: str | Path) -> None:
        self.outdated.append(str(filepath))

    def remove_now(self) -> None:
        for path in self.outdated:
            Path(path).unlink(missing_ok=True)
        self.outdated.clear()
