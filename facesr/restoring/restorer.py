"""A config and a checkpoint -> a function from degraded to restored 8-bit images.

MMagic's test loop wants one size per data set, keeps nothing 8-bit, and dies on an image that does
not fit; so images are restored here, alone or in batches of one size, whole or in tiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor
from torch.nn import Module

from ..checkpoint import load_generator
from ..errors import UserError
from ..images import Image8
from ..nets import build_part, find_device, use_tf32

# What a pixel of the input costs at the peak, in bytes: 16 pixels of 64 float32 channels, more than
# twice over (9.7 KB measured on MSRResNet, 2 blocks; the peak is past the trunk), and a margin.
BYTES_PER_PIXEL = 16 * 1024
PRECISIONS = {'float32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}


class Restorer:
    """Restores degraded faces with a trained generator.

    Args:
        config: a training config; its model's ``generator`` and ``data_preprocessor`` are built.
        checkpoint: weights for it, loaded strictly, before anything else is done.
        ema: take the average of the weights that the checkpoint holds beside the raw ones.
        device: where to compute; None takes a CUDA GPU if there is one.
        tile: pixels of the input a tile's side may have; None tiles only what does not fit into
            the memory that is free. A net that says ``whole_images`` is never tiled.
        precision: ``float32``, without TF32; or ``bf16`` or ``fp16`` by autocast: faster on a GPU,
            and a few levels off.
        flip: restore the mirrored image as well, and take the mean of the two before rounding
            (the geometric self-ensemble of Lim et al., arXiv:1707.02921, by the one symmetry that
            faces have): twice the time.

    Attributes:
        memory: bytes that the images restored at one time may take; None: what is free.
        stop: once set, restoring ends at the net's next layer with ``CancelledError``.

    Raises:
        UserError: the checkpoint is not this config's, the device is not there or cannot compute
            in that precision, the model cannot be built, or may not be tiled.
    """

    def __init__(
        self,
        config: Config,
        checkpoint: str | Path,
        device: str | None = None,
        tile: int | None = None,
        ema: bool = False,
        precision: str = 'float32',
        flip: bool = False,
    ) -> None:
        if tile is not None and tile < 1:
            raise UserError(f'--tile {tile}: at least 1 pixel expected')
        self.device = find_device(device)
        self.generator = build_part(config, 'generator')
        self.preprocessor = build_part(config, 'data_preprocessor').to(self.device)
        load_generator(self.generator, checkpoint, ema)
        self.generator.to(self.device, memory_format=torch.channels_last).eval()
        self.tile = tile
        self.whole = getattr(self.generator, 'whole_images', False)
        if tile is not None and self.whole:
            name = type(self.generator).__name__
            raise UserError(f'--tile {tile}: {name} restores whole faces alone; leave --tile out')
        self.precision = precision
        self.flip = flip
        self.memory: int | None = None
        self.stop = Event()
        for module in self.generator.modules():
            module.register_forward_pre_hook(self._check_stop)
        if precision != 'float32':
            self._check_precision()

    def restore(self, lq: Image8) -> Image8:
        """Restore one image of any size.

        Args:
            lq: (H, W, 3) uint8 RGB.

        Returns:
            (4H, 4W, 3) uint8 RGB (the generator's scale), rounded to nearest.

        Raises:
            UserError: the image, or even a tile of 32 pixels, does not fit into the memory.
        """
        return self.restore_batch([lq])[0][0]

    @torch.inference_mode()
    def restore_batch(self, lqs: Sequence[Image8]) -> list[tuple[Image8, int | None]]:
        """Restore images of one size together, or by halves where they do not fit the memory.

        Args:
            lqs: (H, W, 3) uint8 RGB each.

        Returns:
            Each as :meth:`restore` returns it, and the side of the tiles it was done in, in pixels
            of the input; None if it was done whole.

        Raises:
            UserError: as :meth:`restore`.
        """
        if len(lqs) == 1:
            return [self._restore_single(lqs[0])]
        height, width = lqs[0].shape[:2]
        fits = len(lqs) * height * width <= self._free_pixels()
        if fits and max(height, width) <= (self.tile or math.inf):
            try:
                return [(image, None) for image in self._forward(np.stack(lqs))]
            except (MemoryError, RuntimeError) as error:
                make_room(error, self.device)
        half = len(lqs) // 2
        return self.restore_batch(lqs[:half]) + self.restore_batch(lqs[half:])

    def _restore_single(self, lq: Image8) -> tuple[Image8, int | None]:
        height, width = lq.shape[:2]
        tile = self.tile or self._fitting_tile(height, width)
        while True:
            try:
                if max(height, width) <= tile:
                    return self._forward(lq[None])[0], None
                return restore_tiled(self._forward, lq, tile), tile
            except (MemoryError, RuntimeError) as error:
                make_room(error, self.device)
            tile = min(tile, max(height, width)) // 2
            if self.whole or tile < SMALLEST_TILE:
                tiles = 'and this net takes no tiles' if self.whole else 'not even in tiles'
                raise UserError(f'a {width}x{height} image does not fit into the memory, {tiles}')

    def _forward(self, lq: Image8) -> Image8:
        """(N, H, W, 3) -> (N, 4H, 4W, 3), both uint8 RGB."""
        mean, std = self.preprocessor.mean, self.preprocessor.std
        # Pixels of N images with the channel last, seen as NCHW, are channels-last already.
        x = torch.from_numpy(np.ascontiguousarray(lq)).to(self.device).permute(0, 3, 1, 2).float()
        x = (x - mean) / std
        y = self._generate(x)
        if self.flip:
            y = (y + self._generate(x.flip(3)).flip(3)) / 2
        levels = (y * std + mean).clamp(0, 255).round().to(torch.uint8)
        result: Image8 = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return result

    def _generate(self, x: Tensor) -> Tensor:
        dtype = PRECISIONS[self.precision]
        with use_tf32(False), torch.autocast(self.device.type, dtype, dtype != torch.float32):
            return Tensor.float(self.generator(x))

    def _free_pixels(self) -> int:
        memory = free_memory(self.device) if self.memory is None else self.memory
        return memory // BYTES_PER_PIXEL

    def _fitting_tile(self, height: int, width: int) -> int:
        pixels = self._free_pixels()
        if self.whole or height * width <= pixels:
            return max(height, width)
        return max(math.isqrt(pixels) - 2 * MARGIN, SMALLEST_TILE)

    @torch.inference_mode()
    def _check_precision(self) -> None:
        try:
            self._generate(torch.zeros(1, 3, 8, 8, device=self.device))
        except RuntimeError as error:
            raise UserError(
                f'--precision {self.precision}: PyTorch cannot compute this net so on '
                f'{self.device} ({error}); take float32'
            ) from error

    def _check_stop(self, module: Module, inputs: Any) -> None:
        # Ctrl-C reaches the main thread alone; a net at work in another looks here.
        if self.stop.is_set():
            raise CancelledError


# Pixels around a tile. The 26-block net sees about 55 pixels far, so tiles show no seams.
MARGIN = 64
SMALLEST_TILE = 32


def restore_tiled(forward: Callable[[Image8], Image8], lq: Image8, tile: int) -> Image8:
    """Restore an image in overlapping tiles; they show no seams.

    Args:
        forward: restores (1, h, w, 3) uint8, for (1, 4h, 4w, 3) or another scale.
        lq: (H, W, 3) uint8 RGB.
        tile: side of a tile in pixels, without its margin.
    """
    height, width = lq.shape[:2]
    result: Image8 | None = None
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            outer_top, outer_left = max(top - MARGIN, 0), max(left - MARGIN, 0)
            outer = lq[outer_top : bottom + MARGIN, outer_left : right + MARGIN]
            [restored] = forward(outer[None])
            scale = restored.shape[0] // outer.shape[0]
            if result is None:
                result = np.empty((height * scale, width * scale, 3), np.uint8)
            inner_top, inner_left = (top - outer_top) * scale, (left - outer_left) * scale
            result[top * scale : bottom * scale, left * scale : right * scale] = restored[
                inner_top : inner_top + (bottom - top) * scale,
                inner_left : inner_left + (right - left) * scale,
            ]
    assert result is not None, 'an image has at least one pixel'
    return result


def free_memory(device: torch.device) -> int:
    """Bytes that can be allocated on a device; 4 GiB where the system does not tell."""
    if device.type == 'cuda':
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    try:
        lines = Path('/proc/meminfo').read_text(encoding='ascii').splitlines()
    except OSError:
        return 4 << 30
    available = next(line for line in lines if line.startswith('MemAvailable:'))
    return min(int(available.split()[1]) * 1024, _cgroup_memory())


def _cgroup_memory() -> int:
    """Bytes left under the limit of a container or a Slurm job; very many where there is none."""
    try:
        group = Path('/proc/self/cgroup').read_text(encoding='ascii').rpartition('::')[2].strip()
        folder = Path('/sys/fs/cgroup', group.lstrip('/'))
        limit = (folder / 'memory.max').read_text(encoding='ascii').strip()
        used = int((folder / 'memory.current').read_text(encoding='ascii'))
        return max(int(limit) - used, 0)
    except (OSError, ValueError):  # not there, or 'max'
        return 1 << 62


def make_room(error: MemoryError | RuntimeError, device: torch.device) -> None:
    """Give back what PyTorch keeps, after it ran out of memory; raise any other error again."""
    # On a CPU, PyTorch tells of it with a plain RuntimeError.
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if not known and 'DefaultCPUAllocator' not in str(error):
        raise error
    if device.type == 'cuda':
        torch.cuda.empty_cache()
