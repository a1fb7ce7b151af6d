"""The order of the training images, from any draw on, and each draw's own random numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from mmagic.registry import DATA_SAMPLERS
from mmengine.dataset import InfiniteSampler
from numpy.random import SeedSequence


class Draw(NamedTuple):
    """One image of a training run.

    Attributes:
        image: its index in the data set.
        seed: the run's.
        number: of the draw, counted over all processes from the run's beginning.
    """

    image: int
    seed: int
    number: int


@DATA_SAMPLERS.register_module()
class DrawSampler(InfiniteSampler):
    """MMEngine's ``InfiniteSampler``, which can start anywhere, and numbers its draws.

    Resuming, MMEngine's training loop fetches and throws away every batch that has been trained
    on: hours, late in a run. And its random numbers come from the loader's processes, so that their
    number changes them, and a resumed run repeats those of its beginning. Here the loop sets
    ``start``, and :func:`seed_draw` makes a draw's random numbers depend on the seed and its number
    alone.

    Args: as ``InfiniteSampler``.
    """

    #: Draws of this process that are left out.
    start: int = 0

    def __iter__(self) -> Iterator[Draw]:
        generator = torch.Generator()
        generator.manual_seed(self.seed)
        order: list[int] = []
        rounds = 0
        for number in count(self.rank + self.world_size * self.start, self.world_size):
            while rounds * self.size <= number:
                if self.shuffle:
                    order = torch.randperm(self.size, generator=generator).tolist()
                else:
                    order = list(range(self.size))
                rounds += 1
            yield Draw(order[number % self.size], self.seed, number)


def seed_draw(draw: Draw) -> None:
    """Seed the generators that transforms draw from: Python's, NumPy's and PyTorch's on the CPU."""
    state = SeedSequence((draw.seed, draw.number)).generate_state(4)
    random.seed(int(state[0]))
    np.random.seed(state)
    torch.default_generator.manual_seed(int(state[0]))
