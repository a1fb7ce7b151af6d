"""The whole chain against MMagic's transforms, from the same random numbers."""

import copy
import re

import numpy as np
import pytest
import torch
from mmagic.registry import TRANSFORMS
from mmengine.dataset import Compose
from numpy.random import RandomState
from skimage import data
from torch.utils._python_dispatch import TorchDispatchMode

from facesr.degradation.chain import BatchDegradation
from facesr.degradation.draws import Draws, draw
from facesr.errors import UserError

COUNT = 12


@pytest.fixture(scope='module')
def batch_degradation(degradation: list[dict]) -> BatchDegradation:
    return BatchDegradation(degradation)


def degrade_both(
    chain: list[dict], batch: BatchDegradation, images: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """MMagic's results and ours: (N, 128, 128, 3) uint8 each."""
    stock = Compose([TRANSFORMS.build(copy.deepcopy(step)) for step in chain])
    noise = torch.zeros(len(images), 3, 512, 512)
    draws, expected = [], []
    for index, image in enumerate(images):
        np.random.seed(index)
        expected.append(stock({'img': image.copy()})['img'])
        rng = RandomState(index)

        def add_noise(rng: RandomState, length: int, index: int = index) -> None:
            levels = np.float32(rng.randn(length, length, 3)).transpose(2, 0, 1)
            noise[index, :, :length, :length] = torch.from_numpy(levels)

        draws.append(draw(chain, rng, 512, add_noise))
        assert rng.random_sample() == np.random.random_sample(), 'as many numbers were drawn'
    gt = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    found = batch(gt, Draws.to_device(draws, 'cpu'), noise)
    return np.stack(expected), found.permute(0, 2, 3, 1).numpy()


def test_is_the_stock_chain(degradation: list[dict], batch_degradation: BatchDegradation):
    portrait = data.astronaut()
    images = [np.roll(portrait, 37 * index, axis=1) for index in range(COUNT)]
    expected, found = degrade_both(degradation, batch_degradation, images)
    difference = found.astype(int) - expected
    mse = np.square(difference).mean((1, 2, 3))
    psnr = 20 * np.log10(255 / np.sqrt(np.maximum(mse, 1e-5)))  # 98 dB for equal images
    assert psnr.mean() > 75
    # A level before the encoder can move a coefficient by a step of its table.
    assert (np.abs(difference) > 4).mean() < 1e-3


def test_launches_do_not_grow_with_the_batch(batch_degradation: BatchDegradation):
    class Count(TorchDispatchMode):
        views = re.compile(
            'aten::(_unsafe_view|alias|as_strided|detach|expand|permute|reshape|select|slice|'
            r'squeeze|t|transpose|unbind|unsqueeze|view)(\.|$)'
        )

        def __init__(self) -> None:
            super().__init__()
            self.launches = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.launches += not self.views.match(func.name())
            return func(*args, **(kwargs or {}))

    launches = []
    for count in (1, 5):
        draws = Draws.to_device(batch_degradation.draw(RandomState(0), count), 'cpu')
        gt = torch.zeros(count, 3, 512, 512, dtype=torch.uint8)
        with Count() as counter:
            batch_degradation(gt, draws, torch.zeros(gt.shape))
        launches.append(counter.launches)
    assert launches[0] == launches[1] < 200


@pytest.mark.parametrize(
    ('step', 'changes', 'message'),
    [
        (0, {'kernel_list': ['iso', 'sinc'], 'kernel_prob': [0.5, 0.5]}, 'RandomBlur.kernel_list'),
        (0, {'kernel_size': [7]}, 'RandomBlur.kernel_size'),
        (1, {'resize_mode_prob': [0.5, 0.5, 0]}, 'RandomResize.resize_mode_prob'),
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
