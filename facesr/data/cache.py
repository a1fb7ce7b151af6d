"""Images decoded once: a memory-mapped file of 8-bit pixels, with a checksum for each image."""

import fcntl
import hashlib
import logging
import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import numpy as np
from mmengine.logging import MMLogger, print_log
from numpy.typing import NDArray
from rich.progress import track

from ..errors import UserError
from ..files import allow_no_locks
from ..images import Image8, read_image

CHECKSUM = 4  # bytes


@dataclass(frozen=True)
class ImageCache:
    """A ready cache: all images' pixels, then their CRC-32s; every process opens it for itself.

    Attributes:
        path: the file.
        shape: (N, H, W, 3) of its 8-bit RGB pixels.
    """

    path: Path
    shape: tuple[int, int, int, int]

    @property
    def size(self) -> int:
        """Of the file, in bytes."""
        images, height, width, channels = self.shape
        return images * (height * width * channels + CHECKSUM)

    def is_complete(self) -> bool:
        """Whether the file is there, in its full length."""
        return self.path.is_file() and self.path.stat().st_size == self.size

    def read(self, index: int) -> Image8 | None:
        """Copy an image, (H, W, 3) uint8 RGB; None if it is damaged or the file is gone.

        A damaged file is removed, with a warning: the next start makes it again. Where it is in
        use, its other images still are.
        """
        try:
            pixels, checksums, file = _open(self)
        except (OSError, ValueError):  # gone or cut off since it was made
            return None
        if os.fstat(file.fileno()).st_size < self.size:  # cut off now: reading it would be a fault
            return None
        image = np.array(pixels[index])
        if crc32(image.data) == checksums[index]:
            return image
        with suppress(OSError):
            self.path.unlink()
            message = 'damaged, and removed; the next start makes it again'
            print_log(f'{self.path}: {message}', 'current', logging.WARNING)
        return None


@lru_cache(maxsize=4)
def _open(cache: ImageCache) -> tuple[Image8, NDArray[np.uint32], BinaryIO]:
    """Map a cache's pixels and checksums; its open file says that it is in use (see ``_lock``)."""
    file = cache.path.open('rb')
    _lock(file, fcntl.LOCK_SH)
    images = cache.shape[0]
    mapped = np.memmap(file, np.uint8, 'r', shape=(cache.size,))
    checksums = mapped[-images * CHECKSUM :].view(np.uint32)
    return mapped[: -images * CHECKSUM].reshape(cache.shape), checksums, file


def make_cache(paths: Sequence[str | Path], folder: str | Path) -> ImageCache | None:
    """Decode images into one file, unless it is there; one of another length is made again.

    The file's name depends on the images' names, sizes and times: a changed data set makes a new
    file, and the old one is deleted if no process uses it. When several processes ask at once, one
    decodes and the others wait; on a file system without locks each decodes, the last one's file
    stays, and old ones are kept.

    Args:
        paths: images of one size, (H, W, 3) each.
        folder: where the file goes.

    Returns:
        The cache, opened; None and a warning if it cannot be written.

    Raises:
        UserError: an image cannot be read, or is of another size than the first.
    """
    folder = Path(folder)
    files = [Path(path) for path in paths]
    facts = [(path.name, (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files]
    version = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    place = hashlib.sha256(str(files[0].resolve().parent).encode()).hexdigest()[:16]
    height, width, channels = read_image(files[0]).shape
    cache = ImageCache(folder / f'{place}-{version}.u8', (len(files), height, width, channels))
    try:
        if not cache.is_complete():  # a ready one may lie on a read-only disk
            folder.mkdir(parents=True, exist_ok=True)
            with _open_lock(folder / f'{place}.lock') as file:
                locked = _lock(file, fcntl.LOCK_EX)
                if not cache.is_complete():
                    if locked:  # also what killed processes left
                        kinds = (f'{place}-{"?" * 16}.u8', f'{place}-{"?" * 16}.*.partial')
                        _remove_unused(
                            old for kind in kinds for old in folder.glob(kind) if old != cache.path
                        )
                    _decode(files, cache)
                _open(cache)
        _open(cache)
    except OSError as error:
        print_log(
            f'{folder}: no cache of decoded images ({error.strerror or error}); each is decoded '
            'again for every sample',
            'current',
            logging.WARNING,
        )
        return None
    return cache


def _remove_unused(paths: Iterable[Path]) -> None:
    for path in paths:
        if not path.is_file() or path.is_symlink():
            continue
        with suppress(OSError), path.open('rb') as file:  # BlockingIOError: in use
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _open_lock(path: Path) -> BinaryIO:
    # Nothing in it is changed, no link is followed, no pipe is waited for.
    def opener(name: str, flags: int) -> int:
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)

    return open(path, 'r+b', opener=opener)


def _decode(paths: Sequence[Path], cache: ImageCache) -> None:
    size = f'{cache.size / 1e6:.0f} MB'
    message = f'decoding {len(paths)} images into {cache.path}, {size}'
    MMLogger.get_current_instance().info(message, extra={'told': True})  # on the console too
    shape = cache.shape[1:]
    partial = cache.path.with_suffix(f'.{socket.gethostname()}-{os.getpid()}.partial')
    try:
        with partial.open('wb') as file:
            os.posix_fallocate(file.fileno(), 0, cache.size)  # fails now if the disk is too small
            checksums = []
            for path in track(paths, 'decoding, once'):
                image = read_image(path)
                if image.shape != shape:
                    raise UserError(
                        f'{path}: {image.shape[1]}x{image.shape[0]} pixels, {shape[1]}x{shape[0]} '
                        'expected; tools/check_data.py lists all such files'
                    )
                file.write(image.data)
                checksums.append(crc32(image.data))
            file.write(np.array(checksums, np.uint32).data)
        partial.replace(cache.path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _lock(file: BinaryIO, kind: int) -> bool:
    """Lock an open file until it is closed; False, and a warning, where there are no locks."""
    with allow_no_locks(
        Path(file.name), 'each process that finds no cache makes it, and old ones stay'
    ):
        fcntl.flock(file, kind)
        return True
    return False
