"""A run's folder: one run at a time."""

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UserError
from ..files import allow_no_locks


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
