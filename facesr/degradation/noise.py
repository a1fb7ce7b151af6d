"""Poisson noise as BasicSR has it, of an image and of a batch; the random numbers of a batch.

MMagic's ``RandomNoise`` is a port of BasicSR's ``add_poisson_noise`` that counts an image's levels
from 0 to 255 where BasicSR counts them from 0 to 1: its noise is 16 times weaker.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmagic.datasets.transforms import RandomNoise
from numpy.typing import NDArray
from torch import Tensor


class BatchNoise:
    """Random numbers on a device, each image's from a seed of its own.

    So a sample is the same in any batch. They are PyTorch's: on another model of GPU others.
    """

    def __init__(self, seeds: Iterable[int], device: torch.device | str) -> None:
        self.device = device
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def normal(self, side: int) -> Tensor:
        """Standard normal numbers, (N, 3, side, side)."""
        noise = torch.empty(len(self.generators), 3, side, side, device=self.device)
        for image, generator in zip(noise, self.generators, strict=True):
            image.normal_(generator=generator)
        return noise

    def poisson(self, rates: Tensor) -> Tensor:
        """Poisson-distributed numbers, of the shape of their rates (N, ...)."""
        pairs = zip(rates, self.generators, strict=True)
        return torch.stack([torch.poisson(rate, generator) for rate, generator in pairs])


class PoissonNoise(RandomNoise):
    """MMagic's ``RandomNoise``, Poisson's with BasicSR's strength.

    Of (H, W, 3) RGB, levels 0-255; grey noise is that of the luma, in all channels.
    """

    def __init__(self, scale: float, is_grey: bool) -> None:
        super().__init__(dict(noise_type=['poisson'], noise_prob=[1]), ['img'])
        self.scale, self.is_grey = scale, is_grey

    def _apply_poisson_noise(self, imgs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        [image] = imgs
        of = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] if self.is_grey else image
        steps = 2 ** np.ceil(np.log2(len(np.unique(of))))
        counts = np.random.poisson(of / 255 * steps)
        return [image + (counts / steps * 255 - of) * self.scale]


def poisson_noise(x: Tensor, lengths: Tensor, is_grey: Tensor, noise: BatchNoise) -> Tensor:
    """What :class:`PoissonNoise` adds to images (N, S, 3, S), levels 0-255, times a scale of 1.

    ``lengths``, (N,), are the images' sides in pixels; ``is_grey`` is (N,) bool.
    """
    count, side = x.shape[:2]
    red, green, blue = x.split(1, 2)
    grey = (0.299 * red + 0.587 * green + 0.114 * blue).round_()  # OpenCV's
    source = torch.where(is_grey.view(-1, 1, 1, 1), grey, x)
    along = torch.arange(side, device=x.device) < lengths[:, None]
    inside = along[:, :, None, None] & along[:, None, None]
    levels = torch.where(inside, source, 256).long().flatten(1)
    present = x.new_zeros(count, 257).scatter_(1, levels, 1)
    steps = torch.exp2(present[:, :256].sum(1).log2().ceil()).view(-1, 1, 1, 1)
    drawn = noise.poisson(source * (steps / 255))
    drawn = torch.where(is_grey.view(-1, 1, 1, 1), drawn[:, :, :1], drawn)
    return drawn.mul_(255 / steps).sub_(source)
