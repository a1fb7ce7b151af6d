"""Level for level against the encoder and decoder that MMagic's transform uses."""

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from facesr.degradation.jpeg import JPEG


def opencv(image: np.ndarray, quality: int) -> np.ndarray:
    _, encoded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return cv2.imdecode(encoded, 1)


@pytest.mark.parametrize('content', ['portrait', 'noisy', 'random'])
def test_every_size_and_quality_is_the_encoders(content: str):
    rng = np.random.default_rng(0)
    sizes = np.array([256, 255, 241, 240, 33, 32, 1, 2, 15, 100, *rng.integers(16, 256, 14)])
    qualities = np.concatenate([[50, 95, 75, 1, 100, 49], rng.integers(50, 96, 18)])
    canvas = rng.integers(0, 256, (len(sizes), 3, 256, 256), np.uint8)  # beyond an edge: anything
    for index, size in enumerate(sizes):
        if content != 'random':
            image = cv2.resize(data.astronaut(), (size, size), interpolation=cv2.INTER_AREA)
            noise = rng.normal(0, 25 if content == 'noisy' else 0, image.shape)
            image = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
            canvas[index, :, :size, :size] = image.transpose(2, 0, 1)
    found = JPEG()(torch.from_numpy(canvas), *map(torch.from_numpy, (sizes, qualities))).numpy()
    for index, (size, quality) in enumerate(zip(sizes, qualities, strict=True)):
        image = canvas[index, :, :size, :size].transpose(1, 2, 0)
        expected = opencv(np.ascontiguousarray(image), quality)
        assert np.array_equal(found[index, :, :size, :size].transpose(1, 2, 0), expected), (
            size,
            quality,
        )
