from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from numpy.random import RandomState

from facesr.data.dataset import BlindFaceDataset
from facesr.data.loader import SampleKey
from facesr.degradation.augment import Augmentation
from facesr.errors import UserError
from facesr.images import read_image

GT = {'gt': 'train/GT'}


@pytest.fixture
def face(faces: Path):
    return read_image(faces / 'train/GT/00000.png')


def test_no_change_leaves_every_pixel(face):
    assert (Augmentation().apply(face, RandomState(0)) == face).all()


def test_a_zoom_shows_the_middle_larger(face):
    twice = Augmentation(zoom=(2, 2)).apply(face, RandomState(0))
    # Every other pixel of the enlarged middle half is near one of the original.
    middle = face[128:384, 128:384].astype(float)
    near = np.abs(twice[::2, ::2].astype(float) - middle).mean()
    assert near < 6 < np.abs(face[::2, ::2].astype(float) - middle).mean()


def test_a_shift_stays_within_its_range_and_mirrors_the_border(face):
    moved = Augmentation(shift=8).apply(face, RandomState(1)).astype(float)
    inner = moved[16:-16, 16:-16]
    errors = {
        (down, across): np.abs(
            inner[::4] - face[16 - down : 496 - down : 4, 16 - across : 496 - across]
        ).mean()
        for down in range(-9, 10)
        for across in range(-9, 10)
    }
    best = min(errors, key=errors.__getitem__)
    assert best != (0, 0) and max(map(abs, best)) <= 8 and errors[best] < 4
    assert moved.min(axis=2)[[0, -1]].mean() > 5  # no black border


def test_gamma_keeps_black_and_white_and_brightens_between():
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None], (16, 1, 3))
    brighter = Augmentation(gamma=(0.5, 0.5)).apply(ramp, RandomState(0))[0, :, 0]
    assert brighter[0] == 0 and brighter[255] == 255 and brighter[64] == 128
    assert (np.diff(brighter.astype(int)) >= 0).all()


def test_a_sample_depends_on_its_number_and_is_degraded_after_the_change(faces: Path, degradation):
    options = dict(angle=3, zoom=(0.95, 1.05), shift=8, gamma=(0.85, 1.2))
    plain, changed, again = (
        BlindFaceDataset(str(faces), GT, asdict(degradation), augmentation=one, flip_ratio=0)
        for one in (None, options, options)
    )
    key = SampleKey(0, 0, 7)
    first, second = changed[key], again[key]
    gt = first['data_samples'].gt_img
    assert (gt == second['data_samples'].gt_img).all()
    assert (first['inputs'] == second['inputs']).all()
    assert (gt != plain[key]['data_samples'].gt_img).any()
    assert (gt != changed[SampleKey(0, 0, 8)]['data_samples'].gt_img).any()
    lq, same, other = (
        image.float().reshape(3, 32, image.shape[1] // 32, 32, -1).mean((2, 4))
        for image in (first['inputs'], gt, plain[key]['data_samples'].gt_img)
    )
    assert (lq - same).abs().mean() < 0.7 * (lq - other).abs().mean()  # the pair shows the same


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(zoom=(0, 1)), r'augmentation\.zoom=\(0, 1\): \(least, most\), from 0\.5 to 2'),
        (dict(gamma=(2, 1)), r'augmentation\.gamma=\(2, 1\): \(least, most\), from 0\.1 to 10'),
        (dict(shift=-1), r'augmentation\.shift=-1: at least 0 expected'),
        (dict(angle=200), r'augmentation\.angle=200: from 0 to 180 expected'),
    ],
)
def test_what_is_out_of_range_is_named(options, message: str):
    with pytest.raises(UserError, match=message):
        Augmentation(**options)
