"""The degradation on the device against MMagic's transforms: the same levels, and how fast."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from numpy.random import RandomState
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.measure import take_turns
from facesr.degradation.batch import BatchDegradation
from facesr.degradation.settings import DegradationSettings, degrade, normal_noise
from facesr.images import Image8, list_images, read_image
from facesr.nets import find_device
from facesr.restoring.metrics import psnr
from facesr.restoring.score import bicubic

EQUAL = 98.0  # dB, for images that are equal: one pixel off by a level has 95


@dataclass(frozen=True)
class Agreement:
    """How far two sets of 8-bit images are from each other.

    Attributes:
        psnr: mean over the images in dB; equal images count as 98 dB.
        equal: share of images that are equal.
        worst: largest difference of a pixel in levels, by image.
    """

    psnr: float
    equal: float
    worst: list[int]

    def __str__(self) -> str:
        above = sum(worst > 4 for worst in self.worst)
        return (
            f'{len(self.worst)} images: mean PSNR between the two {self.psnr:.2f} dB, '
            f'{self.equal:.1%} equal; largest difference {max(self.worst)} levels, '
            f'more than 4 in {above} images'
        )


def degrade_both(
    settings: DegradationSettings,
    images: Sequence[Image8],
    device: torch.device | str = 'cpu',
    seed: int = 0,
    own_noise: bool = False,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Degrade images by MMagic's transforms and on a device, with the same values.

    Args:
        settings: of the degradation.
        images: (S, S, 3) uint8 each.
        device: where the batch is degraded.
        seed: of the first image; the others count on.
        own_noise: PyTorch's normal numbers on the device, as in training, instead of the same.

    Returns:
        MMagic's results and the device's, (N, s, s, 3) uint8 each.
    """
    side = settings.gt_size
    noise = torch.randn(len(images), 3, side, side, generator=torch.Generator().manual_seed(seed))
    rows, expected = [], []
    for index, image in enumerate(images):
        values = settings.sample(RandomState(seed + index))
        expected.append(degrade(image, settings, values, seed + index))
        rows.append(values.row())
        if not own_noise:
            levels = torch.from_numpy(normal_noise(seed + index, values.length))
            noise[index, :, : values.length, : values.length] = levels.permute(2, 0, 1)
    gt = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(device)
    batch = BatchDegradation(settings).to(device)
    found = batch(gt, torch.tensor(rows, dtype=torch.float64, device=device), noise.to(device))
    return np.stack(expected), found.permute(0, 2, 3, 1).cpu().numpy()


def compare(expected: NDArray[np.uint8], found: NDArray[np.uint8]) -> Agreement:
    """Compare two sets of images, (N, H, W, 3) uint8."""
    difference = np.abs(found.astype(int) - expected)
    levels = psnr(torch.from_numpy(expected), torch.from_numpy(found)).clamp(max=EQUAL)
    worst = difference.max((1, 2, 3))
    return Agreement(levels.mean().item(), float((worst == 0).mean()), worst.tolist())


def check_levels(config: Config, images: int, device: str | None = None) -> Agreement:
    """Compare the two ways over a config's training images, from the same random numbers.

    Args:
        config: a training config; its chain and its training images are taken.
        images: how many.
        device: where batches are degraded; None takes a CUDA GPU if there is one.
    """
    pairs = [pair for _, *pair in _degrade_images(config, images, device, own_noise=False)]
    expected, found = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return compare(expected, found)


def check_difficulty(config: Config, images: int, device: str | None = None) -> tuple[float, float]:
    """Mean PSNR of bicubic, of MMagic's images and of the device's, each with noise of its own.

    Args: as :func:`check_levels`.

    Returns:
        The two means in dB.
    """
    scores = []
    for faces, *sides in _degrade_images(config, images, device, own_noise=True):
        enlarged = [[bicubic(lq, *faces.shape[1:3]) for lq in side] for side in sides]
        truths = torch.from_numpy(faces)
        scores.append([psnr(torch.from_numpy(np.stack(side)), truths) for side in enlarged])
    stock, ours = (torch.cat(side).mean().item() for side in zip(*scores, strict=True))
    return stock, ours


def _degrade_images(
    config: Config, images: int, device: str | None, own_noise: bool
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]]:
    """Batches of ground truth, MMagic's results and the device's."""
    place = find_device(device)
    paths = _image_paths(config)[:images]
    size = config.train_dataloader.batch_size
    for first in track(range(0, len(paths), size), 'comparing', transient=True):
        faces = [read_image(path) for path in paths[first : first + size]]
        yield np.stack(faces), *degrade_both(_settings(config), faces, place, first, own_noise)


def time_both(config: Config, rounds: int, device: str | None = None) -> dict[str, list[float]]:
    """Seconds per image: MMagic's transforms on one core, and one batch on a device.

    Args:
        config: a training config; its chain and its first batch of training images are taken.
        rounds: how often each way is measured.
        device: as in :func:`check_levels`.
    """
    place = find_device(device)
    settings = _settings(config)
    batch = BatchDegradation(settings).to(place)
    size = config.train_dataloader.batch_size
    images = [read_image(path) for path in _image_paths(config)[:size]]
    gt = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(place)
    cv2.setNumThreads(0)  # as in a loader's process

    def by_transforms() -> float:
        start = time.perf_counter()
        for seed, image in enumerate(images):
            degrade(image, settings, settings.sample(RandomState(seed)), seed)
        return (time.perf_counter() - start) / len(images)

    def on_device() -> float:
        start = time.perf_counter()
        rows = [settings.sample(RandomState(seed)).row() for seed in range(len(images))]
        values = torch.tensor(rows, dtype=torch.float64).to(place)
        batch(gt, values, torch.randn(gt.shape, device=place))
        if place.type == 'cuda':
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / len(images)

    return take_turns({"MMagic's transforms": by_transforms, f'on {place}': on_device}, rounds)


def _settings(config: Config) -> DegradationSettings:
    return DegradationSettings(**config.train_dataloader.dataset.degradation)


def _image_paths(config: Config) -> list[Path]:
    dataset = config.train_dataloader.dataset
    return list(list_images(Path(dataset.data_root, dataset.data_prefix.gt)).values())
