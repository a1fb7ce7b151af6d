from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from numpy.random import RandomState

from facesr.data.dataset import BlindFaceDataset
from facesr.data.loader import SampleKey, SeededDataset
from facesr.degradation.augment import Augmentation
from facesr.errors import UserError
from facesr.images import read_image

GT = {'gt': 'train/GT'}


@pytest.fixture
def face(faces: Path):
    return read_image(faces / 'train/GT/00000.png')


@pytest.fixture
def other(faces: Path):
    return read_image(faces / 'train/GT/00001.png')


def vary(image, other=None, seed=0, **options):
    return Augmentation(**options).apply(image, RandomState(seed), lambda: other)


def test_a_zoom_shows_the_middle_larger(face):
    twice = vary(face, zoom=(2, 2))
    # Every other pixel of the enlarged middle half is near one of the original.
    middle = face[128:384, 128:384].astype(float)
    near = np.abs(twice[::2, ::2].astype(float) - middle).mean()
    assert near < 6 < np.abs(face[::2, ::2].astype(float) - middle).mean()


def test_a_shift_stays_within_its_range_and_mirrors_the_border(face):
    moved = vary(face, seed=1, shift=8).astype(float)
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


def test_an_angle_turns_about_the_middle_by_no_more_than_it_says():
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None], (256, 1, 3))  # its value is its column
    for seed in range(3):
        turned = vary(ramp, seed=seed, angle=10)[64:-64, 64:-64, 0].astype(float)
        down, across = (np.diff(turned, axis=axis).mean() for axis in (0, 1))
        assert 0.5 < abs(np.degrees(np.arctan2(down, across))) <= 10
        assert turned.mean() == pytest.approx(127.5, abs=1)


def test_gamma_keeps_black_and_white_and_brightens_between():
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None], (16, 1, 3))
    brighter = vary(ramp, gamma=(0.5, 0.5))[0, :, 0]
    assert brighter[0] == 0 and brighter[255] == 255 and brighter[64] == 128
    assert (np.diff(brighter.astype(int)) >= 0).all()


def test_a_warp_moves_parts_differently_and_no_further_than_it_says(face):
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None], (256, 1, 3))  # its value is its column
    moves = vary(ramp, warp=8).astype(int)[32:-32, 32:-32] - ramp[32:-32, 32:-32]
    assert np.abs(moves).max() <= 10  # the curve between the points goes a little further
    assert np.ptp(moves) > 4 and np.abs(np.diff(moves[..., 0], axis=0)).max() <= 1


def test_a_mixed_face_is_one_on_this_side_of_a_line_and_the_other_beyond(face, other):
    mixed = vary(face, other, mix=1)
    first, second = (mixed == face).all(2), (mixed == other).all(2)
    assert first.mean() > 0.2 and second.mean() > 0.2 and (first | second).mean() > 0.9
    assert (vary(face, mix=0) == face).all()


def test_a_sample_depends_on_its_number_and_is_degraded_after_the_change(faces: Path, degradation):
    options = dict(
        angle=3, zoom=(0.95, 1.05), shift=8, gamma=(0.85, 1.2), tint=(0.9, 1.1), warp=8, mix=1
    )
    plain, changed, again = (
        SeededDataset(
            BlindFaceDataset(str(faces), GT, asdict(degradation), augmentation=one, flip_ratio=0)
        )
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
        (dict(zoom=(0, 1)), r'augmentation\.zoom=\(0, 1\): \(least, most\), from 0\.5 to 2,'),
        (dict(gamma=(2, 1)), r'augmentation\.gamma=\(2, 1\): \(least, most\), from 0\.1 to 10,'),
        (dict(mix=2), r'augmentation\.mix=2: from 0 to 1 expected'),
        (dict(shift='far'), r"augmentation\.shift='far': at least 0 expected"),
    ],
)
def test_what_is_out_of_range_is_named(options, message: str):
    with pytest.raises(UserError, match=message):
        Augmentation(**options)
