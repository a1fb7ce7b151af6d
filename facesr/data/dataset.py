"""Folders of faces as MMEngine data sets: as they are, or degraded for training."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmagic.datasets.transforms import PackInputs
from mmagic.registry import DATASETS
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from numpy.random import MT19937, RandomState, SeedSequence

from ..degradation.augment import Augmentation
from ..degradation.base import Degradation, build_degradation
from ..degradation.preprocessor import FaceBatch
from ..errors import UserError
from ..images import (
    Image8,
    check_size,
    find_images_below,
    list_images,
    pair_images,
    read_image,
)
from .cache import ImageCache, make_cache
from .loader import sample_key


@DATASETS.register_module()
class FaceDataset(BaseDataset):
    """Faces to restore, with or without their ground truth.

    MMagic's ``BasicImageDataset`` lists files in ``scandir`` order, which differs between copies of
    a folder; wants one file format for inputs and ground truth; and accepts an empty folder. This
    one sorts, pairs by stem, and stops with the folder's name. A net can be trained on such pairs.

    Args:
        data_root: folder above those of ``data_prefix``.
        data_prefix: one folder for each of ``img`` (degraded) and ``gt`` (ground truth), or one
            only: ``dict(img='val/LQ', gt='val/GT')``; None is none.
        size: pixels a side that each must have: ``dict(img=128, gt=512)``; any where not named.
            A degradation's ``gt_size`` stands above it.
        indices: as in ``BaseDataset``: the first so many, or these.
        gt_patch_size: to train: side of a random crop of the ground truth in pixels, and of the
            same place in the input; None keeps the images.
        flip_ratio: to train: probability of a horizontal flip of the pair.
        degradation: makes the inputs of ``gt``, an image's always the same: those that
            ``tools/degrade.py`` writes. Its ``type`` and settings, see ``facesr/degradation``.
    """

    METAINFO: ClassVar = {'dataset_type': 'faces'}
    #: Whether images larger than ``size`` are taken.
    or_larger: ClassVar[bool] = False
    degradation: Degradation | None

    def __init__(
        self,
        data_root: str,
        data_prefix: Mapping[str, Any],
        size: Mapping[str, int] | None = None,
        indices: int | Sequence[int] | None = None,
        gt_patch_size: int | None = None,
        flip_ratio: float = 0.0,
        degradation: Mapping[str, Any] | None = None,
    ) -> None:
        if not 0 <= flip_ratio <= 1:
            raise UserError(f'flip_ratio={flip_ratio}: from 0 to 1 expected')
        data_prefix = {role: place for role, place in data_prefix.items() if place is not None}
        roles, words = {'img', 'gt'}, "for 'img', 'gt' or both"
        self.degradation = None
        if degradation is not None:
            self.degradation = build_degradation(degradation)
            side, scale = self.degradation.gt_size, self.degradation.scale
            size, roles, words = {'gt': side}, {'gt'}, "for 'gt' only, as inputs are made of it,"
            if gt_patch_size not in (None, *range(scale, side + 1, scale)):
                wanted = f'a multiple of {scale}, at most {side}, expected'
                raise UserError(f'gt_patch_size={gt_patch_size}: {wanted}')
        elif gt_patch_size is not None and gt_patch_size < 1:
            raise UserError(f'gt_patch_size={gt_patch_size}: at least 1 pixel expected, or None')
        if not data_prefix or data_prefix.keys() - roles:
            raise UserError(f'data_prefix={data_prefix}: a folder {words} expected')
        self.gt_patch_size, self.flip_ratio = gt_patch_size, flip_ratio
        self.size = dict(size or {})
        self.pack = PackInputs()
        super().__init__(data_root=data_root, data_prefix=data_prefix, indices=indices)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images, sorted by stem: ``key``, ``number``, ``img_path``, ``gt_path``."""
        images = [
            {'key': stem, 'number': number}
            | {f'{role}_path': str(path) for role, path in paths.items()}
            for number, (stem, paths) in enumerate(pair_images(self.data_prefix))
        ]
        return self.choose(images)

    def choose(self, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Check that ``indices`` are some of the images; ``BaseDataset`` takes them."""
        indices, count = self._indices, len(images)
        if indices is not None and not _are_indices(indices, count):
            raise UserError(
                f'indices={indices}: {self.data_root} has {count} images; how many of them, or '
                f'which, from 0 to {count - 1}, expected'
            )
        return images

    def prepare_data(self, idx: int) -> Any:
        """Read an image and pack it: ``inputs`` (3, h, w) uint8, ``gt_img`` if there is one."""
        info = self.get_data_info(idx)
        images = {role: self.read(info, role) for role in self.data_prefix}
        if self.degradation is not None:
            images['img'] = self.degradation.degrade_by_seed(images['gt'], info['number'])
        if len(images) == 2 and (self.gt_patch_size or self.flip_ratio):
            (height, width), (rows, columns) = (images[role].shape[:2] for role in ('img', 'gt'))
            scale = rows // height
            if (rows, columns) != (height * scale, width * scale):
                sides = f'{columns}x{rows} and {width}x{height}'
                raise UserError(f'{info["gt_path"]} and its input: {sides}: not a multiple')
            rng, length = random_of(idx), (self.gt_patch_size or 0) // scale
            if length > min(height, width) or length * scale != (self.gt_patch_size or 0):
                sides = f'{columns}x{rows} pixels, gt_patch_size={self.gt_patch_size}'
                raise UserError(f'{info["gt_path"]}: {sides}; take less, a multiple of {scale}')
            length = length or max(height, width)
            top, left = (rng.randint(max(side - length, 0) + 1) for side in (height, width))
            flip = rng.random_sample() < self.flip_ratio
            images = crop_pair(images, scale, (top, left), length, flip)
        return self.pack_images(info, images)

    def read(self, info: Mapping[str, Any], role: str) -> Image8:
        """Read the file of a role, and check its size."""
        return self.read_file(info[f'{role}_path'], self.size.get(role))

    @classmethod
    def read_file(cls, path: str | Path, side: int | None) -> Image8:
        """Read an image, and check that it has so many pixels a side."""
        image = read_image(path)
        if side is not None:
            remedy = 'tools/check_data.py lists all such files'
            check_size(path, image, side, side, remedy, cls.or_larger)
        return image

    def pack_images(self, info: Mapping[str, Any], images: Mapping[str, Image8]) -> Any:
        """Pack RGB images as MMagic's models expect them."""
        orders = {f'{role}_channel_order': 'rgb' for role in images}
        return self.pack({**info, **images, **orders})


def random_of(index: int) -> RandomState:
    """What is random in the sample that a data set is making; only its key decides it."""
    key = sample_key(index)
    return RandomState(MT19937(SeedSequence((key.seed, key.number))))


def crop_pair(
    pair: Mapping[str, Image8], scale: int, corner: tuple[int, int], length: int, flip: bool
) -> dict[str, Image8]:
    """Crop ``length`` pixels a side of the input at its top and left, and the same of ``gt``."""
    cropped = {}
    for role, zoom in (('img', 1), ('gt', scale)):
        rows, columns = (slice(start * zoom, (start + length) * zoom) for start in corner)
        cropped[role] = np.ascontiguousarray(pair[role][rows, columns][:, :: -1 if flip else 1])
    return cropped


def _are_indices(indices: int | Sequence[int], count: int) -> bool:
    """Whether they are a number of images, or some of the images' numbers."""
    if isinstance(indices, int):
        return indices > 0
    return bool(indices) and all(index in range(count) for index in indices)


@DATASETS.register_module()
class BlindFaceDataset(FaceDataset):
    """Ground truth to train on, degraded, cropped and flipped afresh for every sample.

    All that is random in a sample depends only on the run's seed and the sample's number.

    Args:
        data_root: folder above that of ``data_prefix``.
        data_prefix: the ground truth's folder, or several: ``dict(gt='train/GT')``; images in
            folders below count too. Of an image larger than ``gt_size`` a random part is taken.
        degradation: its ``type`` and settings, see ``facesr/degradation``.
        degrade_on: ``'loader'``: image by image, in the loader's processes; ``'device'``: whole
            batches where the net is; ``'auto'``: the device if PyTorch sees a CUDA GPU.
        gt_patch_size: side of the ground truth's crop in pixels, a multiple of the scale; None
            keeps all ``gt_size`` pixels.
        flip_ratio: probability of a horizontal flip of the pair, after the degradation: JPEG and
            area resizing give another result for the mirrored face.
        augmentation: of the ground truth before it is degraded, see
            :class:`~facesr.degradation.augment.Augmentation`; None leaves it as it is.
        cache_dir: where the decoded pixels are kept, see ``cache.py``; None decodes every time.
        indices: as in ``BaseDataset``.
    """

    or_larger = True
    degradation: Degradation

    def __init__(
        self,
        data_root: str,
        data_prefix: Mapping[str, Any],
        degradation: Mapping[str, Any],
        degrade_on: str = 'auto',
        gt_patch_size: int | None = None,
        flip_ratio: float = 0.5,
        augmentation: Mapping[str, Any] | None = None,
        cache_dir: str | None = None,
        indices: int | Sequence[int] | None = None,
    ) -> None:
        if degrade_on not in ('auto', 'device', 'loader'):
            raise UserError(f"degrade_on={degrade_on!r}: 'auto', 'device' or 'loader' expected")
        self.augmentation = Augmentation(**augmentation) if augmentation else None
        self.on_device = degrade_on == 'device' or (
            degrade_on == 'auto' and torch.cuda.is_available()
        )
        self.cache_dir = cache_dir
        self.cache: ImageCache | None = None
        super().__init__(
            data_root, data_prefix, None, indices, gt_patch_size, flip_ratio, degradation
        )

    def _join_prefix(self) -> None:
        prefix: Any = self.data_prefix
        folders = [prefix['gt']] if isinstance(prefix['gt'], str) else prefix['gt']
        self.data_prefix: dict[str, Any] = {
            'gt': [str(Path(self.data_root, folder)) for folder in folders]
        }

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images, sorted by folder and stem: ``key``, ``gt_path``."""
        images: list[Path] = []
        for top in map(Path, self.data_prefix['gt']):
            found = [path for images, _ in find_images_below(top) for path in images.values()]
            images += found or list_images(top).values()  # which says what is wrong
        return self.choose([{'key': path.stem, 'gt_path': str(path)} for path in images])

    def full_init(self) -> None:
        """List the images, and decode them into the cache."""
        if self._fully_initialized:
            return
        super().full_init()
        path, side = self.get_data_info(0)['gt_path'], self.size['gt']
        if (shape := self.read_file(path, side).shape[:2]) != (side, side):
            text = f'{path}: {shape[1]}x{shape[0]} pixels; a random part of {side}x{side} is taken'
            print_log(f'{text} of each larger image', 'current', logging.WARNING)
        if self.cache_dir is not None:
            paths = [self.get_data_info(index)['gt_path'] for index in range(len(self))]
            read = partial(self.read_file, side=side)
            self.cache = make_cache(paths, self.cache_dir, read)

    def prepare_data(self, idx: int) -> Any:
        """Make a training sample: a packed pair, or what :class:`FaceBatch` has for one image."""
        info, rng = self.get_data_info(idx), random_of(idx)
        degradation, scale = self.degradation, self.degradation.scale
        length = self.gt_patch_size or degradation.gt_size
        gt = self.read_gt(idx, rng)
        values = degradation.sample(rng)
        noise_seed = int(rng.randint(2**32, dtype=np.int64))
        flip = rng.random_sample() < self.flip_ratio
        top, left = rng.randint(0, (degradation.gt_size - length) // scale + 1, 2)
        if self.augmentation is not None:
            other = int(rng.randint(len(self)))
            gt = self.augmentation.apply(gt, rng, lambda: self.read_gt(other, rng))
        gt = degradation.sharpen(gt)
        if self.on_device:
            crop = torch.tensor([top, left, flip])
            inputs = degradation.prepare(values)
            seed = torch.tensor(noise_seed)
            return FaceBatch(torch.from_numpy(gt), inputs, crop, seed, degradation, length)
        pair = {'img': degradation.degrade(gt, values, noise_seed), 'gt': gt}
        return self.pack_images(info, crop_pair(pair, scale, (top, left), length // scale, flip))

    def read_gt(self, index: int, rng: RandomState) -> Image8:
        """Read ``gt_size`` pixels a side from the cache, or from the file where that has none."""
        gt = self.cache.read(index) if self.cache else None
        gt = self.read(self.get_data_info(index), 'gt') if gt is None else gt
        side = self.degradation.gt_size
        if gt.shape[:2] != (side, side):
            top, left = (rng.randint(length - side + 1) for length in gt.shape[:2])
            gt = np.ascontiguousarray(gt[top : top + side, left : left + side])
        return gt
