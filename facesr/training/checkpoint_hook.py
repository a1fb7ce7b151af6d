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
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.runner.checkpoint import get_state_dict

from ..checkpoint import generator_weights, model_weights, to_plain
from ..errors import UserError
from ..files import write_whole
from ..nets import unwrap, unwrap_generator
from .distributed import by_first
from .optimiser import take_settings

#: Where the message hub, and so every checkpoint, keeps the iteration that was validated last.
VALIDATED = 'last_validated_iter'
#: What the message hub knows of checkpoints.
_INFOS = ('keep_ckpt_ids', 'last_ckpt', 'best_ckpt', 'best_score')
#: And the stock hook itself.
_OWN = ('keep_ckpt_ids', 'last_ckpt', 'best_ckpt_path')


# Of a schedule's state, what is not its settings.
PROGRESS = frozenset({'last_step', '_global_step', '_last_value'}) | {
    'best',  # these of ReduceOnPlateau
    'num_bad_epochs',
    'cooldown_counter',
}


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``; what it writes survives a kill, and loads in today's PyTorch.

    *Written*: the stock hook deletes the old checkpoint first, and then writes in place. Here the
    old one goes only when the new one is on the disk. A checkpoint that cannot be written (a full
    disk) does not end the run: the one before stays, the log has an error, and the next interval
    tries again; only at the end of the training is it an error. After a validation the checkpoint
    is written once more, with its score.

    *Content*: MMEngine pickles its ``HistoryBuffer`` objects, which ``torch.load`` refuses since
    2.6 (weights-only by default), and does not save the step counter of MMagic's ``SRGAN``. Here
    only tensors and plain values are saved.

    *Loaded*: MMEngine loads weights non-strictly, so that a checkpoint of another net leaves layers
    untrained with no more than a warning. Here the weights must match. ``load_from`` takes only the
    generator, whatever else the file holds. A run resumes by its config (``resume=True`` and
    ``load_from``), not by ``Runner.resume()``.

    Args: as ``CheckpointHook``; to a local disk.

    Raises:
        UserError: the training's last checkpoint cannot be written, the weights are not the
            model's, or a run is to resume from a file that holds only weights.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, backend_args=dict(backend='durable'), **kwargs)
        self._failure: OSError | None = None

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        self.file_backend = _RemoveLater()
        model = unwrap(runner.model)
        if hasattr(model, 'step_counter'):  # asked in every iteration, which a GPU would wait for
            model.step_counter = model.step_counter.cpu()

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

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        hub = checkpoint['message_hub']
        hub['log_scalars'] = {
            name: list(buffer.data) for name, buffer in hub['log_scalars'].items()
        }
        model = unwrap(runner.model)
        if hasattr(model, 'step_counter'):
            checkpoint['step_counter'] = int(model.step_counter)
        for key in checkpoint.keys() - {'state_dict'}:
            checkpoint[key] = to_plain(checkpoint[key])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        model = unwrap(runner.model)
        path = runner._load_from or 'checkpoint'
        if not runner._resume:
            weights = generator_weights(checkpoint, unwrap_generator(runner), path)
            checkpoint['state_dict'] = get_state_dict(model) | {
                f'generator.{name}': value for name, value in weights.items()
            }
            runner.logger.info(f'generator: weights of {path}')
            return
        # MMEngine saves the best without its optimiser, and would begin the schedule again.
        lacking = {'message_hub', 'optimizer', 'param_schedulers'} - checkpoint.keys()
        if lacking:
            raise UserError(
                f'{path}: holds weights only ({" and ".join(sorted(lacking))} missing), a run '
                f'cannot go on from it; to start from these weights: --cfg-options load_from={path}'
            )
        checkpoint['state_dict'] = model_weights(checkpoint, model, path)
        take_settings(runner.optim_wrapper, checkpoint['optimizer'])
        checkpoint['param_schedulers'] = _keep_progress(checkpoint['param_schedulers'])
        hub = checkpoint['message_hub']
        for name, (values, counts) in hub['log_scalars'].items():
            hub['log_scalars'][name] = HistoryBuffer(values, counts)
        for name, best in list(hub['runtime_info'].items()):
            # In another work directory it is another run's, which the next best would delete.
            if name.startswith('best_ckpt') and not _is_within(best, runner.work_dir):
                del hub['runtime_info'][name], hub['resumed_keys'][name]
        if hasattr(model, 'step_counter'):
            model.step_counter.fill_(checkpoint['step_counter'])


def _keep_progress(schedules: Any) -> Any:
    """Keep where schedules are; what they are is the config's, which MMEngine would overrule."""
    if isinstance(schedules, dict) and 'last_step' not in schedules:  # of several optimisers
        return {net: _keep_progress(parts) for net, parts in schedules.items()}
    if isinstance(schedules, list):
        return [_keep_progress(schedule) for schedule in schedules]
    kept = {name: value for name, value in schedules.items() if name in PROGRESS}
    if kept['_global_step'] >= schedules['end']:  # it counted no further, and may do so again
        kept['last_step'] = kept['_global_step'] - schedules['begin']
    return kept


def _is_within(path: str, folder: str) -> bool:
    return Path(folder).resolve() in Path(path).resolve().parents


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
