"""The complete degradation: of a batch as of single images, with the same values."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState
from skimage import data

from benchmarks.degradation import degrade_both, measure_agreement, without_noise
from facesr.degradation.base import Degradation
from facesr.errors import UserError

COUNT = 12


def test_a_batch_has_the_levels_of_single_images(degradation: Degradation):
    portrait = data.astronaut()
    degradation = without_noise(degradation)  # its numbers differ
    images = [np.roll(portrait, 37 * index, axis=1) for index in range(COUNT)]
    expected, found = degrade_both(degradation, images)
    assert measure_agreement(expected, found)['psnr'] > 75
    # A level before the encoder can move a coefficient by a step of its table.
    assert (np.abs(found.astype(int) - expected) > 4).mean() < 1e-3


@pytest.mark.parametrize('lq_size', [64, 256, 512])
def test_any_scale(degradation: Degradation, lq_size: int):
    degradation = replace(without_noise(degradation), lq_size=lq_size)
    expected, found = degrade_both(degradation, [data.astronaut()])
    assert found.shape == (1, lq_size, lq_size, 3)
    assert measure_agreement(expected, found)['psnr'] > 60


def test_values_fill_their_ranges_evenly(degradation: Degradation):
    rng = RandomState(0)
    drawn = [degradation.sample(rng) for _ in range(4000)]
    for name, (least, most) in {
        'noise': degradation.noise_sigma,
        'quality': degradation.jpeg_quality,
        'length': (32, 512),
        'sigma_x': degradation.blur_sigma,
    }.items():
        values = np.array([getattr(one, name) for one in drawn])
        assert least <= values.min() < values.max() <= most
        assert values.mean() == pytest.approx((least + most) / 2, abs=0.02 * (most - least))
        assert values.std() == pytest.approx((most - least) / 12**0.5, rel=0.04)
    assert np.mean([one.sigma_x == one.sigma_y for one in drawn]) == pytest.approx(0.5, abs=0.03)
    for name in ('shrink', 'enlarge'):
        counts = np.bincount([getattr(one, name) for one in drawn])
        assert counts / len(drawn) == pytest.approx([1 / 3] * 3, abs=0.03)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'gt_size': 500}, 'gt_size=500: a multiple of 16'),
        ({'lq_size': 200}, 'lq_size=200: a divisor of 512'),
        ({'kernel_size': 7}, 'kernel_size=7: odd, from 13'),
        ({'isotropic_prob': 2}, 'isotropic_prob=2: from 0 to 1'),
        ({'blur_sigma': (0, 5)}, r'blur_sigma=\(0, 5\): \(least, most\), at least 0.01,'),
        ({'resize_scale': (0.009, 1)}, r'resize_scale=.*: \(least, most\), from 0.009766 to 1,'),
        ({'resize_methods': ['lanczos']}, "resize_methods=.*: some of .*'area'"),
        ({'resize_methods': None}, "resize_methods=None: some of .*'area'"),
        ({'noise_sigma': (3, 2)}, r'noise_sigma=\(3, 2\): \(least, most\), at least 0,'),
        ({'noise_sigma': 3}, r'noise_sigma=3: \(least, most\), at least 0,'),
    ],
)
def test_settings_out_of_range_are_refused_by_name(degradation, changes: dict, message: str):
    with pytest.raises(UserError, match=f'^degradation.{message}.* expected$'):
        replace(degradation, **changes)
