"""The generator's weights: where adversarial training takes them from, and their average."""

import itertools
from pathlib import Path
from typing import Any

import torch
from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import ExponentialMovingAverage
from mmengine.runner import Runner
from mmengine.runner.amp import autocast

from ..checkpoint import find_checkpoint, load_generator
from ..errors import UserError
from ..files import by_first
from ..nets import unwrap_generator
from . import PRIORITIES
from .output import tell

#: Where the message hub, and so every checkpoint, keeps how long another run trained the generator.
GENERATOR_ITERATIONS = 'generator_iterations'


@HOOKS.register_module()
class PretrainedGeneratorHook(Hook):
    """Loads the generator of another run, strictly, where nothing else was loaded or resumed.

    ``source`` is the work directory of that run, of which the best checkpoint is taken, else the
    last; or a file, such as one of weights/. None starts from scratch. ``part`` names the
    generator's module that the weights are for; None: all of it.
    """

    priority = PRIORITIES['PretrainedGeneratorHook']

    def __init__(self, source: str | None, part: str | None = None) -> None:
        self.source, self.part = source, part

    def before_train(self, runner: Runner) -> None:
        if runner._has_loaded:
            return
        if self.source is None:
            tell(runner.logger, 'generator: from scratch, not trained before')
            return
        source = Path(self.source)
        path = by_first(lambda: source if source.is_file() else find_checkpoint(source))
        if path is None:
            raise UserError(
                f'{source}: no trained generator to start from; make it: python '
                f'tools/train.py configs/{source.stem}.py, or name one: --cfg-options '
                'load_from=CHECKPOINT, or start from scratch: --cfg-options '
                'default_hooks.pretrained.source=None'
            )
        meta = load_generator(unwrap_generator(runner).get_submodule(self.part or ''), path)
        runner.message_hub.update_info(GENERATOR_ITERATIONS, meta.get('iter'))
        which = f'{"averaged " if meta["ema"] else ""}weights of {path}'
        what = f'generator.{self.part}' if self.part else 'generator'
        tell(runner.logger, f'{what}: {which}, iteration {meta.get("iter", "unknown")}')


@HOOKS.register_module()
class GeneratorEMAHook(Hook):
    """Keeps an exponential moving average of the generator, and validates it beside the raw one.

    MMEngine's ``EMAHook`` averages the discriminator too, and validates only the average; that of
    MMagic's ``ExponentialMovingAverageHook`` is never validated. Here a validation gives ``PSNR``
    and ``ema/PSNR``; a checkpoint holds the average as ``ema_state_dict``, for ``--ema`` of
    ``tools/test.py`` and ``tools/export.py``. After each iteration, ``average = decay * average +
    (1 - decay) * weights``.
    """

    priority = PRIORITIES['GeneratorEMAHook']

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 < decay < 1:
            raise UserError(f'GeneratorEMAHook: decay={decay}: between 0 and 1 expected')
        self.decay = decay
        self.ema: ExponentialMovingAverage | None = None
        self._saved: dict[str, Any] | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if not runner._resume:
            return
        self._saved = checkpoint.get('ema_state_dict')
        if self._saved is None:
            runner.logger.warning('the checkpoint holds no average; it starts from the weights')

    def before_train_epoch(self, runner: Runner) -> None:
        # After every before_train, where FastStepHook lays out the weights: the average's copy it.
        self.ema = ExponentialMovingAverage(unwrap_generator(runner), momentum=1 - self.decay)
        if self._saved is not None:
            self.ema.load_state_dict(self._saved)
            self._saved = None

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        assert self.ema is not None
        self.ema.update_parameters(unwrap_generator(runner))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        if self.ema is None or metrics is None:  # a validation without training
            return
        generator = unwrap_generator(runner)
        raw = {name: value.clone() for name, value in generator.state_dict().items()}
        generator.load_state_dict(self.ema.module.state_dict())
        try:
            metrics |= {f'ema/{name}': score for name, score in _validate(runner).items()}
        finally:
            generator.load_state_dict(raw)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if self.ema is not None:
            state = self.ema.state_dict()
            checkpoint['ema_state_dict'] = {name: value.cpu() for name, value in state.items()}


@torch.no_grad()
def _validate(runner: Runner) -> dict[str, float]:
    """Validate once more; of the hooks only those that stop a run and say how far it is act."""
    loop = runner.val_loop
    hooks = [hook for hook in runner.hooks if getattr(hook, 'acts_on_average', False)]
    done = itertools.count(loop.total_length)
    runner.logger.info('validating the average')
    scores: dict[str, float] = {}
    for evaluator, loader in zip(loop.evaluators, loop.dataloaders, strict=True):
        evaluator.prepare_metrics(runner.model, loader)
        for group, sampler in evaluator.prepare_samplers(runner.model, loader):
            for batch in sampler:
                with autocast(enabled=loop.fp16):
                    outputs = runner.model.val_step(batch)
                evaluator.process(outputs, batch, group)
                index = next(done)
                for hook in hooks:
                    hook.after_val_iter(runner, index)
        scores |= evaluator.evaluate()
    return scores
