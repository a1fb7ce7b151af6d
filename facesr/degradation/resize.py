"""OpenCV's 8-bit resizing in PyTorch: a batch of square images, each of its own size and method.

As ``cv2.resize`` computes it (``modules/imgproc/src/resize.cpp``): bilinear in fixed point with
weights of 11 bits, columns first; bicubic in floating point; neither with antialiasing; area by
weighted means when it shrinks, like bilinear with other weights when it enlarges.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

METHODS = ('bilinear', 'area', 'bicubic')
_FIXED = 2048  # OpenCV's INTER_RESIZE_COEF_SCALE
BILINEAR, AREA, BICUBIC = range(3)

Taps = tuple[NDArray[np.int64], NDArray[np.float32]]  # (size, taps): which pixels, how much of each


def resize_taps(source: int, target: int, method: int) -> Taps:
    """Which source pixels one dimension of ``cv2.resize`` takes for each target pixel.

    Returns:
        Indices and weights, both (target, taps). Fixed-point weights are times 2048.
    """
    scale = 1 / (target / source)  # as OpenCV has it, to the last bit
    if method == AREA and scale >= 1:
        taps, parts = _area_taps(source, target, scale)
        # OpenCV's SIMD code rounds means of 2x2 pixels up, all other means half to even: a hair
        # more than a quarter of each takes a half up and no other mean over one.
        return taps, parts * np.float32(1 + 2**-13 * (source == 2 * target))
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
        weights = np.rint(np.stack([1 - offset, offset], 1) * np.float32(_FIXED))
    taps = np.clip(first[:, None] + np.arange(weights.shape[1]), 0, source - 1)
    return taps, weights.astype(np.float32)


def _cubic_weights(x: NDArray[np.float64]) -> NDArray[np.float64]:
    a, y = -0.75, 1 - x
    w0 = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    w1 = ((a + 2) * x - (a + 3)) * x * x + 1
    w2 = ((a + 2) * y - (a + 3)) * y * y + 1
    return np.stack([w0, w1, w2, 1 - w0 - w1 - w2], 1)


def _area_taps(source: int, target: int, scale: float) -> Taps:
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
    """Resizes each image of a batch between a canvas's side and a length of its own.

    Images are square and lie in the top left of a canvas (N, S, 3, S): row, channel, column. The
    number of kernel launches does not depend on the batch. The levels need matrix products in full
    float32: PyTorch's default, which :func:`facesr.nets.use_tf32` keeps.

    Args:
        side: S in pixels.
        smallest: the smallest length that an image can have.
        enlarge: True resizes from the image's length to S, False from S to that length.
    """

    taps: Tensor
    weights: Tensor
    fixed: Tensor

    def __init__(self, side: int, smallest: int, enlarge: bool) -> None:
        super().__init__()
        self.smallest, self.enlarge = smallest, enlarge
        tables = [
            [
                resize_taps(*((length, side) if enlarge else (side, length)), method)
                for length in range(smallest, side + 1)
            ]
            for method in range(len(METHODS))
        ]
        count = max(taps.shape[1] for table in tables for taps, _ in table)
        shape = (len(METHODS), side + 1 - smallest, side, count)
        all_taps, all_weights = np.zeros(shape, np.int16), np.zeros(shape, np.float32)
        for method, table in enumerate(tables):
            for row, (taps, weights) in enumerate(table):
                all_taps[method, row, : taps.shape[0], : taps.shape[1]] = taps
                all_weights[method, row, : taps.shape[0], : taps.shape[1]] = weights
        is_fixed = np.zeros(shape[:2], bool)
        is_fixed[BILINEAR], is_fixed[AREA, :-1] = True, enlarge
        all_weights[is_fixed] /= 16
        self.register_buffer('taps', torch.from_numpy(all_taps), persistent=False)
        self.register_buffer('weights', torch.from_numpy(all_weights), persistent=False)
        self.register_buffer('fixed', torch.from_numpy(is_fixed), persistent=False)

    def forward(self, images: Tensor, lengths: Tensor, methods: Tensor) -> Tensor:
        """Resize (N, S, 3, S) float32, integers 0-255; pixels beyond an image are ignored.

        ``lengths``, (N,) int64, are from ``smallest`` to S; ``methods``, (N,) int64, are indices
        into :data:`METHODS`.
        """
        count, side = images.shape[:2]
        drawn = methods, lengths - self.smallest
        taps = self.taps[drawn].long()  # (N, S, taps)
        weights = self.weights[drawn]
        fixed = self.fixed[drawn].view(-1, 1, 1)
        matrix = weights.new_zeros(count, side, side).scatter_add_(2, taps, weights)
        columns = torch.bmm(images.view(count, side * 3, side), matrix.transpose(1, 2))
        columns = columns.view(count, side, 3 * side)
        result = torch.bmm(matrix.mul_(~fixed), columns)
        # Fixed point: ((w0 * (a >> 4) >> 16) + (w1 * (b >> 4) >> 16) + 2) >> 2, where a and b are
        # times 2048, here 128.
        first = side * torch.arange(count, device=images.device)
        index = (first.view(-1, 1, 1) + taps[:, :, :2]).flatten()
        lines = columns.to(torch.int16).view(-1, 3 * side).index_select(0, index)
        factors = (weights[:, :, :2] * (16 * fixed)).int().view(-1, 1)
        upper = lines.mul(factors).view(torch.int16)[:, 1::2].view(count, side, 2, 3 * side)
        # A hair more than a quarter: halves up.
        result.add_(upper[:, :, 0] + upper[:, :, 1], alpha=(1 + 2**-12) / 4)
        return result.round_().clamp_(0, 255).view(count, side, 3, side)
