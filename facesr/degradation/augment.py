"""Random variants of a ground truth, so that a long training sees few faces twice alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import RandomState

from ..errors import UserError
from ..images import Image8


@dataclass(frozen=True)
class Augmentation:
    """Turns, zooms, shifts and brightens a face a little, before it is degraded.

    The faces must stay aligned, so the changes are small; what comes into view at the border is
    mirrored. MMagic's ``RandomAffine`` draws from NumPy's global generator, so that a sample would
    depend on the loader's process; here everything is drawn from the sample's own.

    Args:
        angle: largest turn in degrees, either way.
        zoom: least and most, evenly drawn; 1 leaves the size.
        shift: largest move in pixels, along either axis and either way.
        gamma: exponents of the pixel's value in [0, 1], least and most, evenly drawn in their
            logarithm: below 1 brightens.

    Raises:
        UserError: a value is out of its range; it names the setting.
    """

    angle: float = 0.0
    zoom: Sequence[float] = (1.0, 1.0)
    shift: float = 0.0
    gamma: Sequence[float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        for name in ('zoom', 'gamma'):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, fits, expected in (
            ('angle', 0 <= self.angle <= 180, 'from 0 to 180'),
            ('zoom', 0.5 <= self.zoom[0] <= self.zoom[-1] <= 2, '(least, most), from 0.5 to 2'),
            ('shift', self.shift >= 0, 'at least 0'),
            (
                'gamma',
                0.1 <= self.gamma[0] <= self.gamma[-1] <= 10,
                '(least, most), from 0.1 to 10',
            ),
        ):
            if not fits:
                raise UserError(f'augmentation.{name}={getattr(self, name)}: {expected} expected')

    def apply(self, image: Image8, rng: RandomState) -> Image8:
        """Make a variant of a face.

        Args:
            image: (H, W, 3) uint8.
            rng: every call takes five numbers of it.

        Returns:
            (H, W, 3) uint8, a copy.
        """
        height, width = image.shape[:2]
        angle, across, down = rng.uniform(-1, 1, 3) * (self.angle, self.shift, self.shift)
        zoom, gamma = rng.uniform(self.zoom[0], self.zoom[-1]), rng.uniform(*np.log(self.gamma))
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, zoom)
        turn[:, 2] += across, down
        moved = cv2.warpAffine(
            image, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        levels = 255 * np.linspace(0, 1, 256) ** np.exp(gamma)
        return np.asarray(cv2.LUT(moved, levels.round().astype(np.uint8)), np.uint8)
