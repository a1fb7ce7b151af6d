"""The whole chain against MMagic's transforms, from the same random numbers."""

import copy

import numpy as np
import pytest
from mmagic.registry import TRANSFORMS
from mmengine.dataset import Compose
from numpy.random import RandomState
from skimage import data

from facesr.benchmark.degradation import compare, degrade_both
from facesr.degradation.chain import BatchDegradation
from facesr.degradation.draws import draw
from facesr.errors import UserError

COUNT = 12


@pytest.fixture(scope='module')
def batch_degradation(degradation: list[dict]) -> BatchDegradation:
    return BatchDegradation(degradation)


def test_is_the_stock_chain(batch_degradation: BatchDegradation):
    portrait = data.astronaut()
    images = [np.roll(portrait, 37 * index, axis=1) for index in range(COUNT)]
    expected, found = degrade_both(batch_degradation, images)
    assert compare(expected, found).psnr > 75
    # A level before the encoder can move a coefficient by a step of its table.
    assert (np.abs(found.astype(int) - expected) > 4).mean() < 1e-3


def test_draws_as_many_numbers_as_the_stock_chain(degradation: list[dict]):
    stock = Compose([TRANSFORMS.build(copy.deepcopy(step)) for step in degradation])
    for seed in range(5):
        np.random.seed(seed)
        stock({'img': data.astronaut()})
        rng = RandomState(seed)
        draw(degradation, rng, 512, lambda rng, length: rng.randn(length, length, 3))
        assert rng.random_sample() == np.random.random_sample()


@pytest.mark.parametrize(
    ('step', 'changes', 'message'),
    [
        (0, {'kernel_list': ['iso', 'sinc'], 'kernel_prob': [0.5, 0.5]}, 'RandomBlur.kernel_list'),
        (0, {'kernel_size': [7]}, 'RandomBlur.kernel_size'),
        (1, {'resize_mode_prob': [0.5, 0.5, 0]}, 'RandomResize.resize_mode_prob'),
        (1, {'resize_scale': [0.009, 1]}, 'RandomResize.resize_scale'),
        (2, {'noise_type': ['poisson']}, 'RandomNoise.noise_type'),
        (2, {'gaussian_gray_noise_prob': 0.4}, 'RandomNoise.gaussian_gray_noise_prob'),
        (3, {'prob': 0.5}, 'prob as it is cannot be done'),
        (5, {'resize_opt': ['bicubic']}, 'RandomResize.resize_opt, the last'),
    ],
)
def test_what_it_does_not_do_is_refused_by_name(degradation, step: int, changes, message: str):
    chain = copy.deepcopy(degradation)
    chain[step]['params'].update(changes)
    with pytest.raises(UserError, match=message):
        BatchDegradation(chain)
    with pytest.raises(UserError, match=r'RandomBlur, RandomResize, .* expected, not'):
        BatchDegradation(chain[1:])
