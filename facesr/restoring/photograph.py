"""A face cut out of a photograph, framed and sized as the nets' inputs are."""

from pathlib import Path

import cv2
import numpy as np

from ..errors import UserError
from ..images import Image8, read_image, write_png

LQ_SIZE = 128
# Where scikit-image's detector finds an aligned face, in sides of its picture, and how wide: means
# of 29 of the challenge's ground truths, with standard deviations of 0.03, 0.04 and 0.05.
FACE_LEFT, FACE_TOP, FACE_WIDTH = 0.2, 0.245, 0.6
# What the detector searches, and the smallest face that it can find there: a tenth.
SEARCHED_SIDE = 256
SMALLEST_FACE = 24


def cut_face(photograph: Image8) -> Image8:
    """Cut the largest upright face out of a photograph, framed as FFHQ and CelebA-HQ frame theirs.

    The detector is scikit-image's (local binary patterns, frontal faces): OpenCV 5 has none without
    a net to download.

    Args:
        photograph: (H, W, 3) uint8 RGB, of any size.

    Returns:
        (128, 128, 3) uint8 RGB; without a face, the middle square. What lies outside the
        photograph is its border continued.

    Raises:
        UserError: scikit-image is not installed.
    """
    top, left, side = _find_frame(photograph) or _middle(photograph)
    # A frame begins and ends at most its own side outside.
    padded = np.pad(photograph, ((side, side), (side, side), (0, 0)), mode='edge')
    face = padded[top + side : top + 2 * side, left + side : left + 2 * side]
    method = cv2.INTER_AREA if side > LQ_SIZE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(face, (LQ_SIZE, LQ_SIZE), interpolation=method), np.uint8)


def cut_faces(photographs: list[Path], folder: Path) -> list[Path]:
    """Write the face of each photograph as a PNG of its stem.

    Raises:
        UserError: a photograph cannot be read, two have one stem, or scikit-image is missing.
    """
    paths = [folder / f'{photograph.stem}.png' for photograph in photographs]
    for photograph, path in zip(photographs, paths, strict=True):
        if paths.count(path) > 1:
            raise UserError(f'{photograph}: two photographs of this name; rename one')
        write_png(path, cut_face(read_image(photograph)))
    return paths


def _find_frame(photograph: Image8) -> tuple[int, int, int] | None:
    """Top, left and side of the largest face's frame."""
    try:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade
    except ImportError:
        raise UserError('scikit-image is missing; run: bash scripts/setup.sh demo') from None
    scale = max(1.0, max(photograph.shape[:2]) / SEARCHED_SIDE)
    size = [max(1, round(length / scale)) for length in photograph.shape[1::-1]]
    small = cv2.resize(photograph, size, interpolation=cv2.INTER_AREA)
    if min(small.shape[:2]) <= SMALLEST_FACE:
        return None
    faces = Cascade(lbp_frontal_face_cascade_filename()).detect_multi_scale(
        small,
        scale_factor=1.2,
        step_ratio=1,
        min_size=(SMALLEST_FACE, SMALLEST_FACE),
        max_size=small.shape[:2],
        min_neighbor_number=3,
    )
    if not faces:
        return None
    face = max(faces, key=lambda face: face['width'])
    side = face['width'] / FACE_WIDTH
    top, left = face['r'] - FACE_TOP * side, face['c'] - FACE_LEFT * side
    return round(top * scale), round(left * scale), max(1, round(side * scale))


def _middle(photograph: Image8) -> tuple[int, int, int]:
    height, width = photograph.shape[:2]
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side
