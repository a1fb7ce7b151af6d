"""A run's folder: one run at a time."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UserError


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

    Some network file systems have no locks (Lustre without ``-o flock``, NFS without its lock
    service); there a second run is not noticed, with a warning.

    Raises:
        UserError: another run has it.
        OSError: the folder cannot be written.
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
