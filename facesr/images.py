"""Image files and folders of them: listed in a fixed order, read and written as 8-bit RGB."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import UserError
from .files import write_whole

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg')
#: All that Pillow may take a file for: for some others it would start another program on it.
FORMATS = ('PNG', 'JPEG')
# Below Pillow's limit, from which it refuses an image, a large one is no attack.
warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)

Image8 = NDArray[np.uint8]

# Pillow's modes that convert to RGB without loss.
KINDS = {
    '1': 'black and white',
    'L': 'grey',
    'LA': 'grey with an opaque alpha channel',
    'P': 'colours of a palette',
    'RGB': 'one colour that would be transparent',
    'RGBA': 'an opaque alpha channel',
}
_warned: set[str] = set()

RUN_LENGTHS = 3  # zlib's Z_RLE


def find_images(folder: str | Path) -> tuple[dict[str, Path], list[Path]]:
    """Look for a folder's PNG and JPEG files: by stem, sorted, and those whose stem is taken.

    Both are empty where the folder is missing.
    """
    folder = Path(folder)
    images: dict[str, Path] = {}
    doubles = []
    try:
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
    except PermissionError:
        raise UserError(f'{folder}: may not be read; give yourself the permission') from None
    for path in paths:
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith('.'):
            continue
        if images.setdefault(path.stem, path) is not path:
            doubles.append(path)
    return dict(sorted(images.items())), doubles


def find_images_below(folder: Path) -> list[tuple[dict[str, Path], list[Path]]]:
    """Look by :func:`find_images` into a folder and, sorted, all below it that are not hidden."""
    below = sorted(path for path in folder.rglob('[!.]*') if path.is_dir())
    return [find_images(each) for each in (folder, *below)]


def list_images(folder: str | Path) -> dict[str, Path]:
    """List a folder's PNG and JPEG files, at least one, sorted by stem (``00012``).

    So a ground truth and its input are found by the same name whatever their formats.
    """
    images, doubles = find_images(folder)
    folder = Path(folder)
    if not folder.is_dir():
        what = 'is a file; a folder expected' if folder.exists() else 'no such folder'
        raise UserError(f'{folder}: {what}; data/README.md shows the layout')
    for path in doubles:
        raise UserError(f'{path}: same name as {images[path.stem].name}; keep one of the two')
    if not images:
        raise UserError(f'{folder}: no PNG or JPEG file in it')
    return images


def pair_images(
    folders: dict[str, str | Path], suffix: str = ''
) -> list[tuple[str, dict[str, Path]]]:
    """Match the images of several folders, given by role: ``(stem, {role: path})``, sorted.

    With ``suffix='_x4'``, ``00001_x4.png`` in one belongs to ``00001.png`` in another; in a folder
    with such names, other names do not count.
    """
    listed = {role: list_images(folder) for role, folder in folders.items()}
    for role, images in listed.items():
        ending = [stem for stem in images if stem.endswith(suffix)]
        if ending:
            listed[role] = {stem.removesuffix(suffix): images[stem] for stem in ending}
    stems = set().union(*listed.values())
    if not set.intersection(*(set(images) for images in listed.values())):
        raise UserError(f'{" and ".join(map(str, folders.values()))}: no name is in both')
    for role, images in listed.items():
        lacking = sorted(stems - images.keys())
        if lacking:
            raise UserError(
                f'{folders[role]}: {len(lacking)} of {len(stems)} images are missing, '
                f'the first is {lacking[0]!r}; every input needs its ground truth'
            )
    return [(stem, {role: listed[role][stem] for role in listed}) for stem in sorted(stems)]


def read_image(path: str | Path) -> Image8:
    """Read a PNG or JPEG file as 8-bit RGB: (H, W, 3), uint8.

    By Pillow, which, unlike OpenCV, notices a truncated file in every release and says what kind of
    pixels it holds. Grey, palette and opaque images are converted, which loses nothing, and each
    process says so once for each kind. Other formats whatever their name, more than 8 bits a
    channel, transparency, CMYK and other spaces without a unique RGB are refused; photographs, of
    which there is no ground truth, are read by :func:`.restoring.formats.read_photograph`.
    """
    with open_image(path, FORMATS) as image:
        if is_deep(image):
            raise UserError(f'{path}: more than 8 bits a channel; convert it')
        upright = ImageOps.exif_transpose(image)  # as OpenCV turns a telephone's photograph
        return np.array(_to_rgb(upright, path))  # a copy: transforms write in place


@contextmanager
def open_image(path: str | Path, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """Open an image file by Pillow; a UserError says why it cannot be read, here or within."""
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise UserError(f'{path}: not a regular file; an image file expected')
        with Image.open(path, formats=formats) as image:
            yield image
    except FileNotFoundError:
        raise UserError(f'{path}: no such file') from None
    except PermissionError:
        raise UserError(f'{path}: may not be read; give yourself the permission') from None
    except MemoryError:
        raise UserError(f'{path}: does not fit into the memory') from None
    except UnidentifiedImageError:
        raise UserError(
            f'{path}: not a readable image (none of {", ".join(formats)}); convert or remove it'
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error).replace('\n', ' ')
        raise UserError(f'{path}: not a readable image ({reason}); replace or remove it') from error


def is_deep(image: Image.Image) -> bool:
    """Whether an opened image has more than 8 bits a channel.

    Pillow reads 16-bit colour as 8-bit; only how it unpacks the file shows it.
    """
    tiles = getattr(image, 'tile', ())
    return image.mode.startswith(('I', 'F')) or any(';16' in str(tile) for tile in tiles)


def _to_rgb(image: Image.Image, path: str | Path) -> Image.Image:
    if image.mode == 'RGB' and 'transparency' not in image.info:
        return image
    kind = KINDS.get(image.mode)
    if kind is None:
        raise UserError(f'{path}: {image.mode} pixels, RGB expected; convert it')
    if image.has_transparency_data:
        image = image.convert('RGBA')
        if image.getextrema()[-1] != (255, 255):
            raise UserError(f'{path}: is transparent somewhere; put it on a background')
    if kind not in _warned:
        _warned.add(kind)
        print_log(f'{path}: {kind}, read as RGB, like all such files', 'current', logging.WARNING)
    return image.convert('RGB')


def as_grey(image: Image8) -> Image8:
    """Grey levels (luma of ITU-R BT.601) of (H, W, 3) RGB, in all three channels."""
    return np.array(Image.fromarray(image).convert('L').convert('RGB'))


def check_size(
    name: str | Path,
    image: Image8,
    height: int,
    width: int,
    remedy: str = '',
    or_larger: bool = False,
) -> None:
    """Raise a UserError that names the file if its image has another size, or a smaller one."""
    sides = image.shape[:2]
    if sides != (height, width) and not (or_larger and sides[0] >= height and sides[1] >= width):
        found, expected = f'{image.shape[1]}x{image.shape[0]}', f'{width}x{height}'
        more = f'; {remedy}' if remedy else ''
        raise UserError(f'{name}: {found} pixels, {expected} expected{more}')


def write_png(path: str | Path, image: Image8) -> None:
    """Write (H, W, 3) 8-bit RGB, or (H, W) grey, as a PNG; the file appears complete or not at all.

    Compressed by run lengths only: on restored faces nearly as small as with Pillow's default (225
    and 223 KiB), and four times as fast.
    """
    with write_whole(path) as partial:
        Image.fromarray(image).save(partial, format='PNG', compress_type=RUN_LENGTHS)
