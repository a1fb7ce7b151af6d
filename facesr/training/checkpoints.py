"""Checkpoints that no kill, crash or full disk can take away, and how a run resumes from one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

from mmagic.registry import HOOKS
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.runner.checkpoint import get_state_dict

from ..checkpoint import BEST, generator_weights, model_weights, takes_average, to_plain
from ..errors import UserError, describe_refusal
from ..files import by_first, write_file
from ..nets import unwrap, unwrap_generator
from . import PRIORITIES
from .optimiser import put_waiting, take_settings, take_waiting
from .output import tell
from .resume import VALIDATED, check_complete

#: What the stock hook notes of the files that it has written.
_NOTES = ('keep_ckpt_ids', 'last_ckpt', 'best_ckpt_path')
#: A scheduler's progress, which its state holds among its settings; after it ReduceOnPlateau's.
_PROGRESS = {'last_step', '_global_step', '_last_value'}
_PROGRESS |= {'best', 'num_bad_epochs', 'cooldown_counter'}


@register_backend('durable')
class DurableBackend(LocalBackend):
    """MMEngine's local disk, on which a file appears complete or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file's content durably."""
        write_file(filepath, obj, durable=True)


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``; what it writes survives a kill, and loads in today's PyTorch.

    *Writing*: the stock hook deletes the old checkpoint, and then writes the new one in place. Here
    the old one goes only when the new one is on the disk. If a checkpoint cannot be written (a full
    disk), the one before stays, and training continues; only the last one must be written. There is
    one also where training stops early, and again after a validation, with its score. The best one
    is always ``best.pth``: the stock hook puts the iteration into its name, and loses track of it
    where a run resumes in a folder that was moved.

    *Content*: MMEngine pickles ``HistoryBuffer`` objects, which ``torch.load`` refuses since 2.6
    (weights-only by default), and does not save the step counter of MMagic's ``SRGAN``. Here only
    tensors and plain values are saved. Where gradients wait for their step
    (``accumulative_counts``), they are saved too, for the resumed run's step.

    *Loading*: MMEngine only warns of weights that do not match; here they must. ``load_from`` takes
    only the generator. A run resumes by its config (``resume=True`` and ``load_from``), not by
    ``Runner.resume()``.
    """

    priority = PRIORITIES['SafeCheckpointHook']

    #: Why the last checkpoint could not be written, if so.
    _failure: OSError | None = None
    #: Each process's gradients that wait for their step, to be saved or of the checkpoint.
    _waiting: Sequence[Mapping[str, Any]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, backend_args=dict(backend='durable'), **kwargs)

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        self._outdated: list[str] = []  # files to remove when what replaces them is written
        self.file_backend.remove = self._outdated.append
        model = unwrap(runner.model)
        if hasattr(model, 'step_counter'):  # read in every iteration: on a GPU a wait each time
            model.step_counter = model.step_counter.cpu()

    def before_train_epoch(self, runner: Runner) -> None:
        if self._waiting:  # after every before_train, where FastStepHook lays out the weights
            put_waiting(unwrap(runner.model), runner.optim_wrapper, self._waiting)
            self._waiting = ()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        runner.message_hub.update_info(VALIDATED, runner.iter)
        super().after_val_epoch(runner, metrics)
        if by_first(Path(self.out_dir, self.filename_tmpl.format(runner.iter)).is_file):
            self.save(runner)

    def after_train(self, runner: Runner) -> None:
        if runner.iter < runner.max_iters:  # stopped early
            self.save(runner)
        super().after_train(runner)
        by_first(self._check_last)  # no process ends before the checkpoint is written

    def _check_last(self) -> None:
        if self._failure is not None:
            raise UserError(
                f'{self.out_dir}: the last checkpoint could not be written ({self._failure}); '
                'make room and resume'
            )

    def save(self, runner: Runner) -> None:
        """Save between two iterations; the stock hook saves at the end of one."""
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        self._save_checkpoint_with_step(runner, runner.iter, meta)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        self._waiting = take_waiting(unwrap(runner.model), runner.optim_wrapper)
        with self._undone_on_failure(runner):
            super()._save_checkpoint_with_step(runner, step, meta)
        self._waiting = ()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        if not self.save_best:
            return
        [name] = self.key_indicators
        score, worst = metrics[name], self.init_value_map[self.rules[0]]
        best_score = runner.message_hub.runtime_info.get('best_score', worst)
        if not self.is_better_than[name](score, best_score):
            return
        with self._undone_on_failure(runner):
            self.best_ckpt_path = str(Path(self.out_dir, BEST))
            best = dict(best_score=score, best_score_name=name, best_ckpt=self.best_ckpt_path)
            runner.message_hub.update_info_dict(best)
            runner.save_checkpoint(
                self.out_dir,
                BEST,
                save_optimizer=False,
                save_param_scheduler=False,
                meta=dict(epoch=runner.epoch, iter=runner.iter, best_score_name=name),
                by_epoch=False,
                backend_args=self.backend_args,
            )
            runner.logger.info(f'{BEST}: iteration {runner.iter}, {name} {score:.4f}')

    @contextmanager
    def _undone_on_failure(self, runner: Runner) -> Iterator[None]:
        """Remove old files only after the new one is written; else keep them and what is noted."""
        infos = runner.message_hub.runtime_info
        before = dict(infos)
        notes = {name: copy(getattr(self, name, None)) for name in _NOTES}
        self._failure = None
        try:
            yield
            for path in self._outdated:
                Path(path).unlink(missing_ok=True)
        except OSError as error:
            self._failure = error
            infos.clear()
            infos.update(before)
            self.__dict__.update(notes)
            runner.logger.error(
                f'checkpoint NOT WRITTEN: {describe_refusal(error)}; the last good one: '
                f'{before.get("last_ckpt") or "none"}; training continues, and tries again at the '
                'next interval'
            )
        self._outdated.clear()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        scalars = checkpoint['message_hub']['log_scalars']
        scalars.update({name: list(buffer.data) for name, buffer in scalars.items()})
        model = unwrap(runner.model)
        # MMEngine unwraps the model, not the nets in it, which may be wrapped one by one.
        weights = checkpoint['state_dict'].values()
        checkpoint['state_dict'] = dict(zip(get_state_dict(model), weights, strict=True))
        if hasattr(model, 'step_counter'):
            checkpoint['step_counter'] = int(model.step_counter)
        if self._waiting:
            checkpoint['waiting'] = self._waiting
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
            averaged = 'averaged ' if takes_average(checkpoint) else ''
            tell(runner.logger, f'generator: {averaged}weights of {path}')
            return
        check_complete(checkpoint, path)
        checkpoint['state_dict'] = model_weights(checkpoint, model, path)
        take_settings(runner.optim_wrapper, checkpoint['optimizer'])
        checkpoint['param_schedulers'] = _keep_progress(checkpoint['param_schedulers'])
        hub = checkpoint['message_hub']
        for name, (values, counts) in hub['log_scalars'].items():
            hub['log_scalars'][name] = HistoryBuffer(values, counts)
        hub['resumed_keys'].pop('loop_stage', None)  # gone at a run's end; MMEngine would warn
        self._find_best(runner, hub)
        self._waiting = checkpoint.get('waiting', ())
        if hasattr(model, 'step_counter'):
            model.step_counter.fill_(checkpoint['step_counter'])

    def _find_best(self, runner: Runner, hub: dict[str, Any]) -> None:
        """Forget the best score if its checkpoint is gone, or another score decides now."""
        infos, best = hub['runtime_info'], Path(runner.work_dir, BEST)
        if by_first(best.is_file) and infos.get('best_score_name') in (self.save_best or ()):
            infos['best_ckpt'] = str(best)  # the folder may have been moved
            return
        for name in ('best_score', 'best_score_name', 'best_ckpt'):
            infos.pop(name, None)
            hub['resumed_keys'].pop(name, None)


def _keep_progress(schedulers: Any) -> Any:
    """Keep only a scheduler's progress; its settings come from the current config."""
    if isinstance(schedulers, dict) and 'last_step' not in schedulers:  # of several optimisers
        return {net: _keep_progress(parts) for net, parts in schedulers.items()}
    if isinstance(schedulers, list):
        return [_keep_progress(scheduler) for scheduler in schedulers]
    kept = {name: value for name, value in schedulers.items() if name in _PROGRESS}
    if kept['_global_step'] >= schedulers['end']:  # it counted no further; a later end may let it
        kept['last_step'] = kept['_global_step'] - schedulers['begin']
    return kept
