"""A data set for the demonstration, made from the photographs in scikit-image's wheel.

The astronaut's portrait (NASA, public domain) is held out for the demo to restore.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from ..degradation.base import Degradation
from ..errors import UserError
from ..files import writing_results
from ..images import Image8, write_png

GT_SIZE = 512
CROPS_PER_PHOTOGRAPH = 8
PORTRAITS = 16

PHOTOGRAPHS = (
    'brick',
    'camera',
    'chelsea',
    'coffee',
    'coins',
    'grass',
    'gravel',
    'hubble_deep_field',
    'immunohistochemistry',
    'moon',
    'page',
    'retina',
    'rocket',
    'stereo_motorcycle',
)


def make_demo_set(root: str | Path, degradation: Degradation, overwrite: bool = False) -> None:
    """Write ``train/GT``, ``val/GT``, ``val/LQ`` and ``test/LQ`` below a folder.

    Training images are 512x512 crops of 14 photographs; validation is one portrait, degraded in 16
    ways. The files are the same every time.
    """
    try:
        from skimage import data
    except ImportError:
        raise UserError('scikit-image is missing; run: bash scripts/setup.sh demo') from None
    train, *pairs = (Path(root, name) for name in ('train/GT', 'val/GT', 'val/LQ', 'test/LQ'))
    crops = {
        name: [train / f'{name}_{index:02d}.png' for index in range(CROPS_PER_PHOTOGRAPH)]
        for name in PHOTOGRAPHS
    }
    portraits = [
        [folder / f'astronaut_{seed:02d}.png' for folder in pairs] for seed in range(PORTRAITS)
    ]
    targets = chain(*crops.values(), *portraits)
    with writing_results(targets, overwrite=overwrite, folders=[train, *pairs]):
        _write_crops(crops)
        portrait = data.astronaut()
        for seed, (gt, *lqs) in enumerate(track(portraits, 'portrait')):
            write_png(gt, portrait)
            for path in lqs:
                write_png(path, degradation.degrade_by_seed(portrait, seed))


def _write_crops(crops: Mapping[str, Sequence[Path]]) -> None:
    from skimage import data

    rng = np.random.default_rng(0)
    for name, paths in track(crops.items(), 'photographs'):
        photograph = getattr(data, name)()
        if isinstance(photograph, tuple):  # a stereo pair and its disparity
            photograph = photograph[0]
        if photograph.ndim == 2:
            photograph = cv2.cvtColor(photograph, cv2.COLOR_GRAY2RGB)
        for path in paths:
            write_png(path, _crop(photograph, rng))


def _crop(photograph: Image8, rng: np.random.Generator) -> Image8:
    """A random 512x512 crop, as sharp as the photograph: shrunk if it is large, never enlarged.

    A short side below 512 pixels is continued by reflection.
    """
    short = min(photograph.shape[:2])
    if short > GT_SIZE:
        factor = rng.uniform(GT_SIZE / short, 1)
        size = [max(GT_SIZE, round(length * factor)) for length in photograph.shape[1::-1]]
        shrunk = cv2.resize(photograph, size, interpolation=cv2.INTER_AREA)
        photograph = np.asarray(shrunk, np.uint8)
    lacking = [max(0, GT_SIZE - length) for length in photograph.shape[:2]]
    photograph = np.pad(photograph, ((0, lacking[0]), (0, lacking[1]), (0, 0)), mode='reflect')
    top, left = (
        int(rng.integers(0, length - GT_SIZE, endpoint=True)) for length in photograph.shape[:2]
    )
    return photograph[top : top + GT_SIZE, left : left + GT_SIZE].copy()
