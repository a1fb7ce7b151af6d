"""A trained generator as a function from degraded to restored 8-bit images.

MMagic's test loop wants one size per data set, gives float images, and dies on an image that does
not fit into memory. Here images are restored in batches of one size, or in tiles if need be.
"""

from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np
import torch
from mmagic.registry import MODELS
from mmengine.config import Config
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import pad

from ..checkpoint import load_generator, read_checkpoint
from ..config import leaves
from ..degradation.preprocessor import to_grey
from ..errors import UserError
from ..images import Image8
from ..nets import build_part, find_device, multiple_of, run_padded, use_tf32

# What is averaged: the image moved right and down by so many pixels, and whether mirrored too.
FLIP = [(0, 0, False), (0, 0, True)]
TTA = {'flip': FLIP, 'shift': [*FLIP, (1, 0, False), (-1, 0, True), (0, 1, False), (0, -1, True)]}
PRECISIONS = {'float32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
# On a CPU an image of more pixels is restored in tiles, and of those above a face's size one at a
# time: with the 24 blocks the process takes 1.4 GB.
MOST_PIXELS = 192 * 192
ONE_AT_A_TIME = 160 * 160
CPU_TILE = 128  # pixels a side, without its margins
# Pixels around a tile. With 16 the 24 blocks' result differs from the untiled one in 1 of 100,000
# values, by one level; with 24 in none.
TILE_MARGIN = 32
SMALLEST_TILE = 32
SMALLEST_INPUT = 32  # pixels a side of an aligned face


class Restorer:
    """Restores degraded faces with a trained generator.

    Of the config, the model's ``generator`` and ``data_preprocessor`` are taken.

    Args:
        tile: images with a longer side are restored in tiles of so many pixels a side; None: on a
            GPU what does not fit into its memory, on a CPU what has more than 192x192 pixels, in
            tiles of 128. A net with ``whole_images`` refuses tiles.
        ema: take the average of the weights that the checkpoint holds beside the raw ones, or not;
            None: if the checkpoint is the best by the average's score.
        precision: ``float32``, without TF32; or ``bf16`` or ``fp16`` by autocast: faster on a GPU,
            and a few levels off.
        tta: take the mean of several passes, before rounding: ``flip``, with the mirrored image's
            result (the geometric self-ensemble of Lim et al., arXiv:1707.02921, for the symmetry of
            faces): twice the time; ``shift``, with four more, of the image moved by a pixel: six
            times. None: one pass.
    """

    def __init__(
        self,
        config: Config,
        checkpoint: str | Path,
        device: str | None = None,
        tile: int | None = None,
        ema: bool | None = None,
        precision: str = 'float32',
        tta: str | None = None,
    ) -> None:
        if tile is not None and tile < 1:
            raise UserError(f'--tile {tile}: at least 1 pixel expected')
        self.checkpoint = str(checkpoint)
        #: What was read: the checkpoint, and the config's file if it is from one.
        self.files = [Path(path) for path in (checkpoint, config.filename) if path is not None]
        self.tile, self.precision, self.tta = tile, precision, tta
        #: Once set, restoring ends at the net's next layer with ``CancelledError``.
        self.stop = Event()
        self._large = Lock()
        self.device = find_device(device)
        self.preprocessor = build_part(config, 'data_preprocessor').to(self.device)
        self.grey: bool = getattr(self.preprocessor, 'grey', False)
        self.generator = build_part(config, 'generator')
        #: Whether the weights are an average.
        self.ema: bool = load_generator(self.generator, checkpoint, ema)['ema']
        self.generator.to(self.device, memory_format=torch.channels_last).eval()
        self.name = type(self.generator).__name__
        self.whole = getattr(self.generator, 'whole_images', False)
        self.multiple = multiple_of(self.generator, config.model.get('size_multiple'))
        if tile is not None and self.whole:
            raise UserError(f'--tile {tile}: {self.name} needs the whole face; leave --tile out')
        for module in self.generator.modules():
            module.register_forward_pre_hook(self._check_stop)
        if precision != 'float32':
            try:
                with torch.inference_mode():
                    channels = 1 if self.grey else 3
                    self._generate(torch.zeros(1, channels, 8, 8, device=self.device))
            except RuntimeError as error:
                reason = f'{self.name} cannot compute in it on {self.device} ({error})'
                raise UserError(f'--precision {precision}: {reason}; take float32') from error

    def restore(self, lq: Image8) -> Image8:
        """Restore one image: (H, W, 3) -> (4H, 4W, 3), or the generator's scale, uint8 RGB.

        A net with one channel gives (4H, 4W), grey. A UserError for any other array.
        """
        if lq.dtype != np.uint8 or lq.shape[2:] != (3,):
            found = f'{lq.dtype} of shape {lq.shape}'
            raise UserError(f'{found}: 8-bit RGB expected, (H, W, 3) uint8 of 0-255')
        return self.restore_batch([lq])[0][0]

    @torch.inference_mode()
    def restore_batch(
        self, lqs: Sequence[Image8], tile: int | None = None
    ) -> list[tuple[Image8, int | None]]:
        """Restore images of one size together, or in parts where memory runs out.

        Several are halved, one is cut into tiles of ``tile`` pixels, by default as the restorer
        says, and these are halved. A UserError if not even tiles of 32 pixels fit, a net for
        aligned faces gets none, or the net gives values that are not finite. With each image comes
        the side of its tiles in pixels of the input; None if it took no tiles.
        """
        height, width = lqs[0].shape[:2]
        if self.whole and (height != width or height < SMALLEST_INPUT):
            raise UserError(
                f'a {width}x{height} image: {self.name} needs aligned faces, square, of '
                f'{SMALLEST_INPUT} pixels or more; cut them out: tools/cut_faces.py'
            )
        longest, count = max(height, width), len(lqs)
        fits = self.device.type != 'cpu' or count * height * width <= MOST_PIXELS
        tile = tile or self.tile or (longest if fits or self.whole else CPU_TILE)
        if count == 1 or (fits and longest <= tile):
            try:
                if longest > tile:
                    return [(self._restore_tiled(lqs[0], tile), tile)]
                return [(image, None) for image in self._forward(np.stack(lqs))]
            except (MemoryError, RuntimeError) as error:
                release_memory(error, self.device)
        if count > 1:
            half = count // 2
            return self.restore_batch(lqs[:half]) + self.restore_batch(lqs[half:])
        tile = min(tile, longest) // 2
        if self.whole or tile < SMALLEST_TILE:
            reason = f'{self.name} needs the whole face' if self.whole else 'not even in tiles'
            raise UserError(f'a {width}x{height} image does not fit into memory ({reason})')
        return self.restore_batch(lqs, tile)

    def _restore_tiled(self, lq: Image8, tile: int) -> Image8:
        """Restore tiles with a margin, which is cut off again, so that no seams show."""
        height, width = lq.shape[:2]
        result = np.empty((0, 0, 3), np.uint8)
        # All of one size, so that each takes the memory that the one before has left.
        rows, columns = (min(tile + 2 * TILE_MARGIN, side) for side in (height, width))
        for top, left in product(range(0, height, tile), range(0, width, tile)):
            outer_top = min(max(top - TILE_MARGIN, 0), height - rows)
            outer_left = min(max(left - TILE_MARGIN, 0), width - columns)
            outer = lq[outer_top : outer_top + rows, outer_left : outer_left + columns]
            [restored] = self._forward(outer[None])
            scale = len(restored) // len(outer)
            if not result.size:
                sides = height * scale, width * scale
                result = np.empty((*sides, *restored.shape[2:]), np.uint8)
            area = result[top * scale : (top + tile) * scale, left * scale : (left + tile) * scale]
            inner = restored[(top - outer_top) * scale :, (left - outer_left) * scale :]
            area[:] = inner[: area.shape[0], : area.shape[1]]
        return result

    def _forward(self, lq: Image8) -> Image8:
        """(N, H, W, 3) -> (N, 4H, 4W, 3), both uint8 RGB, or (N, 4H, 4W), grey."""
        large = self.device.type == 'cpu' and lq.size > 3 * ONE_AT_A_TIME
        with self._large if large else nullcontext():
            return self._compute(lq)

    def _compute(self, lq: Image8) -> Image8:
        mean, std = self.preprocessor.mean, self.preprocessor.std
        # Permuted from NHWC, the batch is NCHW in channels-last layout.
        x = torch.from_numpy(np.ascontiguousarray(lq)).to(self.device).permute(0, 3, 1, 2)
        x = ((to_grey(x) if self.grey else x).float() - mean) / std
        y = self._generate(x) if self.tta is None else self._average(x, TTA[self.tta])
        # Comes with the image: to ask for it earlier, the host would wait for the GPU once more.
        strange = (~torch.isfinite(y)).any().to('cpu', non_blocking=True)
        levels = (y * std + mean).clamp(0, 255).round().to(torch.uint8)
        levels = levels[:, 0] if self.grey else levels.permute(0, 2, 3, 1)
        result: Image8 = levels.contiguous().cpu().numpy()
        if strange:
            remedy = 'other weights' if self.precision == 'float32' else '--precision float32'
            raise UserError(f'{self.name} gives values that are not finite; take {remedy}')
        return result

    def _average(self, x: Tensor, passes: list[tuple[int, int, bool]]) -> Tensor:
        """Mean of the passes' results, each moved and mirrored back, where it is in the image."""
        total = weight = torch.zeros((), device=self.device)
        for right, down, mirrored in passes:
            moved = pad(x, (right, -right, down, -down), 'replicate')
            y = self._generate(moved.flip(3)).flip(3) if mirrored else self._generate(moved)
            scale = y.shape[2] // x.shape[2]
            back = (-right * scale, right * scale, -down * scale, down * scale)
            total = total + pad(y, back)
            weight = weight + pad(torch.ones_like(y), back)
        return total / weight

    def _generate(self, x: Tensor) -> Tensor:
        dtype = PRECISIONS[self.precision]
        with use_tf32(False), torch.autocast(self.device.type, dtype, dtype != torch.float32):
            return Tensor.float(run_padded(self.generator, x, self.multiple))

    def _check_stop(self, module: Module, inputs: Any) -> None:
        # Ctrl-C reaches only the main thread; a net in another thread looks here.
        if self.stop.is_set():
            raise CancelledError


def open_exported(weights: str | Path, device: str | None = None) -> Restorer:
    """Make a restorer of what ``tools/export.py`` wrote; its metadata replace a config."""
    meta = read_checkpoint(weights).get('meta', {})
    if not {'generator', 'mean', 'std'} <= meta.keys():
        export = f'python tools/export.py CONFIG {weights} FILE.pth'
        raise UserError(f'{weights}: does not say which net it is for; export it first: {export}')
    settings = meta['generator'] if isinstance(meta['generator'], dict) else {}
    kind, parts = settings.get('type'), [place for place, _ in leaves(settings, 'generator')]
    # A file of weights causes no import, as a dotted name or a part with a type could.
    if kind not in MODELS.module_dict or any(place.count('.') > 1 for place in parts):
        raise UserError(f"{weights}: {kind} is no net of facesr's; name its config: --config FILE")
    scaling = dict(mean=meta['mean'], std=meta['std'], grey=meta.get('grey', False))
    scaling['type'] = 'FacePreprocessor'
    model = dict(generator=settings, data_preprocessor=scaling)
    model['size_multiple'] = meta.get('size_multiple')
    return Restorer(Config(dict(model=model)), weights, device)


def refused(error: Exception) -> UserError:
    """What to say of an image that a net cannot take."""
    reason = str(error).partition('\n')[0]
    return UserError(
        f'the net refuses the image: {reason}; if it needs sides that are multiples of 8, say: set '
        'model.size_multiple=8 in the config'
    )


def release_memory(error: MemoryError | RuntimeError, device: torch.device) -> None:
    """After running out of memory, free what PyTorch caches; any other error is a UserError."""
    out_of_memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if not out_of_memory and 'DefaultCPUAllocator' not in str(error):  # a CPU's RuntimeError
        raise refused(error) from error
    if device.type == 'cuda':
        torch.cuda.empty_cache()
