"""Files that appear complete or not at all; file systems without locks."""

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
        durable: flush it to the disk first, so that a machine that goes down leaves either the old
            file or the new one.

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
    """Continue with a warning where a file system has no locks.

    Some network file systems have none (Lustre without ``-o flock``, NFS without its lock service).

    Args:
        path: the file that is locked within the context.
        consequence: what can happen without the lock.
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
