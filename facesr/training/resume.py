"""Where a run starts: alone in its folder, anew or from a checkpoint; what has changed since."""

import errno
import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from ..checkpoint import checkpoints_of, latest_checkpoint, read_checkpoint
from ..config import leaves, parse_config
from ..errors import UserError
from .schedule import is_validation_due

#: Where the message hub, and so every checkpoint, keeps the iteration that was validated last.
VALIDATED = 'last_validated_iter'
#: What no resume can change: the checkpoint holds its state, or a resume does not look at it.
FIXED = re.compile(
    r'model\.(type|generator|discriminator)\b.*'
    r'|optim_wrapper\.(.*\.)?(constructor|paramwise_cfg\b.*|optimizer\.type)'
    r'|param_scheduler\.(.*\.)?type'
    r'|randomness\.seed'
    r'|default_hooks\.pretrained\.source'
)
#: What belongs to a start and not to the training.
_OF_A_START = re.compile(
    r'work_dir|resume|load_from|launcher|experiment_name|model_wrapper_cfg\b.*|test_.*'
    r'|.*\.pin_memory'
)


@contextmanager
def sole_run(work_dir: str | Path) -> Iterator[None]:
    """Keep a work directory for one run, as a context; a second one is refused.

    Some network file systems have no locks (Lustre without ``-o flock``, NFS without its lock
    service); there a second run is not noticed, with a warning.
    """
    path = Path(work_dir, '.lock')
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a+', encoding='utf-8') as file:
        try:
            # Not flock: the loader's processes would inherit that, and keep it past a kill.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            raise UserError(
                f'{work_dir}: another run is writing there ({file.read().strip()}); wait for it, '
                'or choose another folder: --work-dir'
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                raise
            reason = f'this file system has no locks ({error.strerror})'
            print(f'warning: {path}: {reason}; a second run would not be noticed', flush=True)
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
        file.flush()
        yield


class Start(NamedTuple):
    """Where a run starts."""

    checkpoint: str | None = None  # the file that it resumes from
    iteration: int = 0  # after which it continues
    finished: bool = False  # whether nothing is left to do, the last validation included


def choose_start(config: Config, resume: str | None) -> Start:
    """Choose the checkpoint that a run resumes from, if any, and print what has changed since.

    ``resume`` is a checkpoint, ``'auto'`` the work directory's last, None a start from nothing.
    """
    held = next(iter(checkpoints_of(config.work_dir)), None)
    path = resume
    if resume == 'auto':
        latest = latest_checkpoint(config.work_dir)
        path = None if latest is None else str(latest)
    if path is None:
        if held:
            raise UserError(
                f'{config.work_dir}: holds a run ({held.name}); to resume it: --resume, '
                'to start another one: --work-dir FOLDER'
            )
        if resume == 'auto':
            print(f'{config.work_dir}: no checkpoint to resume from, starting at the beginning')
        if config.get('load_from'):
            read_checkpoint(config.load_from)
        return Start()
    checkpoint = read_checkpoint(path)
    check_complete(checkpoint, path)
    if resume != 'auto' and held and Path(path).resolve() != held.resolve():
        # Else a later --resume would take checkpoints of another run, or a later part, for its own.
        raise UserError(
            f'{config.work_dir}: holds {held.name}, which a run from {path} would not continue; to '
            'resume it: --resume without a file, to start from this file: --work-dir FOLDER'
        )
    changes = list(_changes(checkpoint, config, path))
    start = Start(path, checkpoint['meta']['iter'], _is_finished(checkpoint, config))
    if start.finished:
        return start
    if config.get('load_from'):
        changes.append(f'load_from={config.load_from}: not read, for the run resumes')
    if changes:
        print('\n  '.join([f'{path}: changed since:', *changes]))
    return start


def _is_finished(checkpoint: Mapping[str, Any], config: Config) -> bool:
    iteration, settings = checkpoint['meta']['iter'], config.train_cfg
    last = settings.max_iters
    when = iteration, last, settings.get('val_interval', 1000), settings.get('val_begin', 1)
    validated = (
        not config.get('val_dataloader')
        or not is_validation_due(*when)
        or checkpoint['message_hub']['runtime_info'].get(VALIDATED) == iteration
    )
    return bool(iteration > last or (iteration == last and validated))


def check_complete(checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Refuse one that holds only weights, as the best: MMEngine would begin its schedule again."""
    lacking = {'message_hub', 'optimizer', 'param_schedulers'} - checkpoint.keys()
    if lacking:
        raise UserError(
            f'{path}: holds weights only ({" and ".join(sorted(lacking))} missing), no run can '
            f'resume from it; to start from these weights: --cfg-options load_from={path}'
        )


def _changes(checkpoint: Mapping[str, Any], config: Config, path: str) -> Iterator[str]:
    """What differs from the config that a checkpoint was trained with, a line each."""
    former = parse_config(checkpoint['meta'].get('cfg', ''))
    if not former:
        yield 'settings that cannot be compared: the checkpoint holds no config that can be read'
        return
    before, now = (
        {key: json.dumps(value, default=str) for key, value in leaves(settings)}
        for settings in (former, config)
    )
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key, 'not set'), now.get(key, 'not set')
        if old == new or _OF_A_START.fullmatch(key):
            continue
        if FIXED.fullmatch(key):
            raise UserError(
                f'{path}: {key} is {old} in this run, {new} in the config, and cannot change on a '
                'resume; for another run: --work-dir FOLDER'
            )
        yield f'{key}: {new} (before: {old})'
