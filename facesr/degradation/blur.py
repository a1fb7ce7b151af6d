"""MMagic's Gaussian blur in PyTorch: a batch of images, each with a kernel of its own."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional


class BatchBlur(nn.Module):
    """Blurs each image of a batch as ``cv2.filter2D`` does with MMagic's bivariate Gaussian kernel.

    OpenCV applies kernels of 11 pixels or more by Fourier transforms in float32, and so does this;
    single pixels differ by one level where rounding differs. Border: reflect-101.
    """

    powers: Tensor

    def __init__(self, side: int, kernel_size: int) -> None:
        super().__init__()
        self.side, self.radius = side, kernel_size // 2
        self.padded = _good_length(side + 2 * self.radius)
        axis = torch.arange(kernel_size, dtype=torch.float64) - self.radius
        y, x = torch.meshgrid(axis, axis, indexing='ij')
        powers = torch.stack([x * x, x * y, y * y]) * -0.5
        self.register_buffer('powers', powers.flatten(1), persistent=False)

    def kernels(self, inverse: Tensor) -> Tensor:
        """MMagic's ``bivariate_gaussian``: (N, 3) -> (N, K, K) float32, sum 1."""
        kernels = torch.exp(inverse @ self.powers)
        kernels = kernels / kernels.sum(1, keepdim=True)
        size = 2 * self.radius + 1
        return kernels.float().view(-1, size, size)

    def forward(self, images: Tensor, inverse: Tensor) -> Tensor:
        """Blur (N, 3, S, S) uint8, by (N, 3) float64 of :func:`inverse_covariance`.

        Returns:
            (N, 3, S, S) float32, integers 0-255; in memory (N, S, 3, S).
        """
        size, reach = (self.padded, self.padded), 2 * self.radius
        padding = [self.radius, self.padded - self.side - self.radius] * 2
        # About grey instead of black: smaller numbers have smaller rounding errors.
        padded = functional.pad(images.contiguous() - 128.0, padding, mode='reflect')
        spectrum = torch.fft.rfft2(padded)
        # The kernel is its own mirror image, so its product, a convolution, is the correlation that
        # OpenCV computes, a kernel's length further on; nothing wraps there.
        spectrum *= torch.fft.rfft2(self.kernels(inverse), s=size)[:, None]
        blurred = torch.fft.irfft2(spectrum, s=size)[..., reach:, reach:]
        blurred = blurred[..., : self.side, : self.side].transpose(1, 2)
        result = torch.add(blurred, 128, out=blurred.new_empty(blurred.shape)).round_()
        return result.transpose(1, 2)


def inverse_covariance(
    sigma_x: NDArray[np.float64], sigma_y: NDArray[np.float64], angle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Invert the covariance of Gaussians, in float32 like MMagic.

    (N,) standard deviations in pixels, equal for an isotropic kernel, and (N,) radians.

    Returns:
        (N, 3): factors of x * x, x * y and y * y in ``-2 log(kernel)``.
    """
    diagonal = np.zeros((len(sigma_x), 2, 2), np.float32)
    diagonal[:, 0, 0], diagonal[:, 1, 1] = sigma_x**2, sigma_y**2
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]], np.float32).transpose(2, 0, 1)
    inverse = np.linalg.inv(turn @ (diagonal @ turn.transpose(0, 2, 1))).astype(np.float64)
    return np.stack([inverse[:, 0, 0], inverse[:, 0, 1] + inverse[:, 1, 0], inverse[:, 1, 1]], 1)


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
