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
    check(canvas, sizes, qualities)


def check(canvas: np.ndarray, sizes: np.ndarray, qualities: np.ndarray) -> None:
    found = JPEG()(torch.from_numpy(canvas), *map(torch.from_numpy, (sizes, qualities))).numpy()
    for index, (size, quality) in enumerate(zip(sizes, qualities, strict=True)):
        image = canvas[index, :, :size, :size].transpose(1, 2, 0)
        expected = opencv(np.ascontiguousarray(image), quality)
        assert np.array_equal(found[index, :, :size, :size].transpose(1, 2, 0), expected), (
            size,
            quality,
        )


def waves(zoom: int) -> np.ndarray:
    """Black and white where each of a block's 64 cosines is below and above 0: (8z, 8z) blocks."""
    x = np.cos(np.outer(np.arange(8), 2 * np.arange(8) + 1) * np.pi / 16) > 0
    blocks = x[:, :, None, None] == x
    return np.kron(blocks.transpose(0, 2, 1, 3).reshape(64, 64), np.ones((zoom, zoom), bool))


def extremes() -> dict[str, np.ndarray]:
    """Images (3, 128, 128) of only 0 and 255."""
    rng = np.random.default_rng(0)
    y, x = np.indices((128, 128))
    places, colours = np.tile(waves(1), (2, 2)), np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], bool)
    return {
        'noise': rng.random((3, 128, 128)) < 0.5,
        'grey noise': np.tile(rng.random((128, 128)) < 0.5, (3, 1, 1)),
        'coloured tiles': np.kron(rng.random((3, 8, 8)) < 0.5, np.ones((16, 16), bool)),
        'checkerboard': np.tile((x + y) % 2 > 0, (3, 1, 1)),
        'coloured checkerboard': (x // 2 + y // 2) % 2 == np.array([0, 1, 0])[:, None, None],
        'waves of luma': np.tile(places, (3, 1, 1)),
        'waves of blue': waves(2) == colours[0][:, None, None],
        'waves of green': waves(2) == colours[1][:, None, None],
        'waves of red': waves(2) == colours[2][:, None, None],
    }


@pytest.mark.parametrize('content', extremes())
def test_every_quality_of_extreme_images_is_the_encoders(content: str):
    qualities = np.arange(1, 101)
    image = np.where(extremes()[content], np.uint8(255), np.uint8(0))
    check(np.stack([image] * 100), np.full(100, 128), qualities)
