"""PSNR, SSIM and LPIPS of a batch of images, on the device that holds them."""

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import torch
from mmagic.evaluation import NIQE, PSNR
from mmagic.registry import METRICS
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.functional import conv2d

from ..checkpoint import read_checkpoint
from ..errors import UserError
from ..models.features import LPIPS_NETS, find_lpips, make_layers, read_features
from ..nets import use_tf32, use_threads

# SSIM's Gaussian window in pixels, and its constants for levels of 0-255.
WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
CPU_ROWS = 64  # that a CPU scores at a time: few enough for its cache, enough for few calls
#: The ReLUs of torchvision's ``features`` whose output LPIPS compares.
_LAYERS = {'alex': (1, 4, 7, 9, 11), 'vgg': (3, 8, 15, 22, 29)}
#: The least side of an image in pixels that leaves a pixel in the last of them.
LEAST_SIDE = {'alex': 31, 'vgg': 16}


def compared(images: Tensor, y: bool, border: int) -> Tensor:
    """What is scored of (N, C, H, W) RGB or grey, levels of 0-255: without a border of pixels.

    With ``y`` only the luma of RGB, (N, 1, H, W): ITU-R BT.601, 16-235, not rounded.
    """
    if y and images.shape[1] == 3:
        red, green, blue = images.float()[:, :, None].unbind(1)
        images = (65.481 * red + 128.553 * green + 24.966 * blue) / 255 + 16
    height, width = images.shape[2:]
    return images[:, :, border : height - border, border : width - border]


@torch.no_grad()
def psnr(images: Tensor, truths: Tensor) -> Tensor:
    """Peak signal-to-noise ratio over all pixels and channels, ``20 log10(255 / sqrt(MSE))``.

    Of (N, C, H, W), levels of 0-255, uint8 or float32 -> (N,) float64, in dB, infinity for equal
    images. Exact for 8-bit images; MMagic sums squares in float32, which changes the last digits.
    """
    mse = _sum_strips(_squared_error, images, truths) / images[0].numel()
    return 20 * torch.log10(255 / mse.sqrt())


@torch.no_grad()
def ssim(images: Tensor, truths: Tensor) -> Tensor:
    """Structural similarity as MMagic and the challenge compute it, mean over the channels.

    Z. Wang et al., *Image Quality Assessment: From Error Visibility to Structural Similarity*,
    2004, over the pixels around which the window fits. In float32; for similar images within 1e-6
    of MMagic's, which filters in float64 with a square kernel. Of (N, C, H, W), at least 11 pixels
    a side, levels of 0-255, uint8 or float32 -> (N,) float64, 1 for equal images, else less.
    """
    distance = torch.arange(WINDOW, dtype=torch.float64, device=images.device) - WINDOW // 2
    window = torch.exp(distance**2 / (-2 * SIGMA**2))
    window = (window / window.sum()).float().view(1, 1, 1, WINDOW)
    total = _sum_strips(partial(_sum_ssim, window), images, truths, WINDOW - 1)
    height, width = (side - WINDOW + 1 for side in images.shape[2:])
    return total / (images.shape[1] * height * width)


def _sum_strips(
    add: Callable[[Tensor, Tensor], Tensor], images: Tensor, truths: Tensor, overlap: int = 0
) -> Tensor:
    """Sum ``add`` over each image: on a GPU all images at once, on a CPU strip by strip.

    Of (N, C, H, W) -> (N,) float64; strips share ``overlap`` rows with the next.
    """
    height = images.shape[2] - overlap
    count, rows = (1, CPU_ROWS) if images.device.type == 'cpu' else (len(images), height)
    strips = [slice(top, top + rows + overlap) for top in range(0, height, rows)]
    with use_threads(1):  # a strip is too small for several
        sums = [
            torch.stack([add(x[:, :, strip], y[:, :, strip]) for strip in strips])
            for x, y in zip(images.split(count), truths.split(count), strict=True)
        ]
    return torch.cat([parts.sum(0, dtype=torch.float64) for parts in sums])


def _squared_error(images: Tensor, truths: Tensor) -> Tensor:
    return (images.float() - truths.float()).square_().sum((1, 2, 3), dtype=torch.float64)


def _sum_ssim(window: Tensor, images: Tensor, truths: Tensor) -> Tensor:
    """SSIM of each image, as a sum over its pixels and channels: (N,).

    By sum and difference, s = x + y and d = x - y: 4xy is s^2 - d^2 and 2(x^2 + y^2) is s^2 + d^2.
    For similar images d is small, so s^2 has the same rounding error in numerator and denominator;
    levels relative to their mean keep it small.
    """
    centre = truths[:, :, ::8, ::8].float().mean((2, 3), keepdim=True)
    x, y = images - centre, truths - centre
    maps = torch.stack([x + y, x - y, (x + y).square_(), (x - y).square_()])
    s, d, s_square, d_square = _blur(maps, window)
    s_variance, d_variance = s_square - s * s, d_square - d * d
    structure = (s_variance - d_variance + 2 * C2) / (s_variance + d_variance + 2 * C2)
    s, d = (s + 2 * centre).square_(), d.square_()
    luminance = (s - d + 2 * C1) / (s + d + 2 * C1)
    return Tensor.sum(luminance * structure, (1, 2, 3))


def _blur(maps: Tensor, window: Tensor) -> Tensor:
    """Filter where the window fits: (K, N, C, H, W) -> (K, N, C, H - 10, W - 10).

    Depthwise convolutions along lines of pixels, first with the columns as channels, then the rows:
    in these layouts a CPU's kernels are many times faster.
    """
    columns = maps.flatten(0, 2).transpose(1, 2).unsqueeze(2)
    if maps.is_cuda:  # cuDNN takes channels-last, and may round to TF32
        columns = columns.contiguous()
    rows = _filter_lines(columns, window).transpose(1, 3).contiguous()
    return _filter_lines(rows, window).view(*maps.shape[:3], rows.shape[1], -1)


def _filter_lines(lines: Tensor, window: Tensor) -> Tensor:
    """(N, lines, 1, pixels) -> (N, lines, 1, pixels - 10)."""
    return conv2d(lines, window.expand(lines.shape[1], -1, -1, -1), groups=lines.shape[1])


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity, version 0.1: 0 for equal images, else more.

    Zhang et al., *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric*, CVPR
    2018: the squared differences of the normalised features of five layers, summed over the
    channels with learned weights, averaged over the pixels, and added. Within 1e-5 of the package
    ``lpips`` 0.1.4, which downloads its nets from a server of torchvision's.

    ``net`` is ``'alex'`` (AlexNet, the authors' choice for scores) or ``'vgg'`` (VGG16, 20 times
    the operations); scores of the two do not compare.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: str = 'alex') -> None:
        super().__init__()
        self.net, self.path = net, find_lpips(net)
        stock, _ = LPIPS_NETS[net]
        self.features = make_layers(stock)[: _LAYERS[net][-1] + 1].to_empty(device='cpu')
        self.features.load_state_dict(read_features(self.path, self.features, stock))
        weights = read_checkpoint(self.path)['state_dict']
        self.heads = nn.ParameterList(weights[f'heads.{index}'] for index in range(5))
        # ImageNet's mean and deviation for levels of -1 to 1, as the authors rounded them.
        for name, values in (('mean', (-0.030, -0.088, -0.188)), ('std', (0.458, 0.448, 0.450))):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1))
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor, truths: Tensor) -> Tensor:
        """Compare images with their ground truths, in float32 where the net is.

        Of (N, 3, H, W), RGB, levels of 0-255, uint8 or float, at least :data:`LEAST_SIDE` pixels a
        side -> (N,).
        """
        with use_tf32(False):
            x = torch.cat([images, truths]).to(self.mean.device, torch.float32)
            x = (x / 127.5 - 1 - self.mean) / self.std
            heads = iter(self.heads)
            distance = x.new_zeros(len(images))
            for index, layer in enumerate(self.features):
                x = layer(x)
                if index in _LAYERS[self.net]:
                    unit = x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10)
                    image, truth = unit.chunk(2)
                    squares = (image - truth).square_().mean((2, 3))
                    distance += squares @ next(heads)
        return distance


@METRICS.register_module()
class BatchPSNR(PSNR):
    """MMagic's ``PSNR``, the mean over the images in dB, computed for batches on their device.

    The stock metric scores one image after the other on the CPU. Here the CPU waits for the GPU
    only when it gathers the scores. Arguments as ``PSNR``; unknown values are a UserError.
    """

    score: Callable[[Tensor, Tensor], Tensor] = staticmethod(psnr)
    results: list[Any]  # a tensor for each batch

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The default, 'cpu', gathers through files and leaves a folder behind.
        super().__init__(*args, **{'collect_device': 'gpu', **kwargs})
        if self.convert_to not in (None, 'Y'):
            raise UserError(f"convert_to={self.convert_to!r}: None or 'Y' expected")
        if self.input_order != 'CHW':
            raise UserError(f"input_order={self.input_order!r}: 'CHW' expected")
        if self.crop_border not in range(256):
            raise UserError(f'crop_border={self.crop_border}: a whole number to 255 expected')

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Score a batch of images."""
        images = [sample['output'][self.pred_key] for sample in data_samples]
        truths = [sample[self.gt_key] for sample in data_samples]
        for _, same in groupby(zip(images, truths, strict=True), lambda pair: pair[0].shape):
            batches = map(self._stack, zip(*same, strict=True))
            self.results.append(self.score(*batches))

    def evaluate(self) -> dict[str, float]:
        """Gather the scores of all processes, and return their mean by the metric's name."""
        scores = torch.cat(self.results).tolist()
        self.results = [{self.metric: score} for score in scores]
        means: dict[str, float] = super().evaluate()
        return means

    def _stack(self, images: Sequence[Tensor]) -> Tensor:
        """The part of each image that is compared: (N, C, H, W), BGR or Y."""
        batch, y = torch.stack([*images]), self.convert_to == 'Y'
        return compared(batch.flip(1) if y else batch, y, self.crop_border)


@METRICS.register_module()
class BatchSSIM(BatchPSNR):
    """MMagic's ``SSIM``, the mean over the images, computed as ``BatchPSNR``."""

    metric = 'SSIM'
    score = staticmethod(ssim)


@METRICS.register_module()
class BatchLPIPS(BatchPSNR):
    """LPIPS by AlexNet (:class:`LPIPS`), the mean over the images; lower is better.

    MMagic has no such metric. Without the weights it is ``nan``, and a warning says how to get
    them. Arguments as ``PSNR``.
    """

    metric = 'LPIPS'
    lpips: LPIPS | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.convert_to is not None:
            raise UserError(f'BatchLPIPS: convert_to={self.convert_to!r}: it needs all channels')
        try:
            self.lpips = LPIPS()
        except UserError as error:
            print_log(f'LPIPS will be nan: {error}', 'current', logging.WARNING)
            self.lpips = None

    def score(self, images: Tensor, truths: Tensor) -> Tensor:
        """Score (N, 3, H, W), BGR as MMagic's models give them: (N,)."""
        if self.lpips is None:
            return images.new_full((len(images),), math.nan, dtype=torch.float32)
        scores: Tensor = self.lpips.to(images.device)(images.flip(1), truths.flip(1))
        return scores


@METRICS.register_module()
class BlindNIQE(NIQE):
    """MMagic's ``NIQE``, which looks at no ground truth, without asking for one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gt_key = 'input'
