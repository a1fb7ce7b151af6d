"""Photographs as files: listed, read in any common format, and written in the format they had.

Training data and the challenge's images are read by ``images.py``, which refuses most formats.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from ..errors import UserError
from ..files import is_ours
from ..images import RUN_LENGTHS, Image8, is_deep, open_image

#: What a file's suffix says; Pillow reads no other format, and decides by the content.
SUFFIXES = {
    **dict.fromkeys(('.jpg', '.jpeg', '.jfif'), 'JPEG'),
    '.png': 'PNG',
    **dict.fromkeys(('.tif', '.tiff'), 'TIFF'),
    '.webp': 'WEBP',
    '.bmp': 'BMP',
    '.gif': 'GIF',
    '.avif': 'AVIF',
    **dict.fromkeys(('.heic', '.heif'), 'HEIF'),
}
RESTORED = '_restored'  # what a result's name ends with beside its photograph
#: How results are written; of another format they become PNG.
WRITTEN: dict[str, dict[str, object]] = {
    'JPEG': dict(quality=95, subsampling=0),
    'PNG': dict(compress_type=RUN_LENGTHS),
    'TIFF': {},  # not compressed: Pillow compresses none with a camera's settings
    'WEBP': dict(quality=95),
}
#: Of the metadata: description, camera, software, date, artist, rights; then a camera's settings
#: and the place, without its maker's own notes and the photograph's size.
KEPT_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
KEPT_PARTS, DROPPED_TAGS = (0x8769, 0x8825), {0x927C, 0xA002, 0xA003, 0xA005}


@dataclass(frozen=True)
class Photograph:
    """What a file holds."""

    pixels: Image8  # (H, W, 3) RGB, upright
    alpha: Image8 | None = None  # (H, W), 255 is opaque
    exif: bytes = b''
    profile: bytes | None = None  # ICC, of the pixels' colours
    notes: tuple[str, ...] = ()  # what was converted, for people


def list_photographs(
    photographs: Sequence[Path], results: Iterable[Path | None] = ()
) -> tuple[dict[Path, Path], list[Path]]:
    """Look for the photographs among files and folders, and in their sub-folders.

    Folders of ``results`` that are inside them are passed over, and so are hidden files and what
    the tools restored before.

    Returns:
        Each photograph's name for its results, without suffix, with the sub-folders: of equal
        names the later ones get their suffix and a number. Then the files that are left out.
    """
    passed = [folder.resolve() for folder in results if folder is not None]
    names: dict[Path, Path] = {}
    left_out: list[Path] = []
    for given in photographs:
        paths = [given]
        if given.is_dir():
            own = [folder for folder in passed if folder != given.resolve()]
            found = (path for path in sorted(given.rglob('*')) if path.is_file())
            paths = [
                path
                for path in found
                if not any(part.startswith('.') for part in path.relative_to(given).parts)
                and not (path.stem.endswith(RESTORED) and is_ours(path))
                and not any(path.resolve().is_relative_to(folder) for folder in own)
            ]
        for path in paths:
            if path != given and path.suffix.lower() not in SUFFIXES:
                left_out.append(path)
            elif path not in names:
                below = path.relative_to(given) if path != given else Path(path.name)
                names[path] = _unique(below.with_suffix(''), path.suffix, {*names.values()})
    return names, left_out


def _unique(name: Path, suffix: str, taken: set[Path]) -> Path:
    number, own = 1, name
    while own in taken:
        own = name.with_name(f'{name.name}_{suffix[1:]}{number if number > 1 else ""}')
        number += 1
    return own


@cache
def readable_formats() -> tuple[str, ...]:
    """The formats that Pillow reads here, of :data:`SUFFIXES`."""
    if find_spec('pillow_heif'):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    Image.init()
    return tuple(dict.fromkeys(name for name in SUFFIXES.values() if name in Image.OPEN))


def read_photograph(path: str | Path) -> Photograph:
    """Read a photograph of a format in ``SUFFIXES``; its ``notes`` say what the conversion loses.

    Of several pictures the first one; 16 bits as 8; CMYK by its profile. A UserError for what
    Pillow cannot read, and for floating-point pixels.
    """
    if SUFFIXES.get(Path(path).suffix.lower()) == 'HEIF' and 'HEIF' not in readable_formats():
        raise UserError(f'{path}: pillow-heif is missing; run: bash scripts/setup.sh photos')
    notes, alpha = [], None
    with open_image(path, readable_formats()) as image:
        profile, deep = image.info.get('icc_profile'), is_deep(image)
        if getattr(image, 'n_frames', 1) > 1 and image.format != 'MPO':  # a telephone's has depth
            notes.append('only its first picture')
        try:
            exif = _keep_metadata(image.getexif())
        except Exception:  # they may hold anything
            exif = b''
            notes.append('without its metadata, which are damaged')
        image = ImageOps.exif_transpose(image)
        if deep:
            notes.append('16 bits a channel, read as 8')
        if image.mode.startswith('F'):
            raise UserError(f'{path}: floating-point pixels; convert it')
        if image.mode.startswith('I'):
            image = Image.fromarray((np.asarray(image) // 256).clip(0, 255).astype(np.uint8))
        if image.mode == 'CMYK':
            notes.append('CMYK, read as RGB')
            image, profile = _from_cmyk(image, profile), None
        if image.has_transparency_data:
            image = image.convert('RGBA')
            alpha = np.array(image.getchannel('A'))
            alpha = None if alpha.min() == 255 else alpha
        pixels = np.array(image.convert('RGB'))
    return Photograph(pixels, alpha, exif, profile, tuple(notes))


def _from_cmyk(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is not None:
        srgb = ImageCms.createProfile('sRGB')
        try:
            own = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(image, own, srgb, outputMode='RGB')
            return converted or image
        except (ImageCms.PyCMSError, OSError):  # a damaged one, or of other colours
            pass
    return image.convert('RGB')


def _keep_metadata(exif: Image.Exif) -> bytes:
    """Date, camera, place and the like; not the orientation, which is applied, nor a thumbnail."""
    kept = Image.Exif()
    kept.update({tag: exif[tag] for tag in KEPT_TAGS if tag in exif})
    for part in KEPT_PARTS:
        tags = exif.get_ifd(part)
        if tags := {tag: value for tag, value in tags.items() if tag not in DROPPED_TAGS}:
            kept[part] = tags
    return kept.tobytes() if kept else b''


def result_suffix(photograph: Path) -> str:
    """The suffix of a photograph's result: its own if its format is written, else PNG's."""
    suffix = photograph.suffix
    return suffix if SUFFIXES.get(suffix.lower()) in WRITTEN else '.png'


def write_photograph(path: Path, image: Image8, photograph: Photograph) -> None:
    """Write a restored photograph, (H, W, 3) or grey (H, W), in the format of the suffix.

    Its metadata, the profile of its colours and its transparency, enlarged, are the photograph's.
    """
    name = SUFFIXES[path.suffix.lower()]
    picture = Image.fromarray(image)
    if photograph.alpha is not None:
        alpha = Image.fromarray(photograph.alpha).resize(picture.size, Image.Resampling.BICUBIC)
        if name == 'JPEG':  # which has none
            white = Image.new(picture.mode, picture.size, 'white')
            picture = Image.composite(picture, white, alpha)
        else:
            picture.putalpha(alpha)
    how = dict(WRITTEN[name])
    if photograph.exif:
        how['exif'] = photograph.exif
    colours = b'GRAY' if image.ndim == 2 else b'RGB '
    if photograph.profile is not None and photograph.profile[16:20] == colours:
        how['icc_profile'] = photograph.profile
    picture.save(path, format=name, **how)
