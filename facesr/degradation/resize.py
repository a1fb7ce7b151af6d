"""Resizing a batch of square images, each of its own sizes and method.

Either as ``cv2.resize`` does with 8 bits (``modules/imgproc/src/resize.cpp``): bilinear in fixed
point with weights of 11 bits, columns first; bicubic in floating point; area by weighted means when
it shrinks, like bilinear with other weights when it enlarges. Or as PyTorch's ``interpolate``:
bilinear and bicubic the same, in floating point; area by means of complete pixels. Neither has
antialiasing.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

METHODS = ('bilinear', 'area', 'bicubic')
BILINEAR, AREA, BICUBIC = range(3)
#: Added before rounding, so that a mean that ends in 1/2 goes up whatever its rounding error is.
HALVES_UP = 2**-10


class Taps(NamedTuple):
    """Which source pixels each target pixel takes along a dimension, and how much of each."""

    pixels: NDArray[Any]  # (size, taps) integers
    weights: NDArray[np.float32]  # (size, taps); in fixed point times 128
    is_fixed: bool  # whether OpenCV computes in fixed point


def opencv_taps(source: int, target: int, method: int) -> Taps:
    """What ``cv2.resize`` takes of each pixel, along one dimension."""
    scale = 1 / (target / source)  # as OpenCV has it, to the last bit
    if method == AREA and scale >= 1:
        taps, parts = _area_taps(source, target, scale)
        # OpenCV's SIMD code rounds means of 2x2 pixels up, all other means half to even: a hair
        # more than a quarter of each takes a half up and no other mean over one.
        return Taps(taps, parts * np.float32(1 + 2**-13 * (source == 2 * target)), False)
    place = np.arange(target)
    if method == AREA:
        first = np.floor(place * scale).astype(np.int64)
        offset = ((place + 1) - (first + 1) * (target / source)).astype(np.float32)
        offset = np.where(offset <= 0, np.float32(0), offset - np.floor(offset))
    elif method == BILINEAR:
        centre = ((place + 0.5) * scale - 0.5).astype(np.float32)
        first = np.floor(centre).astype(np.int64)
        offset = centre - first.astype(np.float32)
    else:  # by Intel's library, where there is one: offsets in double precision, nothing fixed
        centre = (place + 0.5) * scale - 0.5
        first = np.floor(centre).astype(np.int64)
        weights = _cubic_weights(centre - first)
        first = first - 1
    if method != BICUBIC:
        weights = np.rint(np.stack([1 - offset, offset], 1) * np.float32(2048)) / 16
    taps = np.clip(first[:, None] + np.arange(weights.shape[1]), 0, source - 1)
    return Taps(taps, weights.astype(np.float32), method != BICUBIC)


def pytorch_taps(source: int, target: int, method: int, step: float | None = None) -> Taps:
    """What ``interpolate`` takes of each pixel, along one dimension.

    ``step``, in source pixels, is one of the result's; in ``interpolate`` it comes from a scale
    factor, and is then not exactly ``source / target``.
    """
    place = np.arange(target)
    if method == AREA:
        first, end = place * source // target, -(-(place + 1) * source // target)
        taps = first[:, None] + np.arange(np.max(end - first))
        weights = (taps < end[:, None]) / (end - first)[:, None]
    else:
        centre = (place + 0.5) * (step or source / target) - 0.5
        first = np.floor(centre).astype(np.int64)
        x = centre - first
        weights = _cubic_weights(x) if method == BICUBIC else np.stack([1 - x, x], 1)
        taps = first[:, None] + np.arange(weights.shape[1]) - (method == BICUBIC)
    return Taps(np.clip(taps, 0, source - 1), weights.astype(np.float32), False)


def _cubic_weights(x: NDArray[np.float64]) -> NDArray[np.float64]:
    a, y = -0.75, 1 - x
    w0 = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    w1 = ((a + 2) * x - (a + 3)) * x * x + 1
    w2 = ((a + 2) * y - (a + 3)) * y * y + 1
    return np.stack([w0, w1, w2, 1 - w0 - w1 - w2], 1)


def _area_taps(
    source: int, target: int, scale: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    start = np.arange(target) * scale
    end = start + scale
    width = np.minimum(scale, source - start)
    first = np.ceil(start).astype(np.int64)
    last = np.minimum(np.floor(end).astype(np.int64), source - 1)
    first = np.minimum(first, last)
    count = int(np.ceil(scale)) + 2
    taps = (first - 1)[:, None] + np.arange(count)
    weights = np.where((taps >= first[:, None]) & (taps < last[:, None]), 1 / width[:, None], 0)
    before, after = first - start, end - last  # parts of a pixel; OpenCV drops the tiny ones
    weights[:, 0] = np.where(before > 1e-3, before / width, 0)
    part = np.where(after > 1e-3, np.minimum(np.minimum(after, 1), width) / width, 0)
    weights += np.where(taps == last[:, None], part[:, None], 0)
    return np.clip(taps, 0, source - 1), weights.astype(np.float32)


class BatchResize(nn.Module):
    """Resizes each image of a batch from a length of its own to another.

    Images are square and lie in the top left of a canvas (N, S, 3, S): row, channel, column. The
    number of kernel launches does not depend on the batch. The levels need matrix products in full
    float32: PyTorch's default, which :func:`facesr.nets.use_tf32` keeps.

    Args:
        side: of the result's canvas in pixels.
        most_shrunk: the largest ratio of a length to its result that can occur.
        fixed: whether OpenCV's fixed point can occur.
    """

    def __init__(self, side: int, most_shrunk: float, fixed: bool) -> None:
        super().__init__()
        self.side, self.fixed = side, fixed
        self.count = max(4, int(np.ceil(most_shrunk)) + 2)

    def pad(self, taps: Taps) -> Taps:
        """The taps of one image as :meth:`forward` takes them."""
        pixels = np.zeros((self.side, self.count), np.int16)
        weights = np.zeros((self.side, self.count), np.float32)
        rows, columns = taps.pixels.shape
        pixels[:rows, :columns], weights[:rows, :columns] = taps.pixels, taps.weights
        return Taps(pixels, weights, taps.is_fixed)

    def forward(self, images: Tensor, taps: Any) -> Tensor:
        """Resize (N, S, 3, S) float32, integers 0-255; pixels beyond an image are ignored.

        ``taps`` are a batch of :meth:`pad`: (N, side, count), twice, and (N,).

        Returns:
            (N, side, 3, side) float32, integers 0-255; 0 beyond a result.
        """
        count, source = images.shape[:2]
        pixels, weights, is_fixed = taps.pixels.long(), taps.weights, taps.is_fixed.view(-1, 1, 1)
        matrix = weights.new_zeros(count, self.side, source).scatter_add_(2, pixels, weights)
        columns = torch.bmm(images.reshape(count, source * 3, source), matrix.mT)
        columns = columns.view(count, source, 3 * self.side)
        result = torch.bmm(matrix.mul_(~is_fixed) if self.fixed else matrix, columns)
        if self.fixed:
            result = self._add_fixed(result, columns, pixels, weights * is_fixed)
        else:
            result += HALVES_UP
        return result.round_().clamp_(0, 255).view(count, self.side, 3, self.side)

    def _add_fixed(
        self, result: Tensor, columns: Tensor, pixels: Tensor, weights: Tensor
    ) -> Tensor:
        """Fixed point: ((w0 * (a >> 4) >> 16) + (w1 * (b >> 4) >> 16) + 2) >> 2.

        There a and b are times 2048, here 128.
        """
        count, source = columns.shape[:2]
        first = source * torch.arange(count, device=columns.device)
        lines = (first.view(-1, 1, 1) + pixels[:, :, :2]).flatten()
        lines = columns.to(torch.int16).view(-1, 3 * self.side).index_select(0, lines)
        factors = (weights[:, :, :2] * 16).int().view(-1, 1)
        upper = lines.mul(factors).view(torch.int16)[:, 1::2].view(count, self.side, 2, -1)
        # A hair more than a quarter: halves up.
        return result.add_(upper[:, :, 0] + upper[:, :, 1], alpha=(1 + 2**-12) / 4)
