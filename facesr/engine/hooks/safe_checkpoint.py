"""Checkpoints that load on today's PyTorch with its protection on, and whole or not at all."""

from __future__ import annotations

from typing import Any

from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from ...errors import UserError
from ..checkpoint import generator_weights, model_weights, to_plain
from ..unwrap import unwrap


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Saves plain values only, loads weights strictly, and resumes from whole checkpoints alone.

    MMEngine pickles its ``HistoryBuffer`` objects, which ``torch.load`` refuses since 2.6
    (weights-only by default); it loads weights non-strictly, so that a checkpoint of another net
    leaves layers untrained with no more than a warning; and it does not save the step counter of
    MMagic's ``SRGAN``. ``load_from`` takes the generator alone, whatever else the file holds.

    Raises:
        UserError: the weights are not the model's, or a run is to go on from weights alone.
    """

    # After the hooks that add to a checkpoint.
    priority = 'VERY_LOW'

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
            weights = generator_weights(checkpoint, model.generator, path)
            checkpoint['state_dict'] = model.state_dict() | {
                f'generator.{name}': value for name, value in weights.items()
            }
            runner.logger.info(f'generator: weights of {path}')
            return
        checkpoint['state_dict'] = model_weights(checkpoint, model, path)
        if 'message_hub' not in checkpoint:
            raise UserError(
                f'{path}: holds weights only, a run cannot go on from it; '
                f'to start from these weights: --cfg-options load_from={path}'
            )
        scalars = checkpoint['message_hub']['log_scalars']
        for name, (values, counts) in scalars.items():
            scalars[name] = HistoryBuffer(values, counts)
        if hasattr(model, 'step_counter'):
            model.step_counter.fill_(checkpoint['step_counter'])
