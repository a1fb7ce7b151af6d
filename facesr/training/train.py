"""A training run from a config file and the command line's options, or a rehearsal of it."""

import copy
import math
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from functools import partial
from multiprocessing.util import get_temp_dir
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import BaseLoop, Runner
from mmengine.visualization import Visualizer

from ..checkpoint import BEST
from ..config import as_list, load_config, parse_overrides
from ..data.loader import end_workers
from ..errors import StoppedError, UserError
from ..files import by_first
from ..nets import check_gpu
from .distributed import joined_processes
from .output import QuietRunner, in_words, show, tell
from .resume import Start, choose_start, sole_run
from .schedule import count_validations, scale_schedule
from .signals import STOP_FILE, asked, taking_signals

#: Iterations of a dry run; the second is timed.
REHEARSED = 2


def train(
    config_path: str | Path,
    overrides: Iterable[str] = (),
    *,
    work_dir: str | None = None,
    resume: str | None = None,
    iterations: int | None = None,
    launcher: str | None = None,
    dry_run: bool = False,
) -> None:
    """Train a config with MMEngine's runner; the options are those of ``tools/train.py``.

    ``resume='auto'`` takes the work directory's last checkpoint, if any. A run that was asked to
    stop raises a ``StoppedError``.
    """
    overrides = list(overrides)
    if dry_run:
        os.environ.pop(STOP_FILE, None)  # no reason to queue a job again
    with taking_signals():
        check_gpu()
        get_temp_dir()  # the loaders' processes take this one; it is removed when this process ends
        config = _read_config(config_path, overrides, work_dir, launcher)
        if resume is None and config.get('resume'):  # MMEngine's way to ask for it
            resume, config.load_from = config.load_from or 'auto', None
        config.resume = False  # until there is a checkpoint to resume from
        if iterations is not None:
            scale_schedule(config, iterations, parse_overrides(overrides))
        pin_batches(config)
        with joined_processes(config), ExitStack() as stack:
            stack.callback(show, '')
            stack.callback(_remove_empty_cache)
            if not dry_run:
                by_first(lambda: stack.enter_context(sole_run(config.work_dir)))
            start = by_first(partial(choose_start, config, resume))
            if start.finished:
                if is_main_process():
                    print(
                        f'{config.work_dir}: this run is finished, after {start.iteration:,} '
                        'iterations; to train it further: --iterations N'
                    )
            elif dry_run:
                _rehearse(config, config_path, start.iteration)
            else:
                _say_end(_run(config, config_path, start), config_path, overrides)


def _remove_empty_cache() -> None:
    with suppress(OSError, KeyError):  # PyTorch's import makes it, mostly for nothing
        Path(os.environ['TORCHINDUCTOR_CACHE_DIR']).rmdir()


def _read_config(
    path: str | Path, overrides: list[str], work_dir: str | None, launcher: str | None
) -> Config:
    config = load_config(path, overrides)
    if not config.get('train_dataloader'):
        raise UserError(f'{path}: no training in it; name a config such as those in configs')
    config.work_dir = work_dir or config.work_dir
    config.launcher = launcher or config.get('launcher', 'none')
    copy = Path(config.work_dir, Path(path).name)  # MMEngine writes it, work_dir and all
    if copy.exists() and copy.samefile(path) and 'work_dir =' not in copy.read_text('utf-8'):
        raise UserError(f"{copy}: the run's copy of its config would replace it; choose --work-dir")
    return config


def pin_batches(config: Config) -> None:
    """Keep batches in memory from which a CUDA GPU copies them while it computes."""
    for loader in (config.train_dataloader, *as_list(config.get('val_dataloader'))):
        if torch.cuda.is_available() and isinstance(loader, dict):
            loader.setdefault('pin_memory', True)


def _run(config: Config, config_path: str | Path, start: Start) -> Runner:
    if start.checkpoint is not None:
        config.resume, config.load_from = True, start.checkpoint
    runner = None
    try:
        runner = QuietRunner.from_cfg(config)
        runner.train()
    except (StoppedError, UserError):
        raise
    except Exception as error:
        # The runner builds most of its parts in train(): only after an iteration is it a bug.
        if runner is not None and runner.message_hub.get_info('iter', 0) > start.iteration:
            raise
        # The last line: a data loader's worker puts its traceback before it.
        message = f'{type(error).__name__}: {error}'.strip().splitlines()[-1]
        raise UserError(f'{config_path}: cannot be trained: {message}') from error
    finally:
        for loop in (runner._train_loop, runner._val_loop) if runner is not None else ():
            if isinstance(loop, BaseLoop):  # else it was never built
                end_workers(loop)
    return runner


def _say_end(runner: Runner, config_path: str | Path, overrides: Iterable[str]) -> None:
    """Print where the best checkpoint is, and the commands that come next."""
    infos, folder = runner.message_hub.runtime_info, runner.work_dir
    if Path(folder).is_relative_to(Path.cwd()):
        folder = os.path.relpath(folder)
    kept, which = Path(folder, f'iter_{runner.iter}.pth'), 'its last checkpoint'
    name = infos.get('best_score_name', '')
    if name:
        kept, which = Path(folder, BEST), f'its best checkpoint ({name} {infos["best_score"]:.4f})'
    options = [option for option in overrides if option.startswith(('model.', 'test_'))]
    command = ['python', 'tools/test.py', config_path, kept, '--out', Path(folder, 'results')]
    command += ['--cfg-options', *options] * bool(options)
    tell(
        runner.logger,
        f'finished after iteration {runner.iter:,}; {which}: {kept}\n'
        f'  restore images with it: {shlex.join(map(str, command))}\n'
        f'  look at the run:        {shlex.join(["python", "tools/report.py", folder])}',
    )


def _close_logs() -> None:
    if Visualizer._instance_dict:  # else the runner did not get that far
        Visualizer.get_current_instance().close()


def _rehearse(config: Config, config_path: str | Path, begin: int) -> None:
    """Train two iterations, validate a batch and save, elsewhere; print the real run's needs."""
    work_dir = Path(config.work_dir)
    disk = next(path for path in (work_dir, *work_dir.absolute().parents) if path.exists())
    if not (disk.is_dir() and os.access(disk, os.W_OK)):
        raise UserError(f'{work_dir}: cannot be written: {disk} is no folder that you may write to')
    small = copy.deepcopy(config)
    small.train_cfg.update(max_iters=REHEARSED, val_interval=REHEARSED, val_begin=1)
    for loader in as_list(small.get('val_dataloader')):
        loader.sampler = dict(type='FirstSampler', shuffle=False, number=loader.batch_size)
    small.default_hooks.checkpoint.update(interval=REHEARSED)
    small.log_level = 'WARNING'
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.callback(_close_logs)  # they are written into the folder until then
        small.work_dir = folder
        try:
            runner = _run(small, config_path, Start())
        except StoppedError as stop:
            raise StoppedError(f'stopped by {asked()}; a dry run keeps nothing') from stop
        if not is_main_process():
            return
        megabytes = Path(folder, f'iter_{REHEARSED}.pth').stat().st_size / 1e6
    hub, plan = runner.message_hub, config.train_cfg
    iterations = plan.max_iters - begin
    seconds = hub.get_scalar('train/time').data[0][-1] * iterations
    lines = [f'{iterations:,} iterations: about {in_words(seconds)} by the second of two']
    if runner.val_loop is not None:
        sets = runner.val_loop.dataloaders
        images = sum(len(loader.dataset) for loader in sets)
        when = plan.max_iters, plan.val_interval, plan.get('val_begin', 1)
        times = count_validations(begin + 1, *when)
        batches = sum(math.ceil(len(loader.dataset) / loader.batch_size) for loader in sets)
        # At most: the batch that was timed, and one of an average, came before the device was warm.
        seconds = sum(hub.get_scalar('val/time').data[0]) / len(sets) * times * batches
        lines.append(f'{times} validations of {images} images: at most {in_words(seconds)}')
    checkpoint = config.default_hooks.checkpoint
    saved = math.ceil(iterations / checkpoint.interval) if checkpoint.interval > 0 else 1
    kept = checkpoint.get('max_keep_ckpts', -1)
    best = ' and the best' if runner.val_loop and checkpoint.get('save_best') else ''
    lines.append(
        f'{min(kept, saved) if kept > 0 else saved} checkpoints{best}, at most {megabytes:.1f} MB '
        f'each, in {work_dir}, where {shutil.disk_usage(disk).free / 1e9:.0f} GB are free'
    )
    print('dry run passed; the real one takes and writes:\n  ' + '\n  '.join(lines))
