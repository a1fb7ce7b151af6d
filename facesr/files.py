"""Files that appear whole or not at all; locks where there are any."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_whole(path: str | Path, durable: bool = False) -> Iterator[Path]:
    """Write beside a file, then put it in its place; on an error the former file stays.

    Args:
        path: the file; its folder is made if missing.
        durable: have it on the disk before it takes the place, so that a machine that goes down
            leaves the one or the other.

    Yields:
        The file to write, in the same folder.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.stem}.partial{path.suffix}')
    try:
        yield partial
        if durable:
            _flush(partial)
        partial.replace(path)
        if durable:
            _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def allow_no_locks(path: Path, consequence: str) -> Iterator[None]:
    """Warn, and do without, where locking a file says that its file system has no locks.

    So do some network file systems (Lustre without ``-o flock``, NFS without its lock service).

    Args:
        path: the file that is locked within the context.
        consequence: what a lock would have kept from happening.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
            raise
        reason = f'this file system has no locks ({error.strerror})'
        print(f'warning: {path}: {reason}; {consequence}', flush=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
