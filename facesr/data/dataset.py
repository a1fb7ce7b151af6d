"""Folders of faces as an MMEngine dataset, and the transform that reads one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmagic.datasets import BasicImageDataset
from mmagic.datasets.transforms import LoadImageFromFile
from mmagic.registry import DATASETS, TRANSFORMS

from ..errors import UserError
from .cache import make_cache, open_cache
from .images import Image8, pair_images, read_image
from .sampler import Draw, seed_draw


@DATASETS.register_module()
class FaceDataset(BasicImageDataset):
    """MMagic's ``BasicImageDataset`` with a fixed order and no silent gaps.

    The stock class lists files in ``scandir`` order, which differs between copies of a folder and
    so changes every draw; it wants one file format for inputs and ground truth; and it accepts an
    empty folder. This one sorts, pairs by stem, and stops with the folder's name.

    Args:
        data_root: folder above those of ``data_prefix``.
        data_prefix: one folder per key: ``dict(gt=...)`` to degrade on the fly, ``dict(img=...,
            gt=...)`` for pairs, ``dict(img=...)`` without ground truth.
        cache_dir: where the ground truths' decoded pixels are kept, see
            :func:`~facesr.data.cache.make_cache`; None decodes them every time.
        pipeline, test_mode, indices, max_refetch, lazy_init: as in
            ``mmengine.dataset.BaseDataset``.

    Raises:
        UserError: a folder is missing or empty, inputs and ground truths do not match, or
            ``data_prefix`` has other keys.
    """

    def __init__(
        self,
        data_root: str = '',
        data_prefix: dict[str, str] | None = None,
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        max_refetch: int = 1000,
        lazy_init: bool = False,
        cache_dir: str | None = None,
    ) -> None:
        self.cache_dir = cache_dir
        self._cache: Path | None = None
        data_prefix = dict(data_prefix or {})
        if not data_prefix or data_prefix.keys() - {'img', 'gt'}:
            raise UserError(f"data_prefix={data_prefix}: a folder for 'img', 'gt' or both expected")
        super().__init__(
            data_root=data_root,
            data_prefix=data_prefix,
            pipeline=list(pipeline),
            test_mode=test_mode,
            indices=indices,
            max_refetch=max_refetch,
            lazy_init=lazy_init,
        )

    def full_init(self) -> None:
        if self._fully_initialized:
            return
        super().full_init()
        if self.cache_dir is not None and 'gt' in self.data_prefix:
            paths = [self.get_data_info(index)['gt_path'] for index in range(len(self))]
            self._cache = make_cache(paths, self.cache_dir)

    def __getitem__(self, idx: int | Draw) -> Any:
        """Get an item; one that ``DrawSampler`` draws has random numbers of its own."""
        if isinstance(idx, Draw):
            seed_draw(idx)
            idx = idx.image
        return super().__getitem__(idx)

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on an image, its decoded pixels taken from the cache if there is one."""
        info = self.get_data_info(idx)
        if self._cache is not None:
            info['gt'] = np.array(open_cache(self._cache)[idx])  # transforms write in place
        return self.pipeline(info)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [
            {'key': stem, **{f'{role}_path': str(path) for role, path in paths.items()}}
            for stem, paths in pair_images(self.data_prefix)
        ]


@TRANSFORMS.register_module()
class LoadFace(LoadImageFromFile):
    """MMagic's ``LoadImageFromFile`` for 8-bit RGB that names a file it cannot use.

    The stock transform ends in an AttributeError of ``None`` that names no file.

    Args:
        key: ``'gt'`` or ``'img'``; reads ``<key>_path``, writes ``<key>`` as (H, W, 3) uint8 RGB.
        size: height and width in pixels that the file must have; None takes any.

    Raises:
        UserError: the file is unreadable or of another size.
    """

    def __init__(self, key: str, size: int | None = None) -> None:
        super().__init__(key=key, channel_order='rgb')
        self.size = size

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the image, unless the data set has taken it from its cache."""
        self._decoded = results.pop(self.key, None)
        loaded: dict[str, Any] = super().transform(results)
        return loaded

    def _load_image(self, filename: str) -> Image8:
        image = read_image(filename) if self._decoded is None else self._decoded
        if self.size is not None and image.shape[:2] != (self.size, self.size):
            height, width = image.shape[:2]
            raise UserError(
                f'{filename}: {width}x{height} pixels, {self.size}x{self.size} expected; '
                'tools/prepare_data.py lists all such files'
            )
        return image
