"""LPIPS against the numbers of the authors' package, ``lpips`` 0.1.4, with the same weights."""

import numpy as np
import pytest
import torch
from skimage import color, data
from torch import Tensor

from facesr.restoring.metrics import LEAST_SIDE, LPIPS
from facesr.restoring.score import Scoring, score_image

PHOTOGRAPHS = (
    *('astronaut', 'brick', 'camera', 'chelsea', 'coffee'),
    *('coins', 'grass', 'gravel', 'moon', 'rocket'),
)
KNOWN = {
    'alex': [
        *(0.296572, 0.294482, 0.317035, 0.405966, 0.394011),
        *(0.437401, 0.410707, 0.409649, 0.208365, 0.059285),
    ],
    'vgg': [
        *(0.489444, 0.350707, 0.426402, 0.593009, 0.481658),
        *(0.566737, 0.675544, 0.589762, 0.289737, 0.188093),
    ],
}


pytestmark = pytest.mark.usefixtures('lpips_weights')


@pytest.fixture(scope='module')
def pairs() -> tuple[Tensor, Tensor]:
    """Photographs with pixels of 4x4, and their truths: (10, 3, 96, 128) uint8."""
    truths = []
    for name in PHOTOGRAPHS:
        image = getattr(data, name)()[60:156, 80:208]
        truths.append(image if image.ndim == 3 else color.gray2rgb(image))
    truths = np.stack(truths).transpose(0, 3, 1, 2)
    images = truths[:, :, ::4, ::4].repeat(4, 2).repeat(4, 3)
    return torch.from_numpy(images), torch.from_numpy(truths)


@pytest.mark.parametrize('net', ['alex', 'vgg'])
def test_ten_photographs_have_the_packages_scores(net: str, pairs: tuple[Tensor, Tensor]):
    found = LPIPS(net)(*pairs)
    assert found.tolist() == pytest.approx(KNOWN[net], abs=1e-5)


@pytest.mark.parametrize('net', ['alex', 'vgg'])
def test_an_image_that_is_too_small_has_no_score(net: str):
    lpips, black = LPIPS(net), np.zeros((40, 40, 3), np.uint8)
    for side, has_score in ((LEAST_SIDE[net], True), (LEAST_SIDE[net] - 1, False)):
        score = score_image('', black[:side] + 9, black[:side], Scoring(lpips))
        assert (getattr(score, f'lpips_{net}') > 0) == has_score
