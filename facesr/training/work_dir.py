"""A run's folder: one run at a time, and no restarts that get nowhere."""

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..config import parse_config
from ..errors import UserError
from ..files import allow_no_locks, write_whole

#: Restarts of a Slurm job in a row that may begin at the same iteration.
RESTARTS = 3


def check_progress(work_dir: str | Path, iteration: int) -> None:
    """End a Slurm job that is restarted again and again without a new checkpoint.

    Raises:
        UserError: the third restart in a row that resumes at this iteration.
    """
    path = Path(work_dir, '.restarts')
    text = path.read_text(errors='replace') if path.is_file() else ''
    kept = re.fullmatch(r'(\d+) (\d+)\n', text)
    if os.environ.get('SLURM_RESTART_COUNT', '0') in ('', '0'):
        if kept:
            path.unlink()
        return
    former, count = map(int, kept.groups()) if kept else (-1, 0)
    count = count + 1 if former == iteration else 1
    with write_whole(path) as partial:
        partial.write_text(f'{iteration} {count}\n')
    if count >= RESTARTS:
        raise UserError(
            f'{work_dir}: restarted {count} times at iteration {iteration} without a new '
            'checkpoint; save more often (default_hooks.checkpoint.interval), ask for more time, '
            'or look at the log for what ends it'
        )


def check_replaced(work_dir: str | Path, config: str | Path) -> None:
    """Check that the two files that MMEngine writes by fixed names replace no others.

    Args:
        work_dir: where they go.
        config: the config file that the run was started with.

    Raises:
        UserError: a file of such a name is there, and is no run's.
    """
    for name, is_ours, what in (
        (Path(config).name, _is_dump, "the run's copy of its config"),
        ('last_checkpoint', _is_pointer, "the name of the run's last checkpoint"),
    ):
        path = Path(work_dir, name)
        try:
            replaced = os.path.lexists(path) and (
                path.is_symlink() or not is_ours(path.read_text(encoding='utf-8'))
            )
        except (OSError, ValueError):
            replaced = True
        if replaced:
            raise UserError(
                f'{path}: would be replaced by {what}; choose another folder: --work-dir'
            )


def _is_dump(text: str) -> bool:
    config = parse_config(text) or {}
    return 'work_dir' in config and '_base_' not in config


def _is_pointer(text: str) -> bool:
    return bool(re.fullmatch(r'.*\.pth', text))


def existing_folder(work_dir: Path) -> Path:
    """The folder in which a work directory would be made, or itself where it is there already.

    Raises:
        UserError: it cannot be made or written.
    """
    there = next(path for path in (work_dir, *work_dir.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise UserError(f'{work_dir}: cannot be written: {there} is no folder')
    if not os.access(there, os.W_OK):
        raise UserError(f'{work_dir}: cannot be written: Permission denied')
    return there


@contextmanager
def sole_run(work_dir: str | Path) -> Iterator[None]:
    """Keep a work directory for one run, as a context.

    Raises:
        UserError: another run has it, or the folder cannot be written.
    """
    path = Path(work_dir, '.lock')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open('a+', encoding='utf-8')
    except OSError as error:
        raise UserError(f'{work_dir}: cannot be written: {error.strerror}') from error
    with file:
        try:
            with allow_no_locks(path, 'a second run on this work directory would not be noticed'):
                # Not flock: the loader's processes would inherit that, and keep it past a kill.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            raise UserError(
                f'{work_dir}: another run is writing there ({file.read().strip()}); wait for it, '
                'or choose another folder: --work-dir'
            ) from None
        except OSError as error:
            raise UserError(f'{work_dir}: cannot be written: {error.strerror}') from error
        file.seek(0)
        if not re.fullmatch(r'(process \d+ on .*\n)?', file.read()):
            raise UserError(f"{path}: is no run's; choose another folder: --work-dir")
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
        try:
            file.flush()
        except OSError as error:
            raise UserError(f'{work_dir}: cannot be written: {error.strerror}') from error
        yield
