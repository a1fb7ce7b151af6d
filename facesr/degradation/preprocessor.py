"""Batches of ground truth -> batches of training pairs, on the device that trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmagic.models import DataPreprocessor
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from numpy.random import MT19937, RandomState, SeedSequence
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UserError
from .chain import BatchDegradation
from .draws import Draws, copy_to
from .transform import BlindDegradation


@MODELS.register_module()
class FacePreprocessor(DataPreprocessor):
    """MMagic's ``DataPreprocessor``, which also makes training pairs of bare ground truth.

    Packed pairs go the stock way. A batch of (N, H, W, 3) uint8 is degraded, cropped and flipped
    here; every draw depends only on the seed, the process's rank, the iteration and the place in the
    batch; PyTorch's normal numbers for the noise also on the GPU's model.
    ``DeviceDegradationHook`` tells it what to do and which iteration it is.

    Args: as ``DataPreprocessor``.
    """

    degradation: BatchDegradation | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.degradation = None

    def prepare(self, transform: BlindDegradation, seed: int, rank: int = 0) -> None:
        """Take over what a transform left to the device.

        Raises:
            UserError: its chain holds something that is not done here.
        """
        self.degradation = BatchDegradation(transform.chain).to(self.device)
        self.transform = transform
        self.seed, self.rank, self.iteration = seed, rank, 0

    def forward(self, data: dict[str, Any], training: bool = False) -> Any:
        """Copy to the device, make pairs where there are none, normalise.

        Returns:
            ``inputs`` (N, 3, h, w) float32 and ``data_samples`` with ``gt_img`` (N, 3, 4h, 4w).
        """
        inputs = data['inputs']
        if not isinstance(inputs, Tensor) or inputs.dtype != torch.uint8 or inputs.shape[-1] != 3:
            return super().forward(data, training)
        if self.degradation is None:
            raise UserError(
                "the batch is not degraded; add dict(type='DeviceDegradationHook') to "
                "custom_hooks, or let BlindDegradation do it: on='loader'"
            )
        lq, gt = self.make_pairs(inputs.to(self.device, non_blocking=True))
        mean, std = self.mean.float(), self.std.float()
        return {
            'inputs': (lq - mean).div_(std),
            'data_samples': DataSample(gt_img=(gt - mean).div_(std)),
        }

    @torch.no_grad()
    def make_pairs(self, gt: Tensor) -> tuple[Tensor, Tensor]:
        """Degrade, crop and flip: (N, S, S, 3) uint8 -> lq (N, 3, h, h), gt (N, 3, 4h, 4h) uint8.

        Raises:
            UserError: the faces are not of the size that the chain is for.
        """
        assert self.degradation is not None
        count, side, crop = len(gt), self.degradation.side, self.transform.gt_patch_size
        if gt.shape[1:3] != (side, side):
            raise UserError(f'faces of {side}x{side} pixels expected, not {tuple(gt.shape[1:3])}')
        seeds = SeedSequence((self.seed, self.rank, self.iteration))
        rng = RandomState(MT19937(seeds))
        draws = Draws.to_device(self.degradation.draw(rng, count), gt.device)
        generator = torch.Generator(gt.device).manual_seed(int(seeds.generate_state(1)[0]))
        noise = torch.randn(count, 3, side, side, device=gt.device, generator=generator)
        lq = self.degradation(gt.permute(0, 3, 1, 2), draws, noise)
        scale = side // self.degradation.final_side
        corners = rng.randint(0, (side - crop) // scale + 1, (count, 2))
        flips = rng.random_sample(count) < self.transform.flip_ratio
        return (
            _crop(lq.permute(0, 2, 3, 1), corners, flips, crop // scale),
            _crop(gt, scale * corners, flips, crop),
        )


def _crop(
    images: Tensor, corners: NDArray[np.int64], flips: NDArray[np.bool_], length: int
) -> Tensor:
    """Crops (N, H, W, 3) at (N, 2) corners, and flips where it is said: (N, 3, length, length)."""
    along = np.arange(length)
    flipped = np.where(flips[:, None], along[::-1], along)
    places = np.stack([corners[:, :1] + along, corners[:, 1:] + flipped], 1)
    rows, columns = copy_to(places, images.device)[:, :, None].unbind(1)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    crops = images[batch, rows.mT, columns]
    return crops.permute(0, 3, 1, 2).contiguous()  # MMagic's ModifiedVGG wants it so
