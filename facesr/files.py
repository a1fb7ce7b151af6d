"""Files that appear complete or not at all, and never in place of what is not ours."""

import errno
import json
import os
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
Record = dict[str, list[Any]]  # sizes and times by name, and of what the file was made
_recorded: dict[Path, str] = {}  # what write_whole adds to the record of its folder


@contextmanager
def writing_results(
    results: Iterable[Path],
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
    folders: Sequence[Path] = (),
    made_of: str = '',
) -> Iterator[None]:
    """Write results within, by :func:`write_whole`, but replace only what the tools wrote before.

    A file is the tools' if ``.facesr.json`` in its folder says so, and has its size and time; one
    that was changed since is not. A kill leaves no result unknown. With ``overwrite`` any other
    file is replaced too, except ``inputs``: all files that are read. ``folders`` are only for
    results: anything else in them is refused as well. All this is checked, and the results' folders
    are made, before anything is written. ``made_of`` is kept for :func:`is_made_of`.
    """
    counts = Counter(path.resolve() for path in results)
    read, parents = {path.resolve() for path in inputs}, {path.parent for path in counts}
    above = {folder.resolve() for folder in folders}.union(parents, *(p.parents for p in parents))
    for path, count in counts.items():
        _refuse(path.name == RECORD, path, 'holds what the tools wrote; choose another name')
        _refuse(path in read, path, 'is an input; choose another place for the results')
        _refuse(count > 1, path, 'two results would have this name; rename one')
        _refuse(path.is_dir(), path, 'is a folder; a file name expected')
        _refuse(path in above, path, 'other results would be in it; choose another file name')
    there = set(counts)
    for folder in folders:
        _refuse(folder.is_file(), folder, 'is a file; a folder is expected')
        there.update(path for path in folder.resolve().glob('[!.]*') if path.is_file())
    read_once = cache(read_record)  # a folder's, for all its files
    remedy = 'choose another place for the results, or replace what has their names: --overwrite'
    for path in sorted(there) if not overwrite else ():
        why = f'was there before, or was changed; {remedy}'
        _refuse(not is_ours(path, read_once), path, why)
    for parent in parents:
        parent.mkdir(parents=True, exist_ok=True)
        if not os.access(parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(parent))
    _recorded.update(dict.fromkeys(counts, made_of))
    try:
        yield
    finally:
        for path in counts:
            _recorded.pop(path, None)


def _refuse(wrong: bool, path: Path, why: str) -> None:
    if wrong:
        raise UserError(f'{path}: {why}')


def read_record(folder: Path) -> Record:
    """What the tools wrote into a folder; empty if the record is missing or damaged."""
    record: Record = {}
    with suppress(OSError, ValueError):
        text = (folder / RECORD).read_text('utf-8') if (folder / RECORD).is_file() else ''
        for line in text.splitlines():  # one for each file
            with suppress(TypeError, ValueError):  # cut off by a kill
                record |= json.loads(line)
    return record


def is_ours(path: Path, read_record: Callable[[Path], Record] = read_record) -> bool:
    """Whether a file is missing, or as the tools wrote it (see :func:`writing_results`)."""
    path = path.resolve()
    return not path.exists() or _stamp(path) == read_record(path.parent).get(path.name, [])[:2]


def is_made_of(path: Path, made_of: str) -> bool:
    """Whether the tools wrote a file, intact, of what :func:`writing_results` was told."""
    path = path.resolve()
    known = read_record(path.parent).get(path.name)
    return path.exists() and known == [*_stamp(path), made_of]


def _stamp(path: Path) -> list[int]:
    """Size in bytes and time in nanoseconds."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


@contextmanager
def write_whole(path: str | Path, durable: bool = False) -> Iterator[Path]:
    """Yield a file to write beside ``path``, then put it there; on an error the former file stays.

    The folder is made if missing. With ``durable`` the file is flushed to the disk first, so that a
    machine that goes down leaves either the old file or the new one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.stem}.partial{path.suffix}')
    try:
        yield partial
        if durable:
            _flush(partial)
        made_of = _recorded.get(path.resolve())
        if made_of is not None:  # before it is in its place: a kill may come between
            with (path.parent / RECORD).open('a', encoding='utf-8') as record:
                record.write(f'\n{json.dumps({path.name: [*_stamp(partial), made_of]})}')
        partial.replace(path)
        if durable:
            _flush(path.parent)
    except OSError as error:  # a full disk names no file
        if error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_file(path: str | Path, content: str | bytes, durable: bool = False) -> None:
    """Write a text, in UTF-8, or bytes by :func:`write_whole`."""
    with write_whole(path, durable) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def by_first(work: Callable[[], Result]) -> Result:
    """Have the first of the joined processes do something, while the others wait.

    What it returned (something that can be pickled), or its OSError or UserError, all get.
    """
    answer: list[Any] = [None, None]
    if dist.is_main_process():
        try:
            answer[0] = work()
        except (OSError, UserError) as error:
            answer[1] = error
    dist.broadcast_object_list(answer)
    result, failure = answer
    if failure is not None:
        raise failure
    return result  # type: ignore[no-any-return]


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
