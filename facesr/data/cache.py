"""Images decoded once: a memory-mapped file of 8-bit pixels, behind a table of sizes."""

import hashlib
import logging
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from mmengine.logging import MMLogger, print_log
from numpy.typing import NDArray
from rich.progress import track

from ..files import by_first
from ..images import Image8


@dataclass(frozen=True)
class ImageCache:
    """A ready cache; every process opens it for itself.

    Attributes:
        path: the file: for each image the offset of its pixels in bytes, its height and its width,
            as int64; then all pixels, 8-bit RGB.
        images: how many there are.
    """

    path: Path
    images: int

    def read(self, index: int) -> Image8 | None:
        """Copy an image, (H, W, 3) uint8 RGB; None if the file is gone."""
        try:
            table, pixels = _open(self)
        except OSError:
            return None
        offset, height, width = table[index].tolist()
        return np.array(pixels[offset : offset + 3 * height * width]).reshape(height, width, 3)


@lru_cache(maxsize=4)
def _open(cache: ImageCache) -> tuple[NDArray[np.int64], Image8]:
    table = np.memmap(cache.path, np.int64, 'r', shape=(cache.images, 3))
    return table, np.memmap(cache.path, np.uint8, 'r')


def make_cache(
    paths: Sequence[str | Path], folder: str | Path, read: Callable[[Path], Image8]
) -> ImageCache | None:
    """Decode images into one file, unless it is there.

    The file's name depends on the images' names, sizes and times: a changed data set makes a new
    file. Of several processes the first decodes while the others wait.

    Args:
        paths: the images, of any sizes.
        folder: where the file goes.
        read: reads one, (H, W, 3).

    Returns:
        The cache; None and a warning if it cannot be written.

    Raises:
        UserError: ``read`` raised it.
    """
    files = [Path(path) for path in paths]
    facts = [
        (str(path.absolute()), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files
    ]
    name = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    cache = ImageCache(Path(folder, f'{name}.u8'), len(files))
    make = partial(_decode, files, cache, read)
    if not by_first(lambda: cache.path.is_file() or make()):
        return None
    return cache if cache.path.is_file() or make() else None  # on another machine's disk


def _decode(paths: Sequence[Path], cache: ImageCache, read: Callable[[Path], Image8]) -> bool:
    """Write a cache aside, then put it in its place; False if it cannot be written."""
    message = f'decoding {len(paths)} images into {cache.path}, once'
    MMLogger.get_current_instance().info(message, extra={'told': True})  # on the console too
    aside = cache.path.with_suffix(f'.{socket.gethostname()}-{os.getpid()}.partial')
    table = np.zeros((len(paths), 3), np.int64)
    try:
        aside.parent.mkdir(parents=True, exist_ok=True)
        with aside.open('wb') as file:
            file.seek(table.nbytes)
            for row, path in zip(table, track(paths, 'decoding, once'), strict=True):
                image = read(path)
                row[:] = file.tell(), *image.shape[:2]
                file.write(np.ascontiguousarray(image).data)
            file.seek(0)
            file.write(table.data)
        aside.replace(cache.path)
    except OSError as error:
        print_log(
            f'{cache.path.parent}: no cache of decoded images ({error.strerror or error}); each is '
            'decoded again for every sample',
            'current',
            logging.WARNING,
        )
        return False
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return True
