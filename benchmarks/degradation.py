"""The degradation: the device's way against the loader's, how difficult, and how fast?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from numpy.random import RandomState
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn
from torch.utils.data import default_collate

from facesr.degradation.base import Degradation, build_degradation
from facesr.degradation.first_order import FirstOrderDegradation
from facesr.degradation.noise import BatchNoise
from facesr.degradation.preprocessor import copy_to
from facesr.degradation.second_order import SecondOrderDegradation
from facesr.images import Image8, list_images, read_image
from facesr.nets import find_device
from facesr.restoring.metrics import psnr
from facesr.restoring.score import bicubic

from .measure import Figures, run_benchmark, take_turns, time_call

EQUAL = 98.0  # dB, for images that are equal: one pixel off by a level has 95
Images = NDArray[np.uint8]


def time_degradation(
    config: Config, images: int, draws: int, rounds: int, gt: Path | None, device: str | None = None
) -> Figures:
    """Compare the two ways over ground truths, and time them on a batch of the config's.

    Returns:
        ``agreement``: see :func:`measure_agreement`, of the same values without noise; how
        difficult each way is: mean and quartiles of bicubic's PSNR in dB over images and draws;
        ``seconds`` per image: the loader's way on one core, and one batch on the device.
    """
    place = find_device(device)
    dataset, size = config.train_dataloader.dataset, config.train_dataloader.batch_size
    degradation = build_degradation(dataset.degradation)
    paths = list(list_images(gt or Path(dataset.data_root, dataset.data_prefix.gt)).values())
    quiet, agreeing = without_noise(degradation), []
    scores: dict[str, list[Tensor]] = {"the loader's way": [], f'a batch on {place}': []}
    for first in track(range(0, len(paths[:images]), size), 'comparing', transient=True):
        faces = [read_image(path) for path in paths[first : first + size]]
        agreeing.append(degrade_both(quiet, faces, place, first))
        for draw in range(draws):
            both = degrade_both(degradation, faces, place, first + draw * len(paths))
            for way, lq in zip(scores, both, strict=True):
                scores[way].append(score_bicubic(lq, np.stack(faces)))
    sides = [np.concatenate(side) for side in zip(*agreeing, strict=True)]
    return {
        'agreement': measure_agreement(*sides),
        **{f'bicubic after {way}': spread(torch.cat(psnrs)) for way, psnrs in scores.items()},
        'seconds': time_ways(
            degradation, [read_image(path) for path in paths[:size]], place, rounds
        ),
    }


def spread(values: Tensor) -> dict[str, float]:
    """Mean and quartiles."""
    quartiles = values.double().quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    names = 'quarter', 'half', 'three quarters'
    return {'mean': values.mean().item(), **dict(zip(names, quartiles.tolist(), strict=True))}


def without_noise(degradation: Degradation) -> Degradation:
    """The same degradation but for its noise, whose numbers differ between the ways."""
    if isinstance(degradation, FirstOrderDegradation):
        return replace(degradation, noise_sigma=(0, 0))
    assert isinstance(degradation, SecondOrderDegradation)
    return replace(
        degradation,
        first_pass={**degradation.first_pass, 'noise_prob': 0},
        second_pass={**degradation.second_pass, 'noise_prob': 0},
    )


def degrade_batch(
    module: nn.Module,
    degradation: Degradation,
    images: Sequence[Image8],
    values: Sequence[Any],
    seed: int = 0,
) -> Tensor:
    """Degrade a batch where the module is: (N, s, s, 3) uint8."""
    device = next(module.buffers()).device
    gt = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(device)
    inputs = copy_to(default_collate([degradation.prepare(drawn) for drawn in values]), device)
    lq: Tensor = module(gt, inputs, BatchNoise(range(seed, seed + len(images)), device))
    return lq.permute(0, 2, 3, 1)


def degrade_both(
    degradation: Degradation,
    images: Sequence[Image8],
    device: torch.device | str = 'cpu',
    seed: int = 0,
) -> tuple[Images, Images]:
    """Degrade images one by one, as the loader does, and on a device, with the same values.

    ``seed`` is of the first of the images, (S, S, 3) uint8 RGB each; the next has the next number.

    Returns:
        (N, s, s, 3) uint8 each.
    """
    values = [degradation.sample(RandomState(seed + index)) for index in range(len(images))]
    by_loader = [
        degradation.degrade(image, drawn, seed + index)
        for index, (image, drawn) in enumerate(zip(images, values, strict=True))
    ]
    module = degradation.make_batch().to(device)
    by_device = degrade_batch(module, degradation, images, values, seed)
    return np.stack(by_loader), by_device.cpu().numpy()


def score_bicubic(lq: Images, gt: Images) -> Tensor:
    """Each image's PSNR in dB: (N,)."""
    enlarged = [bicubic(image, *gt.shape[1:3]) for image in lq]
    return psnr(torch.from_numpy(np.stack(enlarged)), torch.from_numpy(gt))


def measure_agreement(expected: Images, found: Images) -> dict[str, float]:
    """How far apart two sets of images are, (N, H, W, 3) uint8 each.

    Returns:
        ``images``: N; ``psnr``: mean in dB, equal images count as 98; ``equal``: share of equal
        images; ``within_1``: share of pixels that differ by a level at most; ``worst``: largest
        difference of a pixel in levels; ``above_4``: images with a pixel that differs by more than
        4 levels.
    """
    difference = np.abs(found.astype(int) - expected)
    worst = difference.max((1, 2, 3))
    decibels = psnr(torch.from_numpy(expected), torch.from_numpy(found)).clamp(max=EQUAL)
    return {
        'images': len(worst),
        'psnr': decibels.mean().item(),
        'equal': float((worst == 0).mean()),
        'within_1': float((difference <= 1).mean()),
        'worst': int(worst.max()),
        'above_4': int((worst > 4).sum()),
    }


def time_ways(
    degradation: Degradation, images: Sequence[Image8], device: torch.device, rounds: int
) -> dict[str, list[float]]:
    """Seconds per image of each round, by way."""
    module = degradation.make_batch().to(device)
    cv2.setNumThreads(0)  # as in a loader's process

    def one_by_one() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        for seed, image in enumerate(images):
            degradation.degrade_by_seed(image, seed)
        torch.set_num_threads(threads)

    def on_device() -> None:
        values = [degradation.sample(RandomState(seed)) for seed in range(len(images))]
        degrade_batch(module, degradation, images, values)

    ways = {"the loader's way, one core": one_by_one, f'a batch on {device}': on_device}
    timers = {name: partial(time_call, way, len(images)) for name, way in ways.items()}
    return take_turns(timers, rounds)


if __name__ == '__main__':
    run_benchmark(time_degradation, __doc__, 'images', 'draws', 'rounds', 'gt', 'device')
