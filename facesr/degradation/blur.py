"""Blurring with a given kernel: one image by MMagic; a batch in PyTorch, as OpenCV does it."""

import numpy as np
import torch
from mmagic.datasets.transforms import RandomBlur
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Kernel = NDArray[np.float64]


class FixedBlur(RandomBlur):
    """MMagic's ``RandomBlur`` with a kernel that was drawn before, (K, K)."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__({}, ['img'])
        # Without the zeros around it, for which OpenCV would take its Fourier transform.
        border = int(min(np.argmax(kernel.any(axis)) for axis in (0, 1)))
        self.kernel = kernel[border : len(kernel) - border, border : len(kernel) - border]

    def get_kernel(self, num_kernels: int) -> list[Kernel]:
        return [self.kernel] * num_kernels


class BatchBlur(nn.Module):
    """Blurs each image of a batch with a kernel of its own, which is its own mirror image.

    OpenCV applies kernels of 11 pixels or more by Fourier transforms in float32, and so does this;
    single pixels differ by one level where rounding differs. Border: reflect-101.

    Args:
        side: of the canvas in pixels; images lie in its top left.
        kernel_size: of the kernels in pixels, odd; a smaller one has zeros around it.
    """

    def __init__(self, side: int, kernel_size: int) -> None:
        super().__init__()
        self.side, self.radius = side, kernel_size // 2
        self.padded = _good_length(side + 2 * self.radius)

    def forward(self, images: Tensor, kernels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Blur (N, 3, S, S), levels 0-255, with (N, K, K) float32.

        ``lengths``, (N,) int64, are the images' sides in pixels; None: the canvas's.

        Returns:
            (N, 3, S, S) float32, integers 0-255; in memory (N, S, 3, S).
        """
        size, reach = (self.padded, self.padded), 2 * self.radius
        # About grey instead of black: smaller numbers have smaller rounding errors.
        spectrum = torch.fft.rfft2(self._pad(images.contiguous() - 128.0, lengths))
        # The kernel is its own mirror image, so its product, a convolution, is the correlation that
        # OpenCV computes, a kernel's length further on; nothing wraps there.
        spectrum *= torch.fft.rfft2(kernels, s=size)[:, None]
        blurred = torch.fft.irfft2(spectrum, s=size)[..., reach:, reach:]
        blurred = blurred[..., : self.side, : self.side].transpose(1, 2)
        result = torch.add(blurred, 128, out=blurred.new_empty(blurred.shape)).round_()
        return result.clamp_(0, 255).transpose(1, 2)

    def _pad(self, images: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            padding = [self.radius, self.padded - self.side - self.radius] * 2
            return functional.pad(images, padding, mode='reflect')
        count, channels = images.shape[:2]
        period = 2 * (lengths[:, None] - 1)
        places = torch.arange(-self.radius, self.padded - self.radius, device=images.device)
        places = places.remainder(period)
        places = places.minimum(period - places)
        rows = images.gather(2, places[:, None, :, None].expand(-1, channels, -1, self.side))
        wide = places[:, None, None].expand(count, channels, self.padded, -1)
        return rows.gather(3, wide)


def _good_length(least: int) -> int:
    """The next length whose only prime factors are 2, 3, 5 and 7: fast to transform."""
    length = least
    while True:
        rest = length
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and length % 2 == 0:
            return length
        length += 1
