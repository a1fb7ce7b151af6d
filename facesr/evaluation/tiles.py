"""A large image in tiles; MMagic knows whole images alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..data.images import Image8

# Pixels around a tile. The 26-block net sees about 55 pixels far, so tiles show no seams.
MARGIN = 64
SMALLEST_TILE = 32


def restore_tiled(forward: Callable[[Image8], Image8], lq: Image8, tile: int) -> Image8:
    """Restore an image in overlapping tiles; they show no seams.

    Args:
        forward: restores (1, h, w, 3) uint8, for (1, 4h, 4w, 3) or another scale.
        lq: (H, W, 3) uint8 RGB.
        tile: side of a tile in pixels, without its margin.
    """
    height, width = lq.shape[:2]
    result: Image8 | None = None
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            outer_top, outer_left = max(top - MARGIN, 0), max(left - MARGIN, 0)
            outer = lq[outer_top : bottom + MARGIN, outer_left : right + MARGIN]
            [restored] = forward(outer[None])
            scale = restored.shape[0] // outer.shape[0]
            if result is None:
                result = np.empty((height * scale, width * scale, 3), np.uint8)
            inner_top, inner_left = (top - outer_top) * scale, (left - outer_left) * scale
            result[top * scale : bottom * scale, left * scale : right * scale] = restored[
                inner_top : inner_top + (bottom - top) * scale,
                inner_left : inner_left + (right - left) * scale,
            ]
    assert result is not None, 'an image has at least one pixel'
    return result
