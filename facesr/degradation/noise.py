"""The random numbers of a batch, and the noise that MMagic's ``RandomNoise`` makes of them."""

from collections.abc import Iterable

import torch
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


def poisson_noise(x: Tensor, lengths: Tensor, is_grey: Tensor, noise: BatchNoise) -> Tensor:
    """The shot noise of images (N, S, 3, S), levels 0-255, as MMagic's ``RandomNoise`` has it.

    The fewer levels an image has (up to the next power of two), the stronger. ``lengths``, (N,),
    are the images' sides in pixels; grey noise, (N,) bool, is that of the luma, in all channels.
    """
    count, side = x.shape[:2]
    red, green, blue = x.split(1, 2)
    grey = (0.299 * red + 0.587 * green + 0.114 * blue).round_()  # OpenCV's
    source = torch.where(is_grey.view(-1, 1, 1, 1), grey, x)
    along = torch.arange(side, device=x.device) < lengths[:, None]
    inside = along[:, :, None, None] & along[:, None, None]
    levels = torch.where(inside, source, 256).long().view(count, -1)
    present = x.new_zeros(count, 257).scatter_(1, levels, 1)
    steps = torch.exp2(present[:, :256].sum(1).log2().ceil()).view(-1, 1, 1, 1)
    drawn = noise.poisson(source * steps)
    drawn = torch.where(is_grey.view(-1, 1, 1, 1), drawn[:, :, :1], drawn)
    return drawn.div_(steps).sub_(source)
