"""A net for faces of photographs, 512x512 in and out: the FaceUNet, and the detail that stays."""

import torch
from mmagic.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, pad, pixel_shuffle, pixel_unshuffle

from .face_unet import FaceUNet, GatedBlock, shuffle, unshuffle

CELL = 4  # pixels a side that the FaceUNet makes of one
VALUES = 3 * CELL**2  # of a cell
FIRST_GATE = -1.5  # before the sigmoid: a fifth of the input's own detail at first
PERIOD = 8  # pixels of the lattice that is taken out
EDGE = 12  # times the usual value at a place
TINY = 1e-6


class Lattice(nn.Module):
    """Finds what repeats every 8 pixels, such as the trace of a net's grid in smooth skin.

    A net that makes several pixels from one place gives each of the 8x8 places an error of its own;
    after adversarial training it can be seen. Found is, of each place, the mean over some 11x11
    periods of what is finer than a period. An edge is finer, too, and would be repeated every 8
    pixels beside it: a period with a value of over :data:`EDGE` times the usual one at its place
    counts less, by the square of the excess.
    """

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        # No wave that fits into a period passes this mean.
        taps = torch.tensor([0.5, *[1.0] * (PERIOD - 1), 0.5]) / PERIOD
        self.register_buffer('taps', taps, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same in float32; H and W are multiples of 8."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            places = pixel_unshuffle(x - self._average(x), PERIOD)
            usual = self._mean(places.abs().sqrt()) ** 2
            excess = (places.abs() / (EDGE * usual + TINY)).amax(1, keepdim=True)
            weights = 1 / excess.clamp(min=1) ** 2
            return pixel_shuffle(self._mean(places * weights) / self._mean(weights), PERIOD)

    def _mean(self, periods: Tensor) -> Tensor:
        return self._average(self._average(periods))

    def _average(self, x: Tensor) -> Tensor:
        """The mean of the 9x9 pixels around each; beyond the image, its border is continued."""
        channels, reach = x.shape[1], PERIOD // 2
        row = self.taps.float().expand(channels, 1, 1, -1)
        rows = conv2d(pad(x, [reach] * 4, 'replicate'), row, groups=channels)
        return conv2d(rows, row.mT, groups=channels)


@MODELS.register_module()
class FacePhotoNet(BaseModule):
    """Restores aligned faces that may be sharp, at their own size.

    The FaceUNet restores the means of the input's 4x4 cells, which gives ``u``. Of the detail
    finer than that, ``x - u``, a weight for each value is taken back, and a correction is added:
    ``u + weight * (x - u) + correction``. Both come from the 96 values of a cell of ``u`` and ``x -
    u``, by a block at a quarter of the input's size. So a sharp face can stay as it is, and a
    damaged one costs little more than in the FaceUNet. In evaluation, what the net changes of the
    input is without its :class:`Lattice`.

    ``channels`` are the block's features.
    """

    #: The restorer never cuts this net's input into tiles: a tile is no face.
    whole_images = True
    size_multiple = PERIOD

    def __init__(self, channels: int = 64, residual_scale: float = 0.2) -> None:
        super().__init__()
        self.unet = FaceUNet()
        self.mix = nn.Linear(2 * VALUES, channels)
        self.block = GatedBlock(channels, residual_scale)
        self.head = nn.Conv2d(channels, 2 * VALUES, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        bias = torch.tensor([FIRST_GATE, 0.0]).repeat_interleave(VALUES)
        self.head.bias = nn.Parameter(bias)
        self.lattice = Lattice()
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> the same shape, in any range that is linear in the pixel's value."""
        u = self.unet(avg_pool2d(x, CELL))
        base, detail = (unshuffle(each.permute(0, 2, 3, 1), CELL) for each in (u, x - u))
        features = self.block(self.mix(torch.cat([base, detail], -1)))
        # On a CPU the gradient of so wide a convolution takes twice as long with channels last.
        planes, weight = features.permute(0, 3, 1, 2).contiguous(), self.head.weight.contiguous()
        both = conv2d(planes, weight, self.head.bias, padding=1).permute(0, 2, 3, 1)
        gate, correction = both.chunk(2, -1)
        kept, correction = (
            shuffle(each, CELL).permute(0, 3, 1, 2)
            for each in (gate.sigmoid() * detail, correction)
        )
        change = u + kept + correction - x
        if not self.training:  # taken out there too, it would be hidden from the loss, and grow
            change = change - self.lattice(change)
        return torch.add(x, change)
