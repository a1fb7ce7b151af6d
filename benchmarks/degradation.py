"""The degradation on the device against MMagic's transforms: equal levels, and how fast?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from mmagic.datasets.transforms import RandomBlur
from mmagic.registry import DATASETS
from mmengine.config import Config
from numpy.random import RandomState
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from facesr.data.dataset import BlindFaceDataset
from facesr.degradation.batch import BatchDegradation
from facesr.degradation.settings import (
    Degradation,
    DegradationSettings,
    degrade,
    degrade_blurred,
)
from facesr.images import Image8, list_images, read_image
from facesr.nets import find_device
from facesr.restoring.metrics import psnr
from facesr.restoring.score import bicubic

from .measure import Figures, run_benchmark, take_turns, time_call

EQUAL = 98.0  # dB, for images that are equal: one pixel off by a level has 95
Images = NDArray[np.uint8]


def time_degradation(
    config: Config, images: int, rounds: int, device: str | None = None
) -> Figures:
    """Compare the two ways over a config's training images, and measure both on its first batch.

    Returns:
        ``agreement``: see :func:`measure_agreement`, both from the same random numbers;
        ``bicubic_psnr``: how difficult the two are, in dB, each with noise of its own; ``seconds``
        per image: MMagic's transforms and the loader's way on one core each, and one batch on the
        device.
    """
    place = find_device(device)
    dataset = config.train_dataloader.dataset
    settings = DegradationSettings(**dataset.degradation)
    size = config.train_dataloader.batch_size
    paths = list(list_images(Path(dataset.data_root, dataset.data_prefix.gt)).values())
    compared = paths[:images]
    parts, scores = [], []
    for first in track(range(0, len(compared), size), 'comparing', transient=True):
        faces = [read_image(path) for path in compared[first : first + size]]
        stock, same_noise, own_noise = degrade_both(settings, faces, place, first)
        parts.append((stock, same_noise))
        scores.append([score_bicubic(lq, np.stack(faces)) for lq in (stock, own_noise)])
    sides = [np.concatenate(side) for side in zip(*parts, strict=True)]
    stock_psnr, our_psnr = (torch.cat(side).mean().item() for side in zip(*scores, strict=True))
    return {
        'agreement': measure_agreement(*sides),
        'bicubic_psnr': {'stock': stock_psnr, 'ours': our_psnr},
        'seconds': time_both(settings, [read_image(path) for path in paths[:size]], place, rounds),
    }


def degrade_by_mmagic(
    image: Image8, settings: DegradationSettings, values: Degradation, noise_seed: int
) -> Image8:
    """As :func:`facesr.degradation.settings.degrade`, with MMagic's blur as well."""
    kernel = dict(
        kernel_size=[settings.kernel_size],
        kernel_list=['aniso'],  # of equal sigmas, an isotropic kernel
        kernel_prob=[1],
        sigma_x=[values.sigma_x] * 2,
        sigma_y=[values.sigma_y] * 2,
        rotate_angle=[values.angle] * 2,
    )
    blurred = RandomBlur(kernel, keys=['img'])({'img': image})['img']
    return degrade_blurred(blurred, settings, values, noise_seed)


@DATASETS.register_module()
class StockFaceDataset(BlindFaceDataset):
    """``BlindFaceDataset`` that degrades only by MMagic's transforms, in the loader's processes."""

    def degrade(self, gt: Image8, values: Degradation, noise_seed: int) -> Image8:
        return degrade_by_mmagic(gt, self.degradation, values, noise_seed)


def stock_noise(noise_seed: int, length: int) -> NDArray[np.float32]:
    """The standard normal numbers that MMagic's transform draws: (length, length, 3)."""
    rng = RandomState(noise_seed)
    rng.random_sample(4)  # before, it draws whether, which kind, how much and whether grey
    return rng.randn(length, length, 3).astype(np.float32)


def degrade_both(
    settings: DegradationSettings,
    images: Sequence[Image8],
    device: torch.device | str = 'cpu',
    seed: int = 0,
) -> tuple[Images, Images, Images]:
    """Degrade images by MMagic's transforms and on a device, with the same values.

    Args:
        settings: of the degradation.
        images: (S, S, 3) uint8 RGB each.
        device: where the batch is degraded.
        seed: of the first image; the next has the next number.

    Returns:
        (N, s, s, 3) uint8 each: MMagic's results; the device's with the same noise; the device's
        with PyTorch's noise, as in training.
    """
    side = settings.gt_size
    own = torch.randn(len(images), 3, side, side, generator=torch.Generator().manual_seed(seed))
    same = own.clone()
    rows, expected = [], []
    for number, image in enumerate(images, seed):
        values = settings.sample(RandomState(number))
        expected.append(degrade_by_mmagic(image, settings, values, number))
        rows.append(values.row())
        noise = torch.from_numpy(stock_noise(number, values.length)).permute(2, 0, 1)
        same[number - seed, :, : values.length, : values.length] = noise
    gt = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(device)
    batch = BatchDegradation(settings).to(device)
    table = torch.tensor(rows, dtype=torch.float64, device=device)
    found = [batch(gt, table, noise.to(device)).permute(0, 2, 3, 1) for noise in (same, own)]
    return np.stack(expected), found[0].cpu().numpy(), found[1].cpu().numpy()


def score_bicubic(lq: Images, gt: Images) -> Tensor:
    """Each image's PSNR in dB: (N,)."""
    enlarged = [bicubic(image, *gt.shape[1:3]) for image in lq]
    return psnr(torch.from_numpy(np.stack(enlarged)), torch.from_numpy(gt))


def measure_agreement(expected: Images, found: Images) -> dict[str, float]:
    """How far apart two sets of images are, (N, H, W, 3) uint8 each.

    Returns:
        ``images``: N; ``psnr``: mean in dB, equal images count as 98; ``equal``: share of equal
        images; ``worst``: largest difference of a pixel in levels; ``above_4``: images with a pixel
        that differs by more than 4 levels.
    """
    worst = np.abs(found.astype(int) - expected).max((1, 2, 3))
    decibels = psnr(torch.from_numpy(expected), torch.from_numpy(found)).clamp(max=EQUAL)
    return {
        'images': len(worst),
        'psnr': decibels.mean().item(),
        'equal': float((worst == 0).mean()),
        'worst': int(worst.max()),
        'above_4': int((worst > 4).sum()),
    }


def time_both(
    settings: DegradationSettings, images: Sequence[Image8], device: torch.device, rounds: int
) -> dict[str, list[float]]:
    """Seconds per image of each round, by way."""
    batch = BatchDegradation(settings).to(device)
    gt = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(device)
    cv2.setNumThreads(0)  # as in a loader's process

    def one_by_one(way: Callable[..., Image8]) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        for seed, image in enumerate(images):
            way(image, settings, settings.sample(RandomState(seed)), seed)
        torch.set_num_threads(threads)

    def on_device() -> None:
        rows = [settings.sample(RandomState(seed)).row() for seed in range(len(images))]
        values = torch.tensor(rows, dtype=torch.float64).to(device)
        batch(gt, values, torch.randn(gt.shape, device=device))

    sides: dict[str, Callable[[], None]] = {
        "MMagic's transforms, one core": partial(one_by_one, degrade_by_mmagic),
        "the loader's way, one core": partial(one_by_one, degrade),
        f'a batch on {device}': on_device,
    }
    timers = {name: partial(time_call, side, len(images)) for name, side in sides.items()}
    return take_turns(timers, rounds)


if __name__ == '__main__':
    run_benchmark(time_degradation, __doc__, 'images', 'rounds', 'device')
