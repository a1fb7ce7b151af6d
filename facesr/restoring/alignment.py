"""A face out of a photograph into the training data's frame, and back without a seam."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images import Image8
from .detector import Face, Matrix
from .score import bicubic

LQ_SIZE = 128
# The mask: 1 inside, falling to 0 over this part of the way from the frame's centre to its border.
FEATHER = 0.3
DETAIL_WINDOW = 33  # pixels of an aligned face whose finest detail is judged together
BAND = 1024  # rows that are pasted together, which bounds the memory
WARP_MARGIN = 4  # pixels around what a warp reads, for its interpolation


def cut_face(photograph: Image8, face: Face, size: int = LQ_SIZE) -> Image8:
    """Cut a face out, aligned to the training data's frame: (size, size, 3).

    Beyond the photograph, its border is continued.
    """
    return np.asarray(warp(photograph, face.to_frame(size), size, size), np.uint8)


def measure_sharpness(face: Image8) -> float:
    """The variance of the Laplacian (Pech-Pacheco et al., ICPR 2000), in levels squared.

    Of an aligned face, (512, 512, 3) uint8 RGB, without the background around its middle. Of 200
    training faces 176 in the median; with a Gaussian blur of one pixel 23, of two 5.
    """
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[96:448, 96:416]
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def enlarge_part(photograph: Image8, rows: slice, columns: slice, scale: int) -> Image8:
    """A part of the photograph enlarged by bicubic, the same as in all of it enlarged."""
    parts, inner = [], []
    for along in (rows, columns):
        first = max(along.start // scale - 2, 0)  # what bicubic reads around it
        parts.append(slice(first, -(-along.stop // scale) + 2))
        inner.append(slice(along.start - first * scale, along.stop - first * scale))
    part = photograph[tuple(parts)]
    return bicubic(part, len(part) * scale, part.shape[1] * scale)[tuple(inner)]


def paste_face(
    canvas: Image8,
    photograph: Image8,
    before: Image8,
    restored: Image8,
    face: Face,
    scale: int,
    strength: float = 1.0,
) -> None:
    """Put a restored face, (S, S, 3) ``before`` and ``restored``, in its place.

    Detail of the photograph that is finer than the aligned face's pixels stays as far as restoring
    kept the finest detail of the face (:func:`measure_kept`): a face that was not changed stays
    exactly as it was, and noise goes. ``canvas`` is the photograph enlarged by ``scale``, (H, W,
    3), by any method; all are uint8 RGB. Where the mask is 0, nothing changes.
    """
    size = len(restored)
    matrix = place_frame(face, scale, size)
    kept = measure_kept(before, restored, max(math.hypot(*matrix[:, 0]) / scale, 1))
    corners = _transform([(0, 0), (size, 0), (0, size), (size, size)], matrix)
    height, width = canvas.shape[:2]
    left, top = np.clip(np.floor(corners.min(0)).astype(int), 0, (width, height))
    right, bottom = np.clip(np.ceil(corners.max(0)).astype(int) + 1, 0, (width, height))
    for upper in range(top, bottom, BAND) if left < right else ():
        rows, columns = slice(upper, min(upper + BAND, bottom)), slice(left, right)
        area = canvas[rows, columns]
        moved = matrix - [[0, 0, left], [0, 0, upper]]
        own = enlarge_part(photograph, rows, columns, scale).astype(np.float32)
        seen, new, share = (
            warp(image.astype(np.float32), moved, area.shape[1], area.shape[0])
            for image in (before, restored, kept)
        )
        new = (new + share.clip(0, 1)[..., None] * (own - seen)).clip(0, 255)
        pasted = own + strength * (new - own)
        mask = warp_mask(size, moved, area.shape[1], area.shape[0])[..., None]
        area[:] = np.rint(area + mask * (pasted - area))


def measure_kept(before: Image8, restored: Image8, zoom: float) -> NDArray[np.float32]:
    """The share of the photograph's detail to keep around each pixel of a face: 0-1.

    Of (S, S, 3) -> (S, S): the regression of what a blur of a pixel takes from either face, as if
    there were ``zoom**2`` times the noise. For the photograph's pixels are ``zoom`` times as fine:
    there white noise has ``zoom**2`` times the power, the picture about the same in each octave
    (Field, *Relations between the statistics of natural images ...*, 1987).
    """
    photo, net = (
        image - cv2.GaussianBlur(image, (0, 0), 1)
        for image in (before.astype(np.float32), restored.astype(np.float32))
    )

    def average(product: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(product.mean(axis=2), (DETAIL_WINDOW, DETAIL_WINDOW)))

    kept = ((average(photo * net) + 1) / (average(photo**2) + 1)).clip(0, 1)
    return np.asarray(kept / (kept + (1 - kept) * zoom**2), np.float32)


def place_frame(face: Face, scale: int, size: int) -> Matrix:
    """The (2, 3) matrix from an aligned face of ``size`` to the photograph enlarged by a scale."""
    matrix = np.asarray(cv2.invertAffineTransform(face.to_frame(size)), np.float64) * scale
    matrix[:, 2] += (scale - 1) / 2  # pixels are named by their centres
    return matrix


def warp_mask(size: int, matrix: Matrix, width: int, height: int) -> NDArray[np.float32]:
    """The soft mask of an aligned face of ``size``, warped: (height, width), 0-1."""
    mask: NDArray[np.float32] = warp(_make_mask(size), matrix, width, height).clip(0, 1)
    return mask


@lru_cache
def _make_mask(size: int) -> NDArray[np.float32]:
    """Between an ellipse and a square: the corners of the frame hold no face."""
    side = np.abs(np.linspace(-1, 1, size))
    radius = (side[:, None] ** 4 + side**4) ** 0.25
    ramp = np.clip((1 - radius) / FEATHER, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def warp(image: NDArray[Any], matrix: Matrix, width: int, height: int) -> NDArray[Any]:
    """Turn, scale and shift an image; OpenCV's ``warpAffine`` makes aliases where it shrinks.

    Of (H, W) or (H, W, C), uint8 or float32; beyond it, its border is continued. ``matrix``, (2,
    3), leads from its pixels to the result's, without shearing.
    """
    sides = np.array(image.shape[1::-1])
    back = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    corners = _transform([(0, 0), (width, 0), (0, height), (width, height)], back)
    low = np.clip(np.floor(corners.min(0)).astype(int) - WARP_MARGIN, 0, sides - 1)
    high = np.clip(np.ceil(corners.max(0)).astype(int) + WARP_MARGIN, low + 1, sides)
    part = image[low[1] : high[1], low[0] : high[0]]
    turn, shift = matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ low
    scale = math.hypot(*turn[:, 0])
    if scale < 1:
        small = np.maximum(np.rint((high - low) * scale), 1)
        part = cv2.resize(part, small.astype(int).tolist(), interpolation=cv2.INTER_AREA)
        factor = (high - low) / small
        turn, shift = turn * factor, shift + turn @ (factor / 2 - 0.5)
    return cv2.warpAffine(
        part,
        np.column_stack([turn, shift]),
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _transform(points: Sequence[tuple[int, int]], matrix: Matrix) -> NDArray[np.float64]:
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]
