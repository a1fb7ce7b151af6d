import cv2
import numpy as np
import torch
from mmagic.datasets.transforms.blur_kernels import bivariate_gaussian
from skimage import data

from facesr.degradation.blur import BatchBlur, inverse_covariance

SIGMAS = np.array([[0.2, 0.2], [0.2, 5.0], [5.0, 5.0], [1.3, 2.7], [4.9, 0.4]])
ANGLES = np.array([0.0, 0.7, 0.0, -3.1, 2.2])


def test_is_opencvs_to_a_level():
    portrait = data.astronaut()
    images = torch.from_numpy(portrait.transpose(2, 0, 1)).repeat(len(SIGMAS), 1, 1, 1)
    found = BatchBlur(512, 41)(images, torch.from_numpy(inverse_covariance(*SIGMAS.T, ANGLES)))
    for image, (sigma_x, sigma_y), angle in zip(found, SIGMAS, ANGLES, strict=True):
        stock = bivariate_gaussian(41, sigma_x, sigma_y, angle, is_isotropic=False)
        difference = np.abs(image.numpy().transpose(1, 2, 0) - cv2.filter2D(portrait, -1, stock))
        assert difference.max() <= 1 and (difference > 0).mean() < 1e-4
