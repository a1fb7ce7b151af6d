"""Batches of ground truth -> batches of training pairs, on the device that trains."""

from typing import Any, NamedTuple

import numpy as np
import torch
from mmagic.models import DataPreprocessor
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from numpy.typing import NDArray
from torch import Tensor

from .batch import BatchDegradation
from .settings import DegradationSettings


class FaceBatch(NamedTuple):
    """What the loader hands over for pairs to be made on the device."""

    gt: Tensor  # (N, S, S, 3) uint8 RGB
    values: Tensor  # (N, 8) float64, a Degradation.row() for each image
    crops: Tensor  # (N, 3) int64: top and left of the input's crop in pixels, and 1 to flip it
    noise_seeds: Tensor  # (N,) int64
    settings: DegradationSettings
    gt_patch_size: int  # side of the ground truth's crop in pixels


@MODELS.register_module()
class FacePreprocessor(DataPreprocessor):
    """MMagic's ``DataPreprocessor``, which also makes training pairs of a :class:`FaceBatch`.

    Everything random comes with the batch, so that a sample is the same in any batch and process.
    The noise is PyTorch's for its seed: on another model of GPU it is another.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._degradations: dict[Any, BatchDegradation] = {}

    def forward(self, data: Any, training: bool = False) -> Any:
        """Copy to the device, make pairs where there are none, normalise.

        Returns:
            ``inputs`` (N, 3, h, w) float32 and ``data_samples`` with ``gt_img`` (N, 3, 4h, 4w).
        """
        if not isinstance(data, FaceBatch):
            return super().forward(data, training)
        lq, gt = self.make_pairs(data)
        mean, std = self.mean.float(), self.std.float()
        return {
            'inputs': (lq - mean).div_(std),
            'data_samples': DataSample(gt_img=(gt - mean).div_(std)),
        }

    @torch.no_grad()
    def make_pairs(self, batch: FaceBatch) -> tuple[Tensor, Tensor]:
        """Degrade, crop and flip: lq (N, 3, h, h) and gt (N, 3, 4h, 4h), uint8 on the device."""
        settings, device = batch.settings, self.device
        key = settings, device
        if key not in self._degradations:
            degradation = BatchDegradation(settings)
            self._degradations[key] = degradation._apply(lambda table: _copy(table, device))
        gt, values = batch.gt.to(device, non_blocking=True), _copy(batch.values, device)
        noise = torch.empty(len(gt), 3, settings.gt_size, settings.gt_size, device=device)
        for image, seed in zip(noise, batch.noise_seeds.tolist(), strict=True):
            image.normal_(generator=torch.Generator(device).manual_seed(seed))
        lq = self._degradations[key](gt.permute(0, 3, 1, 2), values, noise)
        crops, length = batch.crops.numpy(), batch.gt_patch_size
        return (
            _crop(lq.permute(0, 2, 3, 1), crops, length // settings.scale),
            _crop(gt, crops * [settings.scale, settings.scale, 1], length),
        )


def _copy(table: Tensor, device: torch.device) -> Tensor:
    """Copy numbers to a device; nothing waits for it."""
    if device.type == 'cuda' and not table.is_pinned():
        table = table.pin_memory()
    return table.to(device, non_blocking=True)


def _crop(images: Tensor, crops: NDArray[np.int64], length: int) -> Tensor:
    """Crop (N, H, W, 3) at (N, 3) top, left and flip: (N, 3, length, length)."""
    along = np.arange(length)
    mirrored = np.where(crops[:, 2:], along[::-1], along)
    places = torch.from_numpy(np.stack([crops[:, :1] + along, crops[:, 1:2] + mirrored], 1))
    rows, columns = _copy(places, images.device)[:, :, None].unbind(1)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    return images[batch, rows.mT, columns].permute(0, 3, 1, 2).contiguous()  # for ModifiedVGG
