"""Against ``cv2.resize`` on 8-bit images."""

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from facesr.degradation.resize import METHODS, BatchResize

SIDE, SIZES = 256, [16, 17, 63, 64, 85, 86, 127, 128, 129, 200, 243, 255, 256]
INTERPOLATION = {
    'bilinear': cv2.INTER_LINEAR,
    'area': cv2.INTER_AREA,
    'bicubic': cv2.INTER_CUBIC,
}


@pytest.fixture(scope='module')
def resizers() -> dict[bool, BatchResize]:
    return {enlarge: BatchResize(SIDE, 16, enlarge) for enlarge in (False, True)}


@pytest.mark.parametrize('enlarge', [False, True], ids=['shrink', 'enlarge'])
@pytest.mark.parametrize('method', METHODS)
def test_is_opencvs_to_a_level(resizers, method: str, enlarge: bool):
    portrait = cv2.resize(data.astronaut(), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    canvas = np.full((len(SIZES), SIDE, 3, SIDE), 77, np.float32)  # beyond an image: anything
    expected = []
    for index, size in enumerate(SIZES):
        image, target = portrait, size
        if enlarge:
            image = cv2.resize(portrait, (size, size), interpolation=cv2.INTER_AREA)
            target = SIDE
        length = image.shape[0]
        canvas[index, :length, :, :length] = image.transpose(0, 2, 1)
        expected.append(cv2.resize(image, (target, target), interpolation=INTERPOLATION[method]))
    methods = torch.full((len(SIZES),), METHODS.index(method))
    found = resizers[enlarge](torch.from_numpy(canvas), torch.tensor(SIZES), methods).numpy()
    for image, reference, size in zip(found, expected, SIZES, strict=True):
        length = reference.shape[0]
        difference = np.abs(image[:length, :, :length].transpose(0, 2, 1) - reference)
        if method == 'bilinear' or (method == 'area' and enlarge):  # integers throughout
            assert not difference.any(), size
        else:  # sums of float32 in another order
            assert difference.max() <= 1 and (difference > 0).mean() < 1e-4, size


def test_images_of_a_batch_do_not_touch_each_other(resizers):
    rng = np.random.default_rng(0)
    canvas = torch.from_numpy(rng.integers(0, 256, (6, SIDE, 3, SIDE))).float()
    sizes, methods = torch.tensor([16, 99, 256, 128, 31, 250]), torch.tensor([0, 1, 2, 1, 2, 0])
    together = resizers[True](canvas, sizes, methods)
    for index in range(6):
        one = slice(index, index + 1)
        assert torch.equal(together[one], resizers[True](canvas[one], sizes[one], methods[one]))
