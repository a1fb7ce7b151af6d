"""A training run from a config file and what the command line adds to it."""

from __future__ import annotations

import copy
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
from mmagic.registry import DATASETS
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from ..checkpoint import latest_checkpoint, read_checkpoint
from ..config import load_config
from ..errors import StoppedError, UserError
from ..nets import check_gpu
from .distributed import by_first, joined_processes
from .schedule import scale_schedule
from .work_dir import check_progress, sole_run


def train(
    config_path: str | Path,
    overrides: Iterable[str] = (),
    *,
    work_dir: str | None = None,
    resume: str | None = None,
    iterations: int | None = None,
    amp: bool = False,
    from_scratch: bool = False,
    launcher: str | None = None,
    dry_run: bool = False,
) -> None:
    """Train a config with MMEngine's runner.

    Args:
        config_path: the config file.
        overrides: ``key=value`` strings, as after ``--cfg-options``.
        work_dir: where logs and checkpoints go; None leaves it to the config.
        resume: a checkpoint to go on from; ``'auto'`` takes the work directory's last, if any.
        iterations: how many to train, with the schedule scaled alike; None leaves the config's.
        amp: mixed precision: bfloat16, or float16 on a GPU that lacks it; needs a CUDA GPU.
        from_scratch: do without the pre-trained generator that the config asks for.
        launcher: ``'none'``, ``'pytorch'`` or ``'slurm'``; None leaves it to the config.
        dry_run: rehearse the run in two iterations, and tell what it will take and write.

    Raises:
        StoppedError: the run was asked to stop, and has saved.
        UserError: anything in the config, the data, the checkpoint or the machine's GPU that the
            user can mend.
    """
    config = load_config(config_path, overrides)
    check_gpu()
    if work_dir is not None:
        config.work_dir = work_dir
    if launcher is not None:
        config.launcher = launcher
    if iterations is not None:
        scale_schedule(config, iterations)
    if amp:
        _switch_to_amp(config)
    pin_batches(config)
    if from_scratch:
        _start_from_scratch(config, config_path)
    with joined_processes(config), ExitStack() as stack:
        if dry_run:
            said = rehearse(config, lambda small: _run(small, config_path, None))
            if said is not None:
                print(said)
            return
        by_first(lambda: stack.enter_context(sole_run(config.work_dir)))
        _run(config, config_path, resume)


def _run(config: Config, config_path: str | Path, resume: str | None) -> Runner:
    checkpoint, start = by_first(partial(_choose_start, config, resume))
    if checkpoint is not None:
        config.resume, config.load_from = True, checkpoint
    runner = None
    try:
        runner = Runner.from_cfg(config)
        runner.train()
    except (StoppedError, UserError):
        raise
    except Exception as error:
        # The runner builds most of its parts as late as in train().
        if runner is not None and runner.message_hub.get_info('iter', 0) > start:
            raise
        # The last line: a data loader's worker puts its traceback before it.
        message = f'{type(error).__name__}: {error}'.strip().splitlines()[-1]
        raise UserError(f'{config_path}: cannot be trained: {message}') from error
    return runner


def _choose_start(config: Config, resume: str | None) -> tuple[str | None, int]:
    """The checkpoint to resume from, if any, and the iteration at which the run begins."""
    if resume == 'auto':
        latest = latest_checkpoint(config.work_dir)
        resume = None if latest is None else str(latest)
        if resume is None:
            print(f'{config.work_dir}: no checkpoint to go on from, starting from the beginning')
    start = 0
    if resume is not None:
        start = read_checkpoint(resume).get('meta', {}).get('iter', 0)
    elif config.get('load_from'):
        read_checkpoint(config.load_from)
    check_progress(config.work_dir, start)
    return resume, start


def pin_batches(config: Config) -> None:
    """Have training batches in memory from which a CUDA GPU copies them while it computes."""
    if torch.cuda.is_available():
        config.train_dataloader.setdefault('pin_memory', True)


def _switch_to_amp(config: Config) -> None:
    if not torch.cuda.is_available():
        raise UserError('--amp needs a CUDA GPU, and PyTorch sees none here')
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    wrappers = [config.optim_wrapper, *config.optim_wrapper.values()]
    for wrapper in wrappers:
        if isinstance(wrapper, dict) and 'optimizer' in wrapper:
            wrapper['type'] = 'Bf16OptimWrapper' if bf16 else 'AmpOptimWrapper'
            if not bf16:
                wrapper.setdefault('loss_scale', 'dynamic')


def _start_from_scratch(config: Config, config_path: str | Path) -> None:
    hooks = [
        hook
        for hook in config.get('custom_hooks') or []
        if hook.get('type') == 'PretrainedGeneratorHook'
    ]
    if config.get('load_from'):
        raise UserError('--from-scratch and load_from contradict each other')
    if not hooks:
        raise UserError(f'--from-scratch: {config_path} starts from no trained generator as it is')
    for hook in hooks:
        hook.source = None


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
