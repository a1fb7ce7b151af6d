"""Degrading by a seed."""

import numpy as np
from skimage import data

from facesr.degradation.settings import degrade_by_seed


def test_degradation_depends_only_on_its_seed(degradation):
    portrait = data.astronaut()
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    first = degrade_by_seed(portrait, degradation, seed=3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.testing.assert_array_equal(first, degrade_by_seed(portrait, degradation, seed=3))
    assert first.shape == (128, 128, 3) and first.dtype == np.uint8
    assert (first != degrade_by_seed(portrait, degradation, seed=4)).any()
