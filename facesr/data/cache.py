"""Images decoded once: a memory-mapped file of 8-bit pixels."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from numpy.lib.format import open_memmap
from rich.progress import track

from ..errors import UserError
from ..files import allow_no_locks
from ..images import Image8, read_image


def make_cache(paths: Sequence[str | Path], folder: str | Path) -> Path | None:
    """Decode images into one file, unless that has been done.

    The file's name holds the images' names, sizes and times, so that a changed data set makes a new
    one; the one before it goes. Several processes may ask at once: one decodes, the others wait;
    on a file system without locks, each does it for itself and puts it in the same place.

    Args:
        paths: images of one size, (H, W, 3) each.
        folder: where the file goes.

    Returns:
        A ``.npy`` file of (N, H, W, 3) uint8 RGB for :func:`open_cache`; None where it cannot be
        written, with a warning: the images are then decoded each time.

    Raises:
        UserError: an image cannot be read, or is of another size than the first.
    """
    folder = Path(folder)
    files = [Path(path) for path in paths]
    facts = [(path.name, (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files]
    version = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    place = hashlib.sha256(str(files[0].resolve().parent).encode()).hexdigest()[:16]
    target = folder / f'{place}-{version}.npy'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / f'{place}.lock') as locked:
            if not target.is_file():
                _decode(files, target)
                # With the lock, also what a killed process left half-made.
                for old in folder.glob(f'{place}-*' if locked else f'{place}-*.npy'):
                    if old != target:
                        old.unlink(missing_ok=True)
    except OSError as error:
        print_log(
            f'{folder}: no cache of decoded images ({error.strerror or error}); each is decoded '
            'every time it is drawn',
            'current',
            logging.WARNING,
        )
        return None
    return target


@lru_cache(maxsize=4)
def open_cache(path: Path) -> Image8:
    """Map a cache into memory, once a process: (N, H, W, 3) uint8, read-only."""
    mapped: Image8 = np.load(path, mmap_mode='r')
    return mapped


def _decode(paths: Sequence[Path], target: Path) -> None:
    first = read_image(paths[0])
    partial = target.with_suffix(f'.{socket.gethostname()}-{os.getpid()}.partial')
    try:
        shape = (len(paths), *first.shape)
        mapped = open_memmap(partial, mode='w+', dtype=np.uint8, shape=shape)
        _reserve(partial)
        for index, path in enumerate(track(paths, 'decoding, once')):
            image = read_image(path)
            if image.shape != first.shape:
                raise UserError(
                    f'{path}: {image.shape[1]}x{image.shape[0]} pixels, '
                    f'{first.shape[1]}x{first.shape[0]} expected; tools/check_data.py lists all '
                    'such files'
                )
            mapped[index] = image
        mapped.flush()
        partial.replace(target)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _reserve(path: Path) -> None:
    """Fail now where the disk is too small: a mapped write would end the process by a signal."""
    with path.open('r+b') as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    with path.open('w') as file:
        locked = False
        with allow_no_locks(path, 'each process that finds no cache makes it'):
            fcntl.flock(file, fcntl.LOCK_EX)
            locked = True
        yield locked
