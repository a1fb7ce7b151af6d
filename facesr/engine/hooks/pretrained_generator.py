"""Adversarial training starts from a generator that was trained alone."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...errors import UserError
from ..checkpoint import load_generator
from ..distributed import by_first
from ..unwrap import unwrap_generator
from ..work_dir import latest_checkpoint


@HOOKS.register_module()
class PretrainedGeneratorHook(Hook):
    """Loads the generator of another run, strictly, where nothing else was loaded or resumed.

    Args:
        source: work directory of that run: its best checkpoint is taken, else its last. None
            starts from scratch (``tools/train.py --from-scratch``).

    Raises:
        UserError: there is no checkpoint, with the command that makes it; or it is another net's.
    """

    priority = 'VERY_HIGH'

    def __init__(self, source: str | None) -> None:
        self.source = source

    def before_train(self, runner: Runner) -> None:
        if runner._has_loaded:
            return
        if self.source is None:
            runner.logger.warning('generator: from scratch, not trained before')
            return
        path = by_first(partial(find_checkpoint, self.source))
        if path is None:
            raise UserError(
                f'{self.source}: no trained generator to start from; make it: python '
                f'tools/train.py configs/{Path(self.source).name}.py, or name one: --cfg-options '
                'load_from=CHECKPOINT, or start without: --from-scratch'
            )
        ema = path.name.startswith('best_ema_')  # what it was best with
        meta = load_generator(unwrap_generator(runner), path, ema)
        which = 'averaged weights' if ema else 'weights'
        runner.logger.info(f'generator: {which} of {path}, iteration {meta.get("iter", "unknown")}')


def find_checkpoint(work_dir: str | Path) -> Path | None:
    """Find a run's best checkpoint by its validation, else its last; None where there is none."""
    best = [
        (int(match[1]), path)
        for path in Path(work_dir).glob('best_*.pth')
        if (match := re.search(r'_iter_(\d+)\.pth$', path.name))
    ]
    if best:
        return max(best)[1]
    return latest_checkpoint(work_dir)
