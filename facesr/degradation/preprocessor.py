"""Batches of ground truth -> batches of training pairs, on the device that trains."""

from __future__ import annotations

from functools import lru_cache
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
    """What the loader hands over for pairs to be made on the device.

    Attributes:
        gt: (N, S, S, 3) uint8 RGB.
        values: (N, 8) float64, a :meth:`.settings.Degradation.row` for each image.
        crops: (N, 3) int64: top and left of the degraded image's crop in pixels, and 1 to flip it.
        noise_seeds: (N,) int64.
        settings: of the degradation.
        gt_patch_size: side of the ground truth's crop in pixels.
    """

    gt: Tensor
    values: Tensor
    crops: Tensor
    noise_seeds: Tensor
    settings: DegradationSettings
    gt_patch_size: int


@MODELS.register_module()
class FacePreprocessor(DataPreprocessor):
    """MMagic's ``DataPreprocessor``, which also makes training pairs of a :class:`FaceBatch`.

    Everything random comes with the batch, so that a sample is the same in any batch and process.
    The noise is PyTorch's for its seed: on another model of GPU it is another.

    Args: as ``DataPreprocessor``.
    """

    def forward(self, data: Any, training: bool = False) -> Any:
        """Copy to the device, make pairs where there are none, normalise.

        Returns:
            ``inputs`` (N, 3, h, w) float32 and ``data_samples`` with ``gt_img`` (N, 3, 4h, 4w).
        """
        if not isinstance(data, FaceBatch):
            return super().forward(data, training)
        lq, gt = make_pairs(data, self.device)
        mean, std = self.mean.float(), self.std.float()
        return {
            'inputs': (lq - mean).div_(std),
            'data_samples': DataSample(gt_img=(gt - mean).div_(std)),
        }


@torch.no_grad()
def make_pairs(batch: FaceBatch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Degrade, crop and flip: lq (N, 3, h, h) and gt (N, 3, 4h, 4h), uint8 on the device."""
    settings, side = batch.settings, batch.settings.gt_size
    gt, values = (part.to(device, non_blocking=True) for part in (batch.gt, batch.values))
    noise = torch.empty(len(gt), 3, side, side, device=device)
    for image, seed in zip(noise, batch.noise_seeds.tolist(), strict=True):
        image.normal_(generator=torch.Generator(device).manual_seed(seed))
    lq = _build(settings, device)(gt.permute(0, 3, 1, 2), values, noise)
    crops = batch.crops.numpy()
    length = batch.gt_patch_size
    return (
        _crop(lq.permute(0, 2, 3, 1), crops, length // settings.scale),
        _crop(gt, crops * [settings.scale, settings.scale, 1], length),
    )


@lru_cache(maxsize=4)
def _build(settings: DegradationSettings, device: torch.device) -> BatchDegradation:
    return BatchDegradation(settings).to(device)


def _crop(images: Tensor, crops: NDArray[np.int64], length: int) -> Tensor:
    """Crop (N, H, W, 3) at (N, 3) top, left and flip: (N, 3, length, length)."""
    along = np.arange(length)
    columns = np.where(crops[:, 2:], along[::-1], along)
    places = torch.from_numpy(np.stack([crops[:, :1] + along, crops[:, 1:2] + columns], 1))
    if images.is_cuda:
        places = places.pin_memory()
    rows, columns = places.to(images.device, non_blocking=True)[:, :, None].unbind(1)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    crops = images[batch, rows.mT, columns]
    return crops.permute(0, 3, 1, 2).contiguous()  # MMagic's ModifiedVGG wants it so
