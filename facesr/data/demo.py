"""A data set for the demonstration, made from the photographs in scikit-image's wheel.

The astronaut's portrait (NASA, public domain) is held out: it is what the demo restores.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmagic.registry import TRANSFORMS
from mmengine.dataset import Compose
from rich.progress import track

from ..errors import UserError
from .images import Image8, write_png

GT_SIZE = 512
CROPS_PER_PHOTOGRAPH = 12
VALIDATION_DRAWS = 16


def make_demo_set(root: str | Path, degradation: Sequence[dict[str, Any]]) -> None:
    """Write ``train/GT``, ``val/GT``, ``val/LQ`` and ``test/LQ`` below a folder.

    Training images are 512x512 crops of six photographs at several sizes; validation is one
    portrait, degraded by 16 fixed draws. The same files come out every time.

    Args:
        root: the data set's folder.
        degradation: the chain, as declared in ``configs/_base_/degradation.py``.

    Raises:
        UserError: scikit-image is not installed.
    """
    try:
        from skimage import data
    except ImportError:
        raise UserError('scikit-image is missing; run: bash scripts/setup.sh demo') from None
    root = Path(root)
    sources = ('chelsea', 'coffee', 'hubble_deep_field', 'immunohistochemistry', 'retina', 'rocket')
    rng = np.random.default_rng(0)
    for name in track(sources, 'photographs'):
        photograph = getattr(data, name)()
        for index in range(CROPS_PER_PHOTOGRAPH):
            write_png(root / 'train/GT' / f'{name}_{index:02d}.png', _crop(photograph, rng))
    portrait = data.astronaut()
    for draw in track(range(VALIDATION_DRAWS), 'portrait'):
        lq = degrade(portrait, degradation, seed=draw)
        write_png(root / 'val/GT' / f'astronaut_{draw:02d}.png', portrait)
        write_png(root / 'val/LQ' / f'astronaut_{draw:02d}.png', lq)
        write_png(root / 'test/LQ' / f'astronaut_{draw:02d}.png', lq)


def degrade(gt: Image8, degradation: Sequence[dict[str, Any]], seed: int) -> Image8:
    """Degrade one image by the stock chain with draws of its own.

    Args:
        gt: (512, 512, 3) uint8 RGB.
        degradation: transform configs that work on the key ``img``.
        seed: decides every draw; the global generators are left as they were.

    Returns:
        (128, 128, 3) uint8 RGB.
    """
    states = random.getstate(), np.random.get_state()
    try:
        random.seed(seed)
        np.random.seed(seed)
        chain = Compose([TRANSFORMS.build(transform) for transform in degradation])
        lq: Image8 = chain({'img': gt.copy()})['img']
        return lq
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _crop(photograph: Image8, rng: np.random.Generator) -> Image8:
    """A random square of a photograph, at least half its short side, scaled to 512 pixels."""
    short = min(photograph.shape[:2])
    side = int(rng.integers(short // 2, short, endpoint=True))
    top, left = (
        int(rng.integers(0, length - side, endpoint=True)) for length in photograph.shape[:2]
    )
    square = photograph[top : top + side, left : left + side]
    method = cv2.INTER_AREA if side > GT_SIZE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (GT_SIZE, GT_SIZE), interpolation=method), np.uint8)
