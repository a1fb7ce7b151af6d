"""The blind degradation: its settings, the values for an image, and how one image is degraded.

The settings are declared in ``configs/_base_/degradation.py``. From the same values,
:func:`degrade` degrades one image on a CPU, and ``batch.py`` a whole batch on the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from mmagic.datasets.transforms import RandomJPEGCompression, RandomNoise, RandomResize
from numpy.random import RandomState

from ..errors import UserError
from ..images import Image8
from .blur import BatchBlur, inverse_covariance
from .resize import METHODS


@dataclass(frozen=True)
class Degradation:
    """The values drawn for one image.

    Attributes:
        sigma_x, sigma_y: blur, standard deviations in pixels; equal for an isotropic kernel.
        angle: the kernel's, in radians; 0 for an isotropic one.
        length: height and width in pixels after the first resizing.
        shrink, enlarge: resizing methods, indices into ``METHODS``.
        noise: standard deviation in levels of 255.
        quality: JPEG's, 1-100.
    """

    sigma_x: float
    sigma_y: float
    angle: float
    length: int
    shrink: int
    noise: float
    quality: int
    enlarge: int

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

    Raises:
        UserError: a value is out of its range; it names the setting.
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
        for name in ('blur_sigma', 'resize_scale', 'noise_sigma', 'jpeg_quality', 'resize_methods'):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # settings can be compared
        blur, scale, noise, quality = (
            (values[0], values[-1])
            for values in (self.blur_sigma, self.resize_scale, self.noise_sigma, self.jpeg_quality)
        )
        divides = self.lq_size > 0 and self.gt_size % self.lq_size == 0 and self.scale >= 3
        methods = {*self.resize_methods}
        for name, fits, expected in (
            ('gt_size', self.gt_size % 16 == 0, 'a multiple of 16'),
            ('lq_size', divides, 'a third of gt_size, a quarter, or less'),
            # OpenCV applies smaller kernels without a Fourier transform, and rounds otherwise.
            ('kernel_size', self.kernel_size in range(13, 512, 2), 'odd, from 13 to 511'),
            ('isotropic_prob', 0 <= self.isotropic_prob <= 1, 'from 0 to 1'),
            ('blur_sigma', 0 < blur[0] <= blur[1], 'above 0'),
            # JPEG in the batch takes images from 5 pixels.
            (
                'resize_scale',
                self.shortest >= 5 and scale[0] <= scale[1] <= 1,
                f'{5 / self.gt_size:.4f} to 1',
            ),
            ('resize_methods', methods and methods <= {*METHODS}, f'some of {METHODS}'),
            ('noise_sigma', 0 <= noise[0] <= noise[1], 'at least 0'),
            ('jpeg_quality', 1 <= quality[0] <= quality[1] <= 100, 'from 1 to 100'),
        ):
            if not fits:
                raise UserError(f'degradation.{name}={getattr(self, name)}: {expected} expected')

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
    """Degrade one image with the values and the noise that a seed gives, the same every time.

    Args:
        image, settings: as of :func:`degrade`.
        seed: of the values and of the noise.

    Returns:
        (s, s, 3) uint8 RGB, ``lq_size`` a side.
    """
    return degrade(image, settings, settings.sample(RandomState(seed)), seed)


def degrade(
    image: Image8, settings: DegradationSettings, values: Degradation, noise_seed: int
) -> Image8:
    """Degrade one image: blur it with PyTorch, then apply MMagic's transforms.

    OpenCV's Fourier transform makes MMagic's blur two thirds of the time; PyTorch's is 2.5 times
    faster and gives the same levels (``blur.py``).

    Args:
        image: (S, S, 3) uint8 RGB, ``gt_size`` a side.
        settings: where the values are from.
        values: blur, sizes, noise level, quality.
        noise_seed: of the noise. NumPy's global generator is left as it was.

    Returns:
        (s, s, 3) uint8 RGB, ``lq_size`` a side.
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
    """What follows the blur, by MMagic's transforms; arguments as of :func:`degrade`.

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
