"""The random numbers of the degradation: drawn in MMagic's own order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import Tensor

from .blur import precision_of
from .resize import METHODS

Noise = Callable[[RandomState, int], None]


@dataclass(frozen=True)
class Draw:
    """What one image's degradation is.

    Attributes:
        sigma_x, sigma_y: blur, standard deviations in pixels; equal for an isotropic kernel.
        angle: the kernel's, in radians; 0 for an isotropic one.
        length: height and width in pixels after shrinking.
        shrink, enlarge: resizing methods, indices into ``METHODS``.
        noise: standard deviation in levels of 255.
        quality: JPEG's, 1-100.
    """

    sigma_x: float
    sigma_y: float
    angle: float
    length: int
    shrink: int
    noise: float
    quality: int
    enlarge: int


@dataclass(frozen=True)
class Draws:
    """A batch of :class:`Draw` on a device: a tensor of N for each of its fields.

    Attributes:
        precision: (N, 3) float64, the blur's, see :func:`~facesr.degradation.blur.precision_of`.
        noise: (N,) float32, standard deviations in levels of 255.
        length, shrink, quality, enlarge: (N,) int64.
    """

    precision: Tensor
    noise: Tensor
    length: Tensor
    shrink: Tensor
    quality: Tensor
    enlarge: Tensor

    @staticmethod
    def to_device(draws: Sequence[Draw], device: torch.device | str) -> Draws:
        """Put a batch of draws on a device, in one copy that nothing waits for."""
        values = np.array([astuple(draw) for draw in draws], np.float64)
        blur, others = values[:, :3], values[:, 3:]
        table = copy_to(np.concatenate([precision_of(*blur.T), others], 1), device)
        length, shrink, _, quality, enlarge = table[:, 3:].long().unbind(1)
        return Draws(table[:, :3], table[:, 5].float(), length, shrink, quality, enlarge)


def copy_to(array: NDArray[Any], device: torch.device | str) -> Tensor:
    """Copy numbers to a device; nothing waits for it."""
    table = torch.from_numpy(array)
    if torch.device(device).type == 'cuda':
        table = table.pin_memory()
    return table.to(device, non_blocking=True)


def draw(
    chain: Sequence[Mapping[str, Any]], rng: RandomState, side: int, noise: Noise | None = None
) -> Draw:
    """Draw one image's degradation as MMagic's transforms do, number for number.

    Args:
        chain: the transforms' configs, as :func:`~facesr.degradation.chain.check_chain` accepts
            them.
        rng: what MMagic takes from NumPy's global generator is taken from this.
        side: height and width of the image in pixels.
        noise: called where MMagic draws the noise itself, with ``rng`` and the image's length.

    Returns:
        The same draw as the stock transforms make from a generator in the same state.
    """
    blur, shrink, gaussian, jpeg, enlarge = (step['params'] for step in chain[:5])
    _, kind, x, y, turn, *_ = rng.random_sample(9)
    isotropic = _choose(blur['kernel_list'], blur['kernel_prob'], kind) == 'iso'
    sigma_x, sigma_y = _between(blur['sigma_x'], x), _between(blur['sigma_y'], y)
    angle = _between(blur['rotate_angle'], turn)
    # What the kernel's maker draws from ranges without width, and six steps to a next frame.
    rng.random_sample(7 if isotropic else 9)

    _, method, _, scale, *_ = rng.random_sample(4)
    shrinking = _choose(shrink['resize_opt'], shrink['resize_prob'], method)
    length = int(side * (shrink['resize_scale'][0] + (1 - shrink['resize_scale'][0]) * scale))

    _, _, level, _ = rng.random_sample(4)
    if noise is not None:
        noise(rng, length)
    _, _, compression, _, _, method, *_ = rng.random_sample(8)
    return Draw(
        sigma_x=sigma_x,
        sigma_y=sigma_x if isotropic else sigma_y,
        angle=0.0 if isotropic else angle,
        length=length,
        shrink=METHODS.index(shrinking),
        noise=_between(gaussian['gaussian_sigma'], level),
        quality=round(_between(jpeg['quality'], compression)),
        enlarge=METHODS.index(_choose(enlarge['resize_opt'], enlarge['resize_prob'], method)),
    )


def _between(bounds: Sequence[float], u: float) -> float:
    """``RandomState.uniform``."""
    return float(bounds[0] + (bounds[1] - bounds[0]) * u)


def _choose(names: Sequence[str], probabilities: Sequence[float], u: float) -> str:
    """``RandomState.choice`` with probabilities."""
    total = np.cumsum(np.asarray(probabilities, np.float64))
    return names[int(np.searchsorted(total / total[-1], u, side='right'))]
