"""A config and a checkpoint -> a function from degraded to restored 8-bit images.

MMagic's test loop wants one size per data set, keeps nothing 8-bit, and dies on an image that does
not fit; so images are restored here, one at a time, whole or in tiles.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmagic.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from ..data.images import Image8
from ..engine.checkpoint import load_generator
from ..errors import UserError

# What a pixel of the input costs at the peak, in bytes: 16 pixels of 64 float32 channels, more than
# twice over (9.7 KB measured on MSRResNet, 2 blocks; the peak is past the trunk), and a margin.
BYTES_PER_PIXEL = 16 * 1024
# Pixels around a tile. The 26-block net sees about 55 pixels far, so tiles show no seams.
MARGIN = 64
SMALLEST_TILE = 32


class Restorer:
    """Restores degraded faces with a trained generator.

    Args:
        config: a training config; its model's ``generator`` and ``data_preprocessor`` are built.
        checkpoint: weights for it, loaded strictly, before anything else is done.
        ema: take the average of the weights that the checkpoint holds beside the raw ones.
        device: where to compute; None takes a CUDA GPU if there is one.
        tile: pixels of the input a tile's side may have; None tiles only what does not fit into
            the memory that is free.

    Raises:
        UserError: the checkpoint is not this config's, the device is not there, or the model
            cannot be built.
    """

    def __init__(
        self,
        config: Config,
        checkpoint: str | Path,
        device: str | None = None,
        tile: int | None = None,
        ema: bool = False,
    ) -> None:
        if tile is not None and tile < 1:
            raise UserError(f'--tile {tile}: at least 1 pixel expected')
        self.device = find_device(device)
        self.generator = build_part(config, 'generator')
        self.preprocessor = build_part(config, 'data_preprocessor').to(self.device)
        load_generator(self.generator, checkpoint, ema)
        self.generator.to(self.device, memory_format=torch.channels_last).eval()
        self.tile = tile
        #: Tile side that the last image was restored with; None if it was done whole.
        self.last_tile: int | None = None

    @torch.inference_mode()
    def restore(self, lq: Image8) -> Image8:
        """Restore one image of any size.

        Args:
            lq: (H, W, 3) uint8 RGB.

        Returns:
            (4H, 4W, 3) uint8 RGB (the generator's scale), rounded to nearest.

        Raises:
            UserError: even a tile of 32 pixels does not fit into the memory.
        """
        height, width = lq.shape[:2]
        tile = self.tile or self._fitting_tile(height, width)
        while True:
            whole = max(height, width) <= tile
            self.last_tile = None if whole else tile
            try:
                return self._forward(lq) if whole else self._restore_tiled(lq, tile)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
            if self.device.type == 'cuda':
                torch.cuda.empty_cache()
            tile = min(tile, max(height, width)) // 2
            if tile < SMALLEST_TILE:
                raise UserError(
                    f'a {width}x{height} image does not fit into the memory, not even in tiles'
                )

    def _forward(self, lq: Image8) -> Image8:
        mean, std = self.preprocessor.mean, self.preprocessor.std
        x = torch.from_numpy(np.ascontiguousarray(lq.transpose(2, 0, 1)))[None].float()
        x = x.to(self.device, memory_format=torch.channels_last)
        y: Tensor = self.generator((x - mean) / std) * std + mean
        result: Image8 = (
            y[0].clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
        )
        return result

    def _restore_tiled(self, lq: Image8, tile: int) -> Image8:
        height, width = lq.shape[:2]
        result: Image8 | None = None
        for top in range(0, height, tile):
            for left in range(0, width, tile):
                bottom, right = min(top + tile, height), min(left + tile, width)
                outer_top, outer_left = max(top - MARGIN, 0), max(left - MARGIN, 0)
                outer = lq[outer_top : bottom + MARGIN, outer_left : right + MARGIN]
                restored = self._forward(outer)
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

    def _fitting_tile(self, height: int, width: int) -> int:
        pixels = free_memory(self.device) // BYTES_PER_PIXEL
        if height * width <= pixels:
            return max(height, width)
        return max(math.isqrt(pixels) - 2 * MARGIN, SMALLEST_TILE)


def build_part(config: Config, part: str) -> Any:
    """Build the ``generator`` or the ``data_preprocessor`` of a config's model.

    Raises:
        UserError: it cannot be built.
    """
    init_default_scope(config.get('default_scope', 'mmagic'))
    try:
        return MODELS.build(config.model[part])
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f'model: cannot be built: {error}') from error


def find_device(name: str | None) -> torch.device:
    """The named device, or a CUDA GPU if there is one, or the CPU."""
    try:
        device = torch.device(name or ('cuda' if torch.cuda.is_available() else 'cpu'))
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        raise UserError(f'{name}: no such device here') from error
    return device


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


def _is_out_of_memory(error: BaseException) -> bool:
    # On a CPU, PyTorch tells of it with a plain RuntimeError.
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return 'DefaultCPUAllocator' in str(error)
