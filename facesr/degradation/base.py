"""What every degradation is: settings, the values drawn for an image, and two ways to apply them.

Image by image, transforms degrade in the loader's processes: MMagic's, where they do what made the
challenge's inputs. A batch is degraded on the device that trains. Both take the values that
:meth:`Degradation.sample` drew.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, field, fields
from typing import Any

import numpy as np
import torch
from mmagic.registry import TRANSFORMS
from mmengine.config import Config
from numpy.random import RandomState
from torch import nn

from ..errors import UserError
from ..images import Image8
from .resize import METHODS

#: What a setting must be, in words and as a test.
Range = tuple[str, Callable[[Any], bool]]
METHOD_NAMES: Range = (f'some of {METHODS}', lambda names: names and {*names} <= {*METHODS})
MULTIPLE_OF_16: Range = ('a multiple of 16', lambda size: size > 0 and size % 16 == 0)


def number(least: float, most: float = math.inf) -> Range:
    """The range of a number."""
    words = f'at least {least:.4g}' if most == math.inf else f'from {least:.4g} to {most:.4g}'
    return words, lambda value: least <= value <= most


def pair(least: float, most: float = math.inf) -> Range:
    """The range of a (least, most)."""
    words = f'(least, most), {number(least, most)[0]},'
    return words, lambda value: len(value) == 2 and least <= value[0] <= value[1] <= most


def setting(allowed: Range, default: Any = MISSING) -> Any:
    """A field of a dataclass of settings, with its range."""
    return field(default=default, metadata={'range': allowed})


def check_settings(owner: str, settings: Any, **ranges: Range) -> None:
    """Refuse a setting that is out of its range, or of another type; make tuples of lists.

    ``ranges`` are those that depend on other settings.
    """
    own = {item.name: item.metadata['range'] for item in fields(settings) if item.metadata}
    for name, (words, fits) in {**own, **ranges}.items():
        value = getattr(settings, name)
        try:
            is_good = fits(value)
        except (AttributeError, TypeError):
            is_good = False
        if not is_good:
            raise UserError(f'{owner}.{name}={value!r}: {words} expected')
        if isinstance(value, list):
            object.__setattr__(settings, name, tuple(value))  # settings can be compared


class Degradation:
    """A blind degradation: ground truth of ``gt_size`` pixels a side -> input of ``lq_size``.

    A class of your own is registered in MMagic's ``TRANSFORMS`` and named in a config:
    ``train_dataloader.dataset.degradation=dict(type=...)``.
    """

    gt_size: int
    lq_size: int

    def check(self, **ranges: Range) -> None:
        """Check the settings; ``ranges`` are those that depend on others."""
        check_settings('degradation', self)
        size = self.gt_size
        divisor = (f'a divisor of {size}', lambda lq_size: lq_size > 0 and size % lq_size == 0)
        check_settings('degradation', self, lq_size=divisor, **ranges)

    @property
    def scale(self) -> int:
        """How many times the ground truth is larger than the input."""
        return self.gt_size // self.lq_size

    def sharpen(self, gt: Image8) -> Image8:
        """The ground truth that is degraded, and that the net is to restore: here as it is."""
        return gt

    def sample(self, rng: RandomState) -> Any:
        """Draw the values for one image."""
        raise NotImplementedError

    def prepare(self, values: Any) -> Any:
        """What a batch takes of an image's values: a named tuple of arrays and numbers."""
        raise NotImplementedError

    def degrade(self, image: Image8, values: Any, noise_seed: int) -> Image8:
        """Degrade one image on a CPU, (S, S, 3) uint8 RGB -> (s, s, 3).

        The global random generators are left as they were.
        """
        raise NotImplementedError

    def make_batch(self) -> nn.Module:
        """A module that degrades a batch where it is.

        It takes (N, 3, S, S) uint8 RGB, a batch of :meth:`prepare` and
        :class:`~facesr.degradation.noise.BatchNoise`, and gives (N, 3, s, s) uint8. Its launches
        of kernels do not depend on N, but for those of the noise.
        """
        raise NotImplementedError

    def degrade_by_seed(self, image: Image8, seed: int) -> Image8:
        """Degrade one image with a seed's values and noise, the same every time."""
        return self.degrade(image, self.sample(RandomState(seed)), seed)


def build_degradation(settings: Mapping[str, Any]) -> Degradation:
    """Build a config's ``degradation``; without a type the challenge's of 2023."""
    degradation: Degradation = TRANSFORMS.build({'type': 'FirstOrderDegradation', **settings})
    return degradation


def degradation_of(config: Config) -> Degradation:
    """Build the degradation that a config trains with."""
    try:
        return build_degradation(config.train_dataloader.dataset.degradation)
    except AttributeError:
        raise UserError(
            f'{config.filename}: no train_dataloader.dataset.degradation in it'
        ) from None


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's, Python's and PyTorch's global generators within; put them back after it."""
    states = np.random.get_state(), random.getstate(), torch.get_rng_state()
    try:
        np.random.seed(seed)
        random.seed(seed)
        torch.default_generator.manual_seed(seed)
        yield
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])
        torch.set_rng_state(states[2])


def apply_transforms(
    image: Image8, transforms: Iterable[Callable[[dict[str, Any]], Any]], seed: int
) -> Image8:
    """Apply MMagic's transforms of ``img``, each with random numbers of a seed.

    They draw from the global generators. The result of each is rounded to levels, as the next one
    sees it in a file.
    """
    for transform in transforms:
        with seeded(seed):
            result = transform({'img': image})['img']
        if result.dtype != np.uint8:
            result = np.clip(np.rint(result), 0, 255).astype(np.uint8)
        image = result
    return image
