"""Against ``cv2.resize`` on 8-bit images."""

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from torch.utils.data import default_collate

from facesr.degradation.resize import METHODS, BatchResize, opencv_taps, pytorch_taps

SIDE = 256
INTERPOLATION = {
    'bilinear': cv2.INTER_LINEAR,
    'area': cv2.INTER_AREA,
    'bicubic': cv2.INTER_CUBIC,
}
EDGES = [16, 17, 63, 64, 85, 86, 127, 128, 129, 200, 243, 255, 256]
#: Lengths before and after: from and to the canvas's side, and any.
LENGTHS = [
    *((SIDE, length) for length in EDGES),
    *((length, SIDE) for length in EDGES),
    *np.random.default_rng(0).integers(16, SIDE + 1, (20, 2)).tolist(),
]


@pytest.mark.parametrize('method', METHODS)
def test_is_opencvs_to_a_level(method: str):
    portrait = data.astronaut()
    canvas = np.full((len(LENGTHS), SIDE, 3, SIDE), 77, np.float32)  # beyond an image: anything
    expected = []
    for index, (source, target) in enumerate(LENGTHS):
        image = cv2.resize(portrait, (source, source), interpolation=cv2.INTER_AREA)
        canvas[index, :source, :, :source] = image.transpose(0, 2, 1)
        expected.append(cv2.resize(image, (target, target), interpolation=INTERPOLATION[method]))
    resize = BatchResize(SIDE, most_shrunk=16, fixed=True)
    taps = [resize.pad(opencv_taps(*lengths, METHODS.index(method))) for lengths in LENGTHS]
    found = resize(torch.from_numpy(canvas), default_collate(taps)).numpy()
    assert found.min() >= 0 and found.max() <= 255
    for image, reference, lengths in zip(found, expected, LENGTHS, strict=True):
        source, target = lengths
        difference = np.abs(image[:target, :, :target].transpose(0, 2, 1) - reference)
        if method == 'bilinear' or (method == 'area' and target > source):  # integers throughout
            assert not difference.any(), lengths
        else:  # sums of float32 in another order
            assert difference.max() <= 1 and (difference > 0).mean() < 1e-3, lengths


def test_images_of_a_batch_do_not_touch_each_other():
    rng = np.random.default_rng(0)
    canvas = torch.from_numpy(rng.integers(0, 256, (6, SIDE, 3, SIDE))).float()
    sources, targets = [16, 99, 256, 128, 31, 250], [9, 9, 9, 300, 300, 300]
    resize = BatchResize(320, most_shrunk=29, fixed=True)
    taps = [
        resize.pad(opencv_taps(*each)) for each in zip(sources, targets, [0, 1, 2] * 2, strict=True)
    ]
    together = resize(canvas, default_collate(taps))
    for image, each, result in zip(canvas, taps, together, strict=True):
        assert torch.equal(result, resize(image[None], default_collate([each]))[0])


@pytest.mark.parametrize('method', METHODS)
def test_is_pytorchs_to_a_level(method: str):
    portrait = torch.from_numpy(data.astronaut()).permute(2, 0, 1).float()
    resize = BatchResize(768, most_shrunk=21, fixed=False)
    for source, scale in [
        (512, 0.2043),
        (512, 0.81),
        (512, 1.4999),
        (512, 1),
        (99, 1.3),
        (512, 0.05),
    ]:
        image = portrait[:, :source, :source]
        expected = torch.nn.functional.interpolate(image[None], scale_factor=scale, mode=method)[0]
        length = expected.shape[-1]
        taps = pytorch_taps(source, length, METHODS.index(method), 1 / scale)
        found = resize(image[None].transpose(1, 2), default_collate([resize.pad(taps)]))[0]
        difference = found[:length, :, :length].transpose(0, 1) - expected.round().clamp(0, 255)
        assert difference.abs().max() <= 1, scale  # halves may be rounded either way
