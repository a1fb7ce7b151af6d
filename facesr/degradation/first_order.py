"""The challenge's degradation of 2023: blur, shrink, noise, JPEG, enlarge, shrink."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from mmagic.datasets.transforms import RandomJPEGCompression, RandomNoise, RandomResize
from mmagic.datasets.transforms.blur_kernels import bivariate_gaussian
from mmagic.registry import TRANSFORMS
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import Tensor, nn

from ..images import Image8
from .base import (
    METHOD_NAMES,
    MULTIPLE_OF_16,
    Degradation,
    apply_transforms,
    number,
    pair,
    setting,
)
from .blur import BatchBlur, FixedBlur, Kernel
from .jpeg import JPEG
from .noise import BatchNoise
from .resize import METHODS, BatchResize, Taps, opencv_taps


@dataclass(frozen=True)
class FirstOrderValues:
    """The values drawn for one image."""

    sigma_x: float  # of the blur, pixels
    sigma_y: float
    angle: float  # of the blur, radians; 0 where the sigmas are equal
    length: int  # height and width in pixels after the first resizing
    shrink: int  # its method, an index into METHODS
    noise: float  # standard deviation in levels of 255
    quality: int  # JPEG's, 1-100
    enlarge: int  # the last resizing's method


class FirstOrderInput(NamedTuple):
    """What a batch takes of an image's values."""

    kernel: NDArray[np.float32]  # of the blur, (K, K)
    length: int
    shrink: Taps
    noise: float
    quality: int
    enlarge: Taps


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class FirstOrderDegradation(Degradation):
    """Every value is drawn evenly from its range, for each image anew. Pairs are (least, most)."""

    gt_size: int = setting(MULTIPLE_OF_16)  # height and width of the ground truth in pixels
    lq_size: int = setting(number(1))  # of the result, averaged at last; divides gt_size
    # Of the Gaussian blur in pixels. OpenCV rounds otherwise for smaller ones.
    kernel_size: int = setting(('odd, from 13 to 511', lambda size: size in range(13, 512, 2)))
    isotropic_prob: float = setting(number(0, 1))  # of a round kernel; others have any angle
    blur_sigma: tuple[float, float] = setting(pair(0.01))  # pixels, along either axis
    resize_scale: tuple[float, float] = setting(pair(0, 1))  # first resizing, of the side
    resize_methods: Sequence[str] = setting(METHOD_NAMES)  # down and up, equally probable
    noise_sigma: tuple[float, float] = setting(pair(0))  # of Gaussian noise, levels of 255
    jpeg_quality: tuple[int, int] = setting(pair(1, 100))

    def __post_init__(self) -> None:
        # JPEG in the batch takes 5 pixels or more.
        self.check(resize_scale=pair(5 / self.gt_size, 1))

    def sample(self, rng: RandomState) -> FirstOrderValues:
        """Draw the values for one image from their ranges."""
        sigma_x, sigma_y = rng.uniform(*self.blur_sigma, 2)
        angle = rng.uniform(-np.pi, np.pi)
        if rng.random_sample() < self.isotropic_prob:
            sigma_y, angle = sigma_x, 0.0
        shrink, enlarge = (METHODS.index(rng.choice(self.resize_methods)) for _ in range(2))
        return FirstOrderValues(
            sigma_x=sigma_x,
            sigma_y=sigma_y,
            angle=angle,
            length=int(self.gt_size * rng.uniform(*self.resize_scale)),
            shrink=shrink,
            noise=rng.uniform(*self.noise_sigma),
            quality=round(rng.uniform(*self.jpeg_quality)),
            enlarge=enlarge,
        )

    def kernel(self, values: FirstOrderValues) -> Kernel:
        """MMagic's kernel of the blur."""
        sigmas = values.sigma_x, values.sigma_y, values.angle
        return np.asarray(bivariate_gaussian(self.kernel_size, *sigmas, is_isotropic=False))

    def prepare(self, values: FirstOrderValues) -> FirstOrderInput:
        shrink, enlarge = self.resizes
        return FirstOrderInput(
            kernel=self.kernel(values).astype(np.float32),
            length=values.length,
            shrink=shrink.pad(opencv_taps(self.gt_size, values.length, values.shrink)),
            noise=values.noise,
            quality=values.quality,
            enlarge=enlarge.pad(opencv_taps(values.length, self.gt_size, values.enlarge)),
        )

    @property
    def resizes(self) -> tuple[BatchResize, BatchResize]:
        """The batch's first resizing, and the way back to ``gt_size``."""
        most_shrunk = self.gt_size / int(self.gt_size * self.resize_scale[0])
        shrink = BatchResize(self.gt_size, most_shrunk, fixed=True)
        return shrink, BatchResize(self.gt_size, 1, fixed=True)

    def degrade(self, image: Image8, values: FirstOrderValues, noise_seed: int) -> Image8:
        """Apply MMagic's transforms with the values drawn before.

        JPEG is handed RGB as if it were BGR, so red and blue change places in its YCbCr: the
        published runs trained with this property.
        """
        noise = dict(
            noise_type=['gaussian'],
            noise_prob=[1],
            gaussian_sigma=[values.noise] * 2,
            gaussian_gray_noise_prob=0,
        )
        transforms = (
            FixedBlur(self.kernel(values)),
            _resize(values.length, METHODS[values.shrink]),
            RandomNoise(noise, keys=['img']),
            RandomJPEGCompression(dict(quality=[values.quality] * 2), keys=['img']),
            _resize(self.gt_size, METHODS[values.enlarge]),
            _resize(self.lq_size, 'area'),
        )
        return apply_transforms(image, transforms, noise_seed)

    def make_batch(self) -> 'FirstOrderBatch':
        return FirstOrderBatch(self)


def _resize(length: int, method: str) -> RandomResize:
    params = dict(target_size=(length, length), resize_opt=[method], resize_prob=[1])
    return RandomResize(params, keys=['img'])


class FirstOrderBatch(nn.Module):
    """The degradation of a batch on its device, to the levels of MMagic's transforms."""

    def __init__(self, settings: FirstOrderDegradation) -> None:
        super().__init__()
        self.gt_size, self.lq_size = settings.gt_size, settings.lq_size
        self.blur = BatchBlur(settings.gt_size, settings.kernel_size)
        self.shrink, self.enlarge = settings.resizes
        self.jpeg = JPEG()

    def forward(self, gt: Tensor, inputs: Any, noise: BatchNoise) -> Tensor:
        """Degrade; see :meth:`.base.Degradation.make_batch`."""
        x = self.blur(gt, inputs.kernel)
        x = self.shrink(x.transpose(1, 2), inputs.shrink)  # (N, row, channel, column)
        sigma = inputs.noise.float().view(-1, 1, 1, 1)
        x.addcmul_(noise.normal(self.gt_size).transpose(1, 2), sigma)
        x = x.round_().clamp_(0, 255).to(torch.uint8)  # the encoder takes 8 bits
        x = self.jpeg(x.transpose(1, 2), inputs.length, inputs.quality)
        x = self.enlarge(x.transpose(1, 2), inputs.enlarge)
        count, factor = len(x), self.gt_size // self.lq_size
        x = x.view(count, self.lq_size, factor, 3, self.lq_size, factor).sum((2, 5))
        # OpenCV rounds means of 2x2 pixels up, all other means half to even.
        x = x.mul_(1 + 2**-13 * (factor == 2)).div_(factor**2)
        lq: Tensor = x.round_().to(torch.uint8).transpose(1, 2)
        return lq
