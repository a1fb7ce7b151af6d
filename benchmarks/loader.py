"""What a training image costs the loader: degraded there, or cached pixels for the device."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import cv2
import torch
from mmagic.registry import DATASETS
from mmengine.config import Config

from facesr.data.loader import collate_faces

from .measure import Figures, run_benchmark, take_turns, time_call

BATCHES = 4  # in a round


def time_loader(config: Config, rounds: int) -> Figures:
    """Measure one loader process, collating included, on a config's training data set."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # as in a loader's process
    size: int = config.train_dataloader.batch_size
    images = BATCHES * size

    def loader(**changes: str | None) -> Callable[[], float]:
        settings = copy.deepcopy(config.train_dataloader.dataset)
        settings.update(changes)
        dataset = DATASETS.build(settings)
        numbers = [number % len(dataset) for number in range(images)]

        def load() -> None:
            for first in range(0, images, size):
                collate_faces([dataset[number] for number in numbers[first : first + size]])

        return partial(time_call, load, images)

    sides = {
        'decoded, degraded and packed': loader(degrade_on='loader', cache_dir=None),
        'cached pixels, degraded and packed': loader(degrade_on='loader'),
        'cached pixels for the device': loader(degrade_on='device'),
    }
    return {'seconds': take_turns(sides, rounds)}


if __name__ == '__main__':
    run_benchmark(time_loader, __doc__, 'rounds')
