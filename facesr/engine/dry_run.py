"""A rehearsal of a run: a mistake costs a minute, not a night in the queue."""

from __future__ import annotations

import copy
import math
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from mmagic.registry import DATASETS
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

ITERATIONS = 2


def rehearse(config: Config, run: Callable[[Config], Runner]) -> str | None:
    """Build everything, train two iterations, validate a batch and save, somewhere else.

    Args:
        config: the real run's.
        run: trains a config from its beginning.

    Returns:
        What the real run will take and write, as far as two iterations tell; None in all
        processes but the first, which is the only one that saves.
    """
    small = copy.deepcopy(config)
    small.train_cfg.update(max_iters=ITERATIONS, val_interval=ITERATIONS)
    if small.get('val_dataloader'):
        batch_size = small.val_dataloader.batch_size
        small.val_dataloader.dataset.indices = batch_size
    small.default_hooks.checkpoint.update(interval=ITERATIONS, save_best=None)
    with tempfile.TemporaryDirectory() as folder:
        small.work_dir = folder
        runner = run(small)
        runner.visualizer.close()  # before its folder goes
        if not is_main_process():
            return None
        size = Path(folder, f'iter_{ITERATIONS}.pth').stat().st_size
    hub = runner.message_hub
    iterations = config.train_cfg.max_iters
    seconds = hub.get_scalar('train/time').data[0][-1] * iterations
    lines = [f'{iterations:,} iterations: about {_describe(seconds)} by the second of two']
    if config.get('val_dataloader'):
        # One batch, before the loop has warmed up: no more than this.
        batch = hub.get_scalar('val/time').data[0][-1]
        images = len(DATASETS.build(copy.deepcopy(config.val_dataloader.dataset)))
        times = math.ceil(iterations / config.train_cfg.val_interval)
        most = _describe(batch * math.ceil(images / batch_size) * times)
        lines.append(f'{times} validations of {images} images: at most {most}')
    kept = config.default_hooks.checkpoint.get('max_keep_ckpts', -1)
    saved = math.ceil(iterations / config.default_hooks.checkpoint.interval)
    work_dir = Path(config.work_dir)
    there = next(path for path in (work_dir, *work_dir.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    lines.append(
        f'{min(kept, saved) if kept > 0 else saved} checkpoints and the best, {size / 1e6:.0f} MB '
        f'at the most each, in {work_dir}, '
        f'where {free / 1e9:.0f} GB are free'
    )
    return 'dry run passed; the real one takes and writes:\n  ' + '\n  '.join(lines)


def _describe(seconds: float) -> str:
    return str(timedelta(seconds=math.ceil(seconds)))
