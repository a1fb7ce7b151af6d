"""A data set for the demonstration, made from the photographs in scikit-image's wheel.

The astronaut's portrait (NASA, public domain) is held out for the demo to restore.
"""

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

    Training images are 14 photographs, of which a run takes random parts; validation is one
    portrait, degraded in 16 ways. The files are the same every time.
    """
    try:
        from skimage import data
    except ImportError:
        raise UserError('scikit-image is missing; run: bash scripts/setup.sh demo') from None
    train, *pairs = (Path(root, name) for name in ('train/GT', 'val/GT', 'val/LQ', 'test/LQ'))
    photographs = {name: train / f'{name}.png' for name in PHOTOGRAPHS}
    portraits = [
        [folder / f'astronaut_{seed:02d}.png' for folder in pairs] for seed in range(PORTRAITS)
    ]
    targets = chain(photographs.values(), *portraits)
    with writing_results(targets, overwrite=overwrite, folders=[train, *pairs]):
        for name, path in track(photographs.items(), 'photographs'):
            write_png(path, _pad(getattr(data, name)()))
        portrait = data.astronaut()
        for seed, (gt, *lqs) in enumerate(track(portraits, 'portrait')):
            write_png(gt, portrait)
            for path in lqs:
                write_png(path, degradation.degrade_by_seed(portrait, seed))


def _pad(photograph: Image8 | tuple[Image8, ...]) -> Image8:
    """In RGB, and a side below 512 pixels continued by reflection."""
    if isinstance(photograph, tuple):  # a stereo pair and its disparity
        photograph = photograph[0]
    if photograph.ndim == 2:
        photograph = np.asarray(cv2.cvtColor(photograph, cv2.COLOR_GRAY2RGB), np.uint8)
    lacking = [(0, max(0, GT_SIZE - side)) for side in photograph.shape[:2]]
    return np.pad(photograph, (*lacking, (0, 0)), mode='reflect')
