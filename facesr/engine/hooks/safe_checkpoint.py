"""Checkpoints that load on today's PyTorch with its protection on, and whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.runner.checkpoint import get_state_dict

from ...errors import UserError
from ..checkpoint import generator_weights, model_weights, to_plain
from ..optim_state import take_settings
from ..unwrap import unwrap, unwrap_generator

# Of a schedule's state, what is not its settings.
PROGRESS = frozenset({'last_step', '_global_step', '_last_value'}) | {
    'best',  # these of ReduceOnPlateau
    'num_bad_epochs',
    'cooldown_counter',
}


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Saves plain values only, loads weights strictly, and resumes from whole checkpoints alone.

    MMEngine pickles its ``HistoryBuffer`` objects, which ``torch.load`` refuses since 2.6
    (weights-only by default); it loads weights non-strictly, so that a checkpoint of another net
    leaves layers untrained with no more than a warning; and it does not save the step counter of
    MMagic's ``SRGAN``. ``load_from`` takes the generator alone, whatever else the file holds. A run
    goes on by its config (``resume=True`` and ``load_from``), not by ``Runner.resume()``.

    Raises:
        UserError: the weights are not the model's, or a run is to go on from weights alone.
    """

    # After the hooks that add to a checkpoint.
    priority = 'VERY_LOW'

    def before_train(self, runner: Runner) -> None:
        model = unwrap(runner.model)
        if hasattr(model, 'step_counter'):  # asked in every iteration, which a GPU would wait for
            model.step_counter = model.step_counter.cpu()

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
