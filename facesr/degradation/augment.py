"""Random variants of a ground truth, so that a long training sees few faces twice alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import RandomState

from ..images import Image8
from .base import check_settings, number, pair, setting

GRID = (5, 5)  # the warp's points
SEAM = 16  # pixels of a mixed face in which one fades into the other


@dataclass(frozen=True)
class Augmentation:
    """Makes another face of one, or of two, before it is degraded.

    The faces must stay aligned, so the moves are small; what comes into view at the border is
    mirrored. MMagic's ``RandomAffine`` draws from NumPy's global generator, so that a sample would
    depend on the loader's process; here everything is drawn from the sample's own.

    Pairs are (least, most).
    """

    angle: float = setting(number(0, 180), 0.0)  # largest turn in degrees, either way
    zoom: Sequence[float] = setting(pair(0.5, 2), (1.0, 1.0))  # evenly drawn
    shift: float = setting(number(0), 0.0)  # largest move in pixels, along either axis
    # Exponents of the pixel's value in [0, 1], evenly drawn in their logarithm: below 1 brightens.
    gamma: Sequence[float] = setting(pair(0.1, 10), (1.0, 1.0))
    tint: Sequence[float] = setting(
        pair(0.1, 10), (1.0, 1.0)
    )  # the same, of each channel by itself
    # Largest move in pixels of the points of a coarse grid, which the picture between them follows:
    # other proportions.
    warp: float = setting(number(0, 32), 0.0)
    # Probability that a second face takes the place of the first beyond a random line. The parts
    # fit, as the faces are aligned. (CutMix, which Yoo et al., arXiv:2004.00448, found to help
    # super-resolution, with a line instead of a rectangle.)
    mix: float = setting(number(0, 1), 0.0)

    def __post_init__(self) -> None:
        check_settings('augmentation', self)

    def apply(self, image: Image8, rng: RandomState, read_other: Callable[[], Image8]) -> Image8:
        """Make a variant of a face, (H, W, 3) uint8; ``read_other`` gives another, to mix it with.

        What is drawn does not depend on the settings.
        """
        height, width = image.shape[:2]
        angle, across, down = rng.uniform(-1, 1, 3) * (self.angle, self.shift, self.shift)
        zoom, gamma = rng.uniform(self.zoom[0], self.zoom[-1]), rng.uniform(*np.log(self.gamma))
        least, most = np.log(self.tint)
        gammas = gamma + rng.uniform(least, most, 3)
        bends = rng.uniform(-self.warp, self.warp, (*GRID, 2)).astype(np.float32)
        mixed, (way, off) = rng.random_sample() < self.mix, rng.uniform(-1, 1, 2)
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]

        if mixed:  # beyond a line that passes the middle by up to a quarter of the width
            cos, sin = np.cos(way * np.pi), np.sin(way * np.pi)
            beyond = (x - width / 2) * cos + (y - height / 2) * sin - off * width / 4
            second = np.clip(beyond / SEAM + 0.5, 0, 1).astype(np.float32)
            image = np.asarray(cv2.blendLinear(image, read_other(), 1 - second, second), np.uint8)
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, zoom)
        turn[:, 2] += across, down
        (a, b, c), (d, e, f) = cv2.invertAffineTransform(turn).astype(np.float32)
        bend = cv2.resize(bends, (width, height), interpolation=cv2.INTER_CUBIC)
        from_x, from_y = bend[..., 0] + (a * x + b * y + c), bend[..., 1] + (d * x + e * y + f)
        moved = cv2.remap(image, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        levels = 255 * np.linspace(0, 1, 256)[:, None] ** np.exp(gammas)
        return np.asarray(cv2.LUT(moved, levels.round().astype(np.uint8)[:, None]), np.uint8)
