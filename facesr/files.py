"""Files that appear complete or not at all, and never in place of what is not ours."""

import errno
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from mmengine import dist

from .errors import UserError

RECORD = '.facesr.json'  # in a folder: which of its files the tools wrote
Result = TypeVar('Result')
Record = dict[str, list[int] | None]  # sizes and times by name
_claimed: set[Path] = set()  # what is being written


@contextmanager
def claim(
    targets: Iterable[Path],
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
    folders: Sequence[Path] = (),
) -> Iterator[None]:
    """Write files within, but only new ones and those that the tools wrote before.

    A file is the tools' if ``.facesr.json`` in its folder says so, and has its size and time; one
    that was changed since is not. What is written within is recorded: by :func:`write_whole` as it
    is written, so that a kill leaves no result unknown; all else at the end, also after an error.

    Args:
        targets: what will be written. Their folders are made.
        inputs: all files that are read: never replaced, not even with ``overwrite``.
        overwrite: replace any other file.
        folders: those only for results: anything else in them is refused as well.

    Raises:
        UserError: before anything is written; it names the file.
        OSError: a folder cannot be made or written to.
    """
    files = [path.resolve() for path in targets]
    protected = {path.resolve() for path in inputs}
    parents = {path.parent for path in files}
    places = {folder.resolve() for folder in folders}
    places.update(parents, *(folder.parents for folder in parents))
    for path, count in Counter(files).items():
        if path.name == RECORD:
            raise UserError(f'{path}: holds what the tools wrote; choose another name')
        if path in protected:
            raise UserError(f'{path}: is an input; choose another place for the results')
        if count > 1:
            raise UserError(f'{path}: two results would have this name; choose another')
        if path.is_dir():
            raise UserError(f'{path}: is a folder; a file name expected')
        if path in places:
            raise UserError(f'{path}: other results would be in it; choose another file name')
    for folder in parents:
        if (folder / RECORD).exists() and not (folder / RECORD).is_file():
            raise UserError(f'{folder / RECORD}: not a regular file; remove it')
    for folder in folders:
        if folder.exists() and not folder.is_dir():
            raise UserError(f'{folder}: is a file; a folder is expected')
    others = [
        path
        for folder in folders
        for path in (folder.resolve().iterdir() if folder.is_dir() else ())
        if not path.name.startswith('.') and path.is_file()
    ]
    read_record = cache(_read_record)  # once a folder, not once a file
    if not overwrite and (
        foreign := [path for path in (*others, *files) if not is_ours(path, read_record)]
    ):
        path = min(foreign)
        raise UserError(
            f'{path}: was there before, or was changed; choose another place for the results, or '
            'replace what has their names: --overwrite'
        )
    before = {path: _stamp(path) for path in files}
    for parent in parents:
        parent.mkdir(parents=True, exist_ok=True)
        if not os.access(parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(parent))
    _claimed.update(files)
    try:
        yield
    finally:
        _claimed.difference_update(files)
        written = [path for path in files if (stamp := _stamp(path)) and stamp != before[path]]
        for parent in {path.parent for path in written}:
            record = _read_record(parent)
            record |= {path.name: _stamp(path) for path in written if path.parent == parent}
            record = {name: stamp for name, stamp in record.items() if (parent / name).exists()}
            with write_whole(parent / RECORD) as partial:
                partial.write_text(json.dumps(record, indent=1), encoding='utf-8')


def is_ours(path: Path, read_record: Callable[[Path], Record] | None = None) -> bool:
    """Whether a file is missing, or as the tools wrote it (see :func:`claim`)."""
    stamp = _stamp(path)
    record = (read_record or _read_record)(path.resolve().parent)
    return stamp is None or stamp == record.get(path.name)


def _stamp(path: Path) -> list[int] | None:
    """Size in bytes and time in nanoseconds; None where there is no file."""
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _read_record(folder: Path) -> Record:
    record: Record = {}
    path = folder / RECORD
    try:
        text = path.read_text('utf-8') if path.is_file() else ''
    except (OSError, ValueError):
        return {}
    for part in re.split(r'\n(?=\{)', text):
        with suppress(ValueError):  # cut off by a kill
            found = json.loads(part)
            record |= found if isinstance(found, dict) else {}
    return record


def _note(path: Path, written: Path) -> None:
    """Add a claimed file to its folder's record, before what was written is put in its place."""
    with (path.parent / RECORD).open('a', encoding='utf-8') as file:
        file.write(f'\n{json.dumps({path.name: _stamp(written)})}')


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
        if path.resolve() in _claimed:
            _note(path, partial)
        partial.replace(path)
        if durable:
            _flush(path.parent)
    except OSError as error:  # a full disk names no file
        if error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def by_first(work: Callable[[], Result]) -> Result:
    """Have the first of the joined processes do something, while the others wait.

    Returns:
        In every process what ``work`` returned in the first: something that can be pickled.

    Raises:
        UserError: in every process if ``work`` raised it in the first.
    """
    answer: list[Any] = [None, None]
    if dist.is_main_process():
        try:
            answer[0] = work()
        except UserError as error:
            answer[1] = error
    dist.broadcast_object_list(answer)
    result, failure = answer
    if failure is not None:
        raise failure
    return result  # type: ignore[no-any-return]


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
