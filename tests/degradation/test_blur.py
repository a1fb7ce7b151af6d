import cv2
import numpy as np
import pytest
import torch
from mmagic.datasets.transforms.blur_kernels import (
    bivariate_gaussian,
    random_circular_lowpass_kernel,
)
from skimage import data

from facesr.degradation.blur import BatchBlur

SHAPES = [(0.2, 0.2, 0), (0.2, 5, 0.7), (5, 5, 0), (1.3, 2.7, -3.1), (4.9, 0.4, 2.2)]


def check(found: np.ndarray, image: np.ndarray, kernel: np.ndarray) -> None:
    difference = np.abs(found.transpose(1, 2, 0) - cv2.filter2D(image, -1, kernel))
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


def test_is_opencvs_to_a_level():
    portrait = data.astronaut()
    images = torch.from_numpy(portrait.transpose(2, 0, 1)).repeat(len(SHAPES), 1, 1, 1)
    kernels = [bivariate_gaussian(41, *shape, is_isotropic=False) for shape in SHAPES]
    found = BatchBlur(512, 41)(images, torch.from_numpy(np.float32(kernels)))
    for image, kernel in zip(found, kernels, strict=True):
        check(image.numpy(), portrait, kernel)


@pytest.mark.parametrize('lengths', [(160, 99, 12, 5), (31, 32, 33, 160)])
def test_images_of_any_length_and_kernels_of_any_size(lengths: tuple[int, ...]):
    portrait, side = data.astronaut(), 160
    canvas = np.full((len(lengths), 3, side, side), 77, np.uint8)  # beyond an image: anything
    kernels = np.zeros((len(lengths), 21, 21), np.float32)
    images, own = [], []
    for index, length in enumerate(lengths):
        size = (21, 13, 7, 1)[index]
        images.append(cv2.resize(portrait, (length, length), interpolation=cv2.INTER_AREA))
        own.append(
            random_circular_lowpass_kernel([1.5, 1.5], size) if size > 1 else np.ones((1, 1))
        )
        canvas[index, :, :length, :length] = images[-1].transpose(2, 0, 1)
        border = (21 - size) // 2
        kernels[index, border : 21 - border, border : 21 - border] = own[-1]
    blur = BatchBlur(side, 21)
    found = blur(*map(torch.from_numpy, (canvas, kernels)), torch.tensor(lengths)).numpy()
    for result, image, kernel, length in zip(found, images, own, lengths, strict=True):
        check(result[:, :length, :length], image, kernel)
