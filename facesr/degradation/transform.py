"""Ground truth -> training pair, in the loader's processes or left to the device."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmagic.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import FUNCTIONS
from torch.utils.data import default_collate

from ..errors import UserError


@TRANSFORMS.register_module()
class BlindDegradation(BaseTransform):
    """Degrades a face, crops and flips the pair, and packs it; the last transform of a pipeline.

    One declaration for two ways of doing it: by MMagic's transforms, one after the other in the
    loader's process, or by :class:`~facesr.degradation.preprocessor.FacePreprocessor` for a whole
    batch on the device; then the loader hands over the ground truth as it is.

    Args:
        chain: the transforms' configs, see ``configs/_base_/degradation.py``.
        on: ``'loader'``, ``'device'``, or ``'auto'``: the device if PyTorch sees a CUDA GPU.
        gt_patch_size: side of the ground truth's crop in pixels, a multiple of the scale; the
            face's side keeps the whole face.
        flip_ratio: probability of a horizontal flip of the pair. It comes after the degradation:
            JPEG and area resizing do not commute with flipping.
        scale: of the ground truth to the degraded image.

    Raises:
        UserError: ``on`` or a size is something else, or a face is smaller than the crop.
    """

    def __init__(
        self,
        chain: Sequence[Mapping[str, Any]],
        on: str = 'auto',
        gt_patch_size: int = 512,
        flip_ratio: float = 0.5,
        scale: int = 4,
    ) -> None:
        if on not in ('auto', 'device', 'loader'):
            raise UserError(f"BlindDegradation: on={on!r}: 'auto', 'device' or 'loader' expected")
        if gt_patch_size < scale or gt_patch_size % scale:
            raise UserError(
                f'BlindDegradation: gt_patch_size={gt_patch_size}: a multiple of {scale} expected'
            )
        self.chain = [copy.deepcopy(dict(step)) for step in chain]
        self.gt_patch_size, self.flip_ratio, self.scale = gt_patch_size, flip_ratio, scale
        self.on_device = on == 'device' or (on == 'auto' and torch.cuda.is_available())
        self.stock = Compose(
            [
                dict(type='CopyValues', src_keys=['gt'], dst_keys=['img']),
                *self.chain,
                dict(type='SetValues', dictionary=dict(scale=scale)),
                dict(type='PairedRandomCrop', gt_patch_size=gt_patch_size),
                dict(
                    type='Flip',
                    keys=['img', 'gt'],
                    flip_ratio=flip_ratio,
                    direction='horizontal',
                ),
                dict(type='PackInputs'),
            ]
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """``gt`` (H, W, 3) uint8 -> a packed pair, or ``inputs`` (H, W, 3) uint8 for the device."""
        height, width = results['gt'].shape[:2]
        if min(height, width) < self.gt_patch_size:
            raise UserError(
                f'{results.get("gt_path", "a face")}: {width}x{height} pixels, a crop of '
                f'gt_patch_size={self.gt_patch_size} does not fit in'
            )
        if self.on_device:
            return {'inputs': torch.from_numpy(results['gt'])}
        packed: dict[str, Any] = self.stock(results)
        return packed


@FUNCTIONS.register_module()
def collate_faces(batch: Sequence[Mapping[str, Any]]) -> Any:
    """MMEngine's ``pseudo_collate`` for packed pairs; one tensor (N, H, W, 3) for the device."""
    collate = pseudo_collate if 'data_samples' in batch[0] else default_collate
    return collate(list(batch))
