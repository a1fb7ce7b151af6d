"""The challenge's degradation of a whole batch on its device, as MMagic's transforms do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.random import RandomState
from torch import Tensor, nn

from ..errors import UserError
from .blur import BatchBlur
from .draws import Draw, Draws, draw
from .jpeg import JPEG
from .resize import METHODS, BatchResize

TYPES = (
    'RandomBlur',
    'RandomResize',
    'RandomNoise',
    'RandomJPEGCompression',
    'RandomResize',
    'RandomResize',
)


class BatchDegradation(nn.Module):
    """Blur, shrink, noise, JPEG, enlarge, shrink: (N, 3, S, S) -> (N, 3, s, s), 8-bit levels.

    MMagic's transforms work on one image, in a loader's process; these give the same levels
    (``docs/benchmarks.md`` has the differences) on the device that trains, and the number of kernel
    launches does not depend on the batch.

    Args:
        chain: the transforms' configs, as ``configs/_base_/degradation.py`` declares them.

    Raises:
        UserError: the chain holds something that is not done here; it names what.
    """

    def __init__(self, chain: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        check_chain(chain)
        self.chain = [dict(step) for step in chain]
        blur, shrink, *_, enlarge, final = (step['params'] for step in chain)
        self.side, self.final_side = enlarge['target_size'][0], final['target_size'][0]
        self.blur = BatchBlur(self.side, blur['kernel_size'][0])
        smallest = int(self.side * shrink['resize_scale'][0])
        self.shrink = BatchResize(self.side, smallest, enlarge=False)
        self.jpeg = JPEG()
        self.enlarge = BatchResize(self.side, smallest, enlarge=True)

    def draw(self, rng: RandomState, count: int) -> list[Draw]:
        """Draw the degradations of ``count`` images, one after the other."""
        return [draw(self.chain, rng, self.side) for _ in range(count)]

    @torch.no_grad()
    def forward(self, gt: Tensor, draws: Draws, noise: Tensor) -> Tensor:
        """Degrade.

        Args:
            gt: (N, 3, S, S) uint8 RGB.
            draws: one for each image, on the same device.
            noise: (N, 3, S, S) standard normal; the top left of each image's length is used.

        Returns:
            (N, 3, s, s) uint8 RGB.
        """
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision('highest')  # levels depend on all of it
        try:
            with torch.autocast(gt.device.type, enabled=False):
                return self._degrade(gt, draws, noise)
        finally:
            torch.set_float32_matmul_precision(precision)

    def _degrade(self, gt: Tensor, draws: Draws, noise: Tensor) -> Tensor:
        x = self.blur(gt, draws.precision)
        x = x.transpose(1, 2)  # (N, row, channel, column): what the products want
        x = self.shrink(x, draws.length, draws.shrink)
        x.addcmul_(noise.transpose(1, 2), draws.noise.view(-1, 1, 1, 1))
        x = x.round_().clamp_(0, 255).to(torch.uint8)  # the encoder takes 8 bits
        x = self.jpeg(x.transpose(1, 2), draws.length, draws.quality).transpose(1, 2)
        x = self.enlarge(x, draws.length, draws.enlarge)
        count, factor = len(x), self.side // self.final_side
        x = x.view(count, self.final_side, factor, 3, self.final_side, factor)
        lq: Tensor = x.sum((2, 5)).div_(factor**2).round_().to(torch.uint8)
        return lq.transpose(1, 2)


def check_chain(chain: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what :class:`BatchDegradation` does not do as MMagic's transforms would.

    Raises:
        UserError: names the transform and the key.
    """
    types = tuple(step.get('type') for step in chain)
    if types != TYPES:
        raise UserError(f'degradation on the device: {", ".join(TYPES)} expected, not {types}')
    blur, shrink, noise, jpeg, enlarge, final = (step.get('params', {}) for step in chain)
    sides = [step.get('target_size', (0, 0)) for step in (enlarge, final)]
    scale = shrink.get('resize_scale', [0, 0])
    wrong = {
        'RandomBlur.kernel_list': not set(blur['kernel_list']) <= {'iso', 'aniso'},
        # smaller ones OpenCV does not apply by Fourier transforms
        'RandomBlur.kernel_size': len(blur['kernel_size']) > 1 or blur['kernel_size'][0] < 13,
        'RandomBlur.rotate_angle': 'rotate_angle' not in blur,
        'RandomResize.resize_mode_prob': list(shrink.get('resize_mode_prob', ())) != [0, 1, 0],
        'RandomResize.resize_scale': scale[0] > 1
        or int(sides[0][0] * scale[0]) < 5,  # JPEG's least
        'RandomResize.is_size_even': bool(shrink.get('is_size_even')),
        'RandomResize.resize_opt': not set(shrink['resize_opt']) | set(enlarge['resize_opt'])
        <= set(METHODS),
        'RandomNoise.noise_type': list(noise['noise_type']) != ['gaussian'],
        'RandomNoise.gaussian_gray_noise_prob': noise['gaussian_gray_noise_prob'] != 0,
        'RandomJPEGCompression.quality': not 1
        <= min(jpeg['quality'])
        <= max(jpeg['quality'])
        <= 100,
        'RandomResize.target_size': any(height != width for height, width in sides)
        or sides[0][0] % 16 != 0
        or sides[1][0] == 0
        or sides[0][0] % sides[1][0] != 0
        or sides[0][0] // sides[1][0] < 3,
        'RandomResize.resize_opt, the last': list(final['resize_opt']) != ['area'],
        'prob': any(
            step.get('prob', 1) != 1 for step in (blur, shrink, noise, jpeg, enlarge, final)
        ),
    }
    for name in wrong:
        if wrong[name]:
            raise UserError(
                f"degradation: {name} as it is cannot be done on the device; on='loader' can"
            )
