"""Batches of ground truth -> batches of training pairs, on the device that trains."""

from typing import Any, NamedTuple

import numpy as np
import torch
from mmagic.models import DataPreprocessor
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from numpy.typing import NDArray
from torch import Tensor, nn

from .base import Degradation
from .noise import BatchNoise


class FaceBatch(NamedTuple):
    """What the loader hands over for pairs to be made on the device."""

    gt: Tensor  # (N, S, S, 3) uint8 RGB
    inputs: Any  # a named tuple of tensors (N, ...), see Degradation.prepare()
    crops: Tensor  # (N, 3) int64: top and left of the input's crop in pixels, and 1 to flip it
    noise_seeds: Tensor  # (N,) int64
    degradation: Degradation
    gt_patch_size: int  # side of the ground truth's crop in pixels


@MODELS.register_module()
class FacePreprocessor(DataPreprocessor):
    """MMagic's ``DataPreprocessor``, which also makes training pairs of a :class:`FaceBatch`.

    Everything random comes with the batch, so that a sample is the same in any batch and process.

    ``grey`` is for a net with one channel: it gets, and is compared with, the images' grey levels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *args: Any, grey: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.grey = grey
        if grey:
            self.mean, self.std = self.mean[:1], self.std[:1]
            self._conversion_warning_raised = True  # that a grey image has no channel order
        self._made: tuple[Degradation, torch.device, nn.Module] | None = None

    def forward(self, data: Any, training: bool = False) -> Any:
        """Copy to the device, make pairs where there are none, normalise.

        Returns:
            ``inputs`` (N, 3, h, w) float32 and ``data_samples`` with ``gt_img`` (N, 3, H, W); one
            channel if ``grey``.
        """
        if not isinstance(data, FaceBatch):
            return super().forward(_take_grey(data) if self.grey else data, training)
        lq, gt = self.make_pairs(data)
        if self.grey:
            lq, gt = to_grey(lq), to_grey(gt)
        mean, std = self.mean.float(), self.std.float()
        return {
            'inputs': (lq - mean).div_(std),
            'data_samples': DataSample(gt_img=(gt - mean).div_(std)),
        }

    @torch.no_grad()
    def make_pairs(self, batch: FaceBatch) -> tuple[Tensor, Tensor]:
        """Degrade, crop and flip: lq (N, 3, h, h) and gt (N, 3, H, H), uint8 on the device."""
        degradation, device = batch.degradation, self.device
        if self._made is None or self._made[:2] != (degradation, device):
            module = degradation.make_batch()
            self._made = degradation, device, module._apply(lambda table: copy_to(table, device))
        gt, inputs = batch.gt.to(device, non_blocking=True), copy_to(batch.inputs, device)
        noise = BatchNoise(batch.noise_seeds.tolist(), device)
        with torch.autocast(device.type, enabled=False):
            lq = self._made[2](gt.permute(0, 3, 1, 2), inputs, noise)
        crops, length, scale = batch.crops.numpy(), batch.gt_patch_size, degradation.scale
        return (
            _crop(lq.permute(0, 2, 3, 1), crops, length // scale),
            _crop(gt, crops * [scale, scale, 1], length),
        )


def to_grey(images: Tensor) -> Tensor:
    """Levels of grey (luma of ITU-R BT.601) of (..., 3, H, W) 8-bit RGB: (..., 1, H, W) 8-bit."""
    red, green, blue = images.float().unbind(-3)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    return grey.round_().to(torch.uint8).unsqueeze(-3)


def _take_grey(data: dict[str, Any]) -> dict[str, Any]:
    """Make the images of a packed batch grey, as MMagic knows them."""
    for sample in data['data_samples']:
        sample.set_metainfo(dict(img_channel_order='single', gt_channel_order='single'))
        if 'gt_img' in sample:
            sample.set_tensor_data(dict(gt_img=to_grey(sample.gt_img)))
    return {**data, 'inputs': [to_grey(image) for image in data['inputs']]}


def copy_to(table: Any, device: torch.device) -> Any:
    """Copy a tensor, or tuples of them, to a device; nothing waits for it."""
    if not isinstance(table, Tensor):
        parts = [copy_to(part, device) for part in table]
        return type(table)(*parts) if hasattr(table, '_fields') else parts
    if device.type == 'cuda' and not table.is_pinned():
        table = table.pin_memory()
    return table.to(device, non_blocking=True)


def _crop(images: Tensor, crops: NDArray[np.int64], length: int) -> Tensor:
    """Crop (N, H, W, 3) at (N, 3) top, left and flip: (N, 3, length, length)."""
    along = np.arange(length)
    mirrored = np.where(crops[:, 2:], along[::-1], along)
    places = torch.from_numpy(np.stack([crops[:, :1] + along, crops[:, 1:2] + mirrored], 1))
    rows, columns = copy_to(places, images.device)[:, :, None].unbind(1)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    return images[batch, rows.mT, columns].permute(0, 3, 1, 2).contiguous()  # for ModifiedVGG
