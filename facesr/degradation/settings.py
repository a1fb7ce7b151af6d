"""The blind degradation: its settings, the values for an image, and how one image is degraded.

The settings are declared in ``configs/_base_/degradation.py``. From the same values,
:func:`degrade` degrades one image on a CPU, and ``batch.py`` a whole batch on the device.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from mmagic.datasets.transforms import RandomJPEGCompression, RandomNoise, RandomResize
from numpy.random import RandomState

from ..errors import UserError
from ..images import Image8
from .blur import BatchBlur, inverse_covariance
from .resize import METHODS

#: What a setting must be, in words and as a test.
Range = tuple[str, Callable[[Any], bool]]


def number(least: float, most: float = math.inf) -> Range:
    """The range of a number."""
    words = f'at least {least:.4g}' if most == math.inf else f'from {least:.4g} to {most:.4g}'
    return words, lambda value: least <= value <= most


def pair(least: float, most: float = math.inf) -> Range:
    """The range of a (least, most)."""
    words = f'(least, most), {number(least, most)[0]},'
    return words, lambda value: len(value) == 2 and least <= value[0] <= value[1] <= most


def check_settings(owner: str, settings: Any, **ranges: Range) -> None:
    """Refuse a setting that is out of its range, or of another type; make tuples of lists."""
    for name, (words, fits) in ranges.items():
        value = getattr(settings, name)
        try:
            is_good = fits(value)
        except TypeError:
            is_good = False
        if not is_good:
            raise UserError(f'{owner}.{name}={value!r}: {words} expected')
        if isinstance(value, list):
            object.__setattr__(settings, name, tuple(value))  # settings can be compared


@dataclass(frozen=True)
class Degradation:
    """The values drawn for one image."""

    sigma_x: float  # of the blur, pixels
    sigma_y: float
    angle: float  # of the blur, radians; 0 where the sigmas are equal
    length: int  # height and width in pixels after the first resizing
    shrink: int  # its method, an index into METHODS
    noise: float  # standard deviation in levels of 255
    quality: int  # JPEG's, 1-100
    enlarge: int  # the last resizing's method

    def row(self) -> list[float]:
        """What ``BatchDegradation`` takes: the blur's inverse covariance, then the other values."""
        sigmas = (np.array([value]) for value in (self.sigma_x, self.sigma_y, self.angle))
        [inverse] = inverse_covariance(*sigmas)
        return [*inverse, self.noise, self.length, self.shrink, self.quality, self.enlarge]


@dataclass(frozen=True)
class DegradationSettings:
    """How ground truth is degraded: blurred, shrunk, made noisy, compressed, resized.

    Every value is drawn evenly from its range, for each image anew. Pairs are (least, most).

    Args:
        gt_size: height and width of the ground truth in pixels, a multiple of 16.
        lq_size: of the result, to which the image is averaged at last; divides ``gt_size`` by 3 or
            more.
        kernel_size: of the Gaussian blur in pixels, odd, 13 or more.
        isotropic_prob: probability of a round kernel; the others are turned by any angle.
        blur_sigma: standard deviations of the blur in pixels, along either axis.
        resize_scale: first resizing, to this part of the side; at most 1.
        resize_methods: of the first resizing and of the way back to ``gt_size``: some of
            ``'bilinear'``, ``'area'`` and ``'bicubic'``, equally probable.
        noise_sigma: standard deviation of Gaussian noise in levels of 255.
        jpeg_quality: 1-100.
    """

    gt_size: int
    lq_size: int
    kernel_size: int
    isotropic_prob: float
    blur_sigma: tuple[float, float]
    resize_scale: tuple[float, float]
    resize_methods: Sequence[str]
    noise_sigma: tuple[float, float]
    jpeg_quality: tuple[int, int]

    def __post_init__(self) -> None:
        multiple = ('a multiple of 16', lambda size: size > 0 and size % 16 == 0)
        check_settings('degradation', self, gt_size=multiple)
        check_settings(
            'degradation',
            self,
            lq_size=(
                'a third of gt_size, a quarter, or less',
                lambda size: size > 0 and self.gt_size % size == 0 and self.scale >= 3,
            ),
            # OpenCV applies smaller kernels without a Fourier transform, and rounds otherwise.
            kernel_size=('odd, from 13 to 511', lambda size: size in range(13, 512, 2)),
            isotropic_prob=number(0, 1),
            blur_sigma=pair(0.01),
            resize_scale=pair(5 / self.gt_size, 1),  # JPEG in the batch takes 5 pixels or more
            resize_methods=(f'some of {METHODS}', lambda names: names and {*names} <= {*METHODS}),
            noise_sigma=pair(0),
            jpeg_quality=pair(1, 100),
        )

    @property
    def scale(self) -> int:
        """How many times the ground truth is larger than the result."""
        return self.gt_size // self.lq_size

    @property
    def shortest(self) -> int:
        """The smallest side in pixels that the first resizing can give."""
        return int(self.gt_size * self.resize_scale[0])

    def sample(self, rng: RandomState) -> Degradation:
        """Draw the values for one image from their ranges."""
        sigma_x, sigma_y = rng.uniform(*self.blur_sigma, 2)
        angle = rng.uniform(-np.pi, np.pi)
        if rng.random_sample() < self.isotropic_prob:
            sigma_y, angle = sigma_x, 0.0
        shrink, enlarge = (METHODS.index(rng.choice(self.resize_methods)) for _ in range(2))
        return Degradation(
            sigma_x=sigma_x,
            sigma_y=sigma_y,
            angle=angle,
            length=int(self.gt_size * rng.uniform(*self.resize_scale)),
            shrink=shrink,
            noise=rng.uniform(*self.noise_sigma),
            quality=round(rng.uniform(*self.jpeg_quality)),
            enlarge=enlarge,
        )


def degrade_by_seed(image: Image8, settings: DegradationSettings, seed: int) -> Image8:
    """Degrade one image with the values and the noise that a seed gives, the same every time."""
    return degrade(image, settings, settings.sample(RandomState(seed)), seed)


def degrade(
    image: Image8, settings: DegradationSettings, values: Degradation, noise_seed: int
) -> Image8:
    """Degrade one image: blur it with PyTorch, then apply MMagic's transforms.

    OpenCV's Fourier transform makes MMagic's blur two thirds of the time; PyTorch's is 2.5 times
    faster and gives the same levels (``blur.py``).

    (S, S, 3) uint8 RGB, ``gt_size`` a side, becomes (s, s, 3), ``lq_size`` a side. NumPy's global
    generator is left as it was.
    """
    inverse = torch.tensor([values.row()[:3]], dtype=torch.float64)
    blur = _make_blur(settings.gt_size, settings.kernel_size)
    [blurred] = blur(torch.from_numpy(image).permute(2, 0, 1)[None], inverse)
    pixels = blurred.permute(1, 2, 0).to(torch.uint8).contiguous().numpy()
    return degrade_blurred(pixels, settings, values, noise_seed)


@lru_cache(maxsize=4)
def _make_blur(side: int, kernel_size: int) -> BatchBlur:
    return BatchBlur(side, kernel_size)


def degrade_blurred(
    image: Image8, settings: DegradationSettings, values: Degradation, noise_seed: int
) -> Image8:
    """What follows the blur, by MMagic's transforms.

    JPEG is handed RGB as if it were BGR, so red and blue change places in its YCbCr: the published
    runs trained with this property.
    """

    def resize(length: int, method: str) -> RandomResize:
        params = dict(target_size=(length, length), resize_opt=[method], resize_prob=[1])
        return RandomResize(params, keys=['img'])

    noise = dict(
        noise_type=['gaussian'],
        noise_prob=[1],
        gaussian_sigma=[values.noise] * 2,
        gaussian_gray_noise_prob=0,
    )
    transforms = (
        resize(values.length, METHODS[values.shrink]),
        RandomNoise(noise, keys=['img']),
        RandomJPEGCompression(dict(quality=[values.quality] * 2), keys=['img']),
        resize(settings.gt_size, METHODS[values.enlarge]),
        resize(settings.lq_size, 'area'),
    )
    results = {'img': image}
    state = np.random.get_state()
    try:
        for transform in transforms:
            np.random.seed(noise_seed)
            results = transform(results)
    finally:
        np.random.set_state(state)
    return np.asarray(results['img'], np.uint8)
