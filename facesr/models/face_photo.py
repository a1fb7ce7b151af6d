"""A net for faces of photographs, 512x512 in and out: the FaceUNet, and what it must not change."""

import torch
from mmagic.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from .face_unet import FaceUNet, GatedBlock, shuffle, unshuffle

CELL = 4  # pixels a side that the FaceUNet makes of one
VALUES = 3 * CELL**2  # of a cell
FIRST_GATE = -1.5  # before the sigmoid: a fifth of the input's own detail at first


@MODELS.register_module()
class FacePhotoNet(BaseModule):
    """Restores aligned faces that may be sharp, at their own size.

    The FaceUNet restores the means of the input's 4x4 cells, which gives ``u``. Of the detail
    finer than that, ``x - u``, a weight for each value is taken back, and a correction is added:
    ``u + weight * (x - u) + correction``. Both come from the 96 values of a cell of ``u`` and ``x -
    u``, by a block at a quarter of the input's size. So a sharp face can stay as it is, and a
    damaged one costs little more than in the FaceUNet.

    ``channels`` are the block's features.
    """

    #: The restorer never cuts this net's input into tiles: a tile is no face.
    whole_images = True
    size_multiple = CELL

    def __init__(self, channels: int = 64, residual_scale: float = 0.2) -> None:
        super().__init__()
        self.unet = FaceUNet()
        self.mix = nn.Linear(2 * VALUES, channels)
        self.block = GatedBlock(channels, residual_scale)
        self.head = nn.Conv2d(channels, 2 * VALUES, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        bias = torch.tensor([FIRST_GATE, 0.0]).repeat_interleave(VALUES)
        self.head.bias = nn.Parameter(bias)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> the same shape, in any range that is linear in the pixel's value."""
        u = self.unet(avg_pool2d(x, CELL))
        base, detail = (unshuffle(each.permute(0, 2, 3, 1), CELL) for each in (u, x - u))
        features = self.block(self.mix(torch.cat([base, detail], -1)))
        gate, correction = self.head(features.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).chunk(2, -1)
        change = gate.sigmoid() * detail + correction
        return torch.add(u, shuffle(change, CELL).permute(0, 3, 1, 2))
