"""The blind degradation of a batch on its device, to the levels of MMagic's transforms."""

import torch
from torch import Tensor, nn

from .blur import BatchBlur
from .jpeg import JPEG
from .resize import BatchResize
from .settings import DegradationSettings


class BatchDegradation(nn.Module):
    """Blur, shrink, noise, JPEG, enlarge, shrink: (N, 3, S, S) -> (N, 3, s, s), 8-bit levels.

    MMagic's transforms work on one image, in a loader's process; this gives the same levels
    (``docs/benchmarks.md`` has the differences) on the device that trains, and the number of kernel
    launches does not depend on the batch.
    """

    def __init__(self, settings: DegradationSettings) -> None:
        super().__init__()
        self.gt_size, self.lq_size = settings.gt_size, settings.lq_size
        self.blur = BatchBlur(settings.gt_size, settings.kernel_size)
        self.shrink = BatchResize(settings.gt_size, settings.shortest, enlarge=False)
        self.jpeg = JPEG()
        self.enlarge = BatchResize(settings.gt_size, settings.shortest, enlarge=True)

    @torch.no_grad()
    def forward(self, gt: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        """Degrade (N, 3, S, S) uint8 RGB to (N, 3, s, s).

        ``values``, (N, 8) float64, has a :meth:`.settings.Degradation.row` for each image;
        ``noise``, (N, 3, S, S), is standard normal: the top left of each image's length is used.
        """
        with torch.autocast(gt.device.type, enabled=False):
            return self._degrade(gt, values, noise)

    def _degrade(self, gt: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        noise_sigma = values[:, 3].float().view(-1, 1, 1, 1)
        length, shrink, quality, enlarge = values[:, 4:].long().unbind(1)
        x = self.blur(gt, values[:, :3])
        x = x.transpose(1, 2)  # (N, row, channel, column): what the products want
        x = self.shrink(x, length, shrink)
        x.addcmul_(noise.transpose(1, 2), noise_sigma)
        x = x.round_().clamp_(0, 255).to(torch.uint8)  # the encoder takes 8 bits
        x = self.jpeg(x.transpose(1, 2), length, quality).transpose(1, 2)
        x = self.enlarge(x, length, enlarge)
        count, factor = len(x), self.gt_size // self.lq_size
        x = x.view(count, self.lq_size, factor, 3, self.lq_size, factor)
        lq: Tensor = x.sum((2, 5)).div_(factor**2).round_().to(torch.uint8)
        return lq.transpose(1, 2)
