"""A run's folder: one run at a time, and no restarts that get nowhere."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UserError
from ..files import allow_no_locks

#: Restarts of a Slurm job in a row that may begin at the same iteration.
RESTARTS = 3


def check_progress(work_dir: str | Path, iteration: int) -> None:
    """End a Slurm job that is restarted again and again without a new checkpoint.

    Raises:
        UserError: the third restart in a row that resumes at this iteration.
    """
    path = Path(work_dir, '.restarts')
    if int(os.environ.get('SLURM_RESTART_COUNT', 0)) == 0:
        path.unlink(missing_ok=True)
        return
    former, count = map(int, path.read_text().split()) if path.is_file() else (-1, 0)
    count = count + 1 if former == iteration else 1
    path.write_text(f'{iteration} {count}\n')
    if count >= RESTARTS:
        raise UserError(
            f'{work_dir}: restarted {count} times at iteration {iteration} without a new '
            'checkpoint; save more often (default_hooks.checkpoint.interval), ask for more time, '
            'or look at the log for what ends it'
        )


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
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
        file.flush()
        yield
