"""What a training image costs the loader: MMagic's way against the cached faces for the device."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import cv2
import torch
from mmagic.registry import DATASETS
from mmengine.config import Config

from benchmarks.measure import take_turns
from facesr.degradation.transform import collate_faces


def time_loader(config: Config, rounds: int, batches: int = 4) -> dict[str, list[float]]:
    """Seconds per image in one loader process, collating included.

    Args:
        config: a training config; its training data set is read.
        rounds: how often each way is measured.
        batches: how many are drawn in a round.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # as in a loader's process
    batch_size = config.train_dataloader.batch_size
    images: int = batches * batch_size

    def loader(on: str, cache_dir: str | None) -> Callable[[], float]:
        settings = copy.deepcopy(config.train_dataloader.dataset)
        settings.cache_dir = cache_dir
        settings.pipeline[1].on = on
        dataset = DATASETS.build(settings)

        def draw_images() -> float:
            start = time.perf_counter()
            for first in range(0, images, batch_size):
                places = range(first, first + batch_size)
                collate_faces([dataset[place % len(dataset)] for place in places])
            return (time.perf_counter() - start) / images

        return draw_images

    sides = {
        'decode, degrade and pack by MMagic': loader('loader', None),
        'cached pixels for the device': loader('device', config.train_dataloader.dataset.cache_dir),
    }
    return take_turns(sides, rounds)
