"""The challenge's degradation since 2024: Real-ESRGAN's second order.

(Wang et al., arXiv:2107.10833.) MMagic has each step as a transform, but its chain is 0.9 dB easier
for bicubic than BasicSR's (``realesrgan_dataset.py``, ``realesrgan_model.py``), which made the
challenge's inputs. Poisson noise is too weak (``noise.py``): 0.45 dB. ``RandomResize`` is OpenCV's;
PyTorch's averages complete pixels, and a scale factor that does not give a length exactly moves the
picture by up to a pixel of the result: 0.3 dB. OpenCV's JPEG interpolates chroma: 0.1 dB.
``RandomBlur`` draws the exponent of a kernel twice. So these steps are BasicSR's here; all values
are drawn beforehand, for the transforms draw from global generators.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from mmagic.datasets.transforms import RandomNoise, UnsharpMasking, blur_kernels
from mmagic.registry import TRANSFORMS
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..images import Image8
from .base import (
    METHOD_NAMES,
    MULTIPLE_OF_16,
    Degradation,
    Range,
    apply_transforms,
    check_settings,
    number,
    pair,
    seeded,
    setting,
)
from .blur import BatchBlur, FixedBlur, Kernel
from .jpeg import JPEG
from .noise import BatchNoise, PoissonNoise, poisson_noise
from .resize import HALVES_UP, METHODS, BatchResize, Taps, pytorch_taps

#: MMagic's kernels by name, without iso or aniso: the function, and the setting of its exponent.
_KINDS: dict[str, tuple[Callable[..., Kernel], str | None]] = {
    '': (blur_kernels.bivariate_gaussian, None),
    'generalized_': (blur_kernels.bivariate_generalized_gaussian, 'beta_gaussian'),
    'plateau_': (blur_kernels.bivariate_plateau, 'beta_plateau'),
}
_KERNELS = [kind + shape for kind in _KINDS for shape in ('iso', 'aniso')]


class PassValues(NamedTuple):
    """The values of a pass, drawn for one image."""

    kernel: Kernel  # of the blur, (K, K); a single 1 leaves the image as it is
    scale: float  # of the resizing, to a part of gt_size or lq_size
    length: int  # height and width in pixels after it
    method: int  # of the resizing, an index into METHODS
    sigma: float  # of Gaussian noise, levels of 255; 0: none
    shot: float  # the strength of Poisson noise; 0: none
    grey: bool  # whether the noise is the same in all channels
    quality: int  # JPEG's, 1-100; 0: none


class SecondOrderValues(NamedTuple):
    """The values drawn for one image."""

    first: PassValues
    second: PassValues
    kernel: Kernel  # of the last filter, (K, K)
    method: int  # of the last resizing
    jpeg_first: bool  # whether the second JPEG comes before the last resizing and filter


class SecondOrderInput(NamedTuple):
    """What a batch takes of an image's values."""

    values: SecondOrderValues
    kernels: NDArray[np.float32]  # (3, K, K)
    taps: tuple[Taps, ...]  # of the three resizings


def _shares(names: Sequence[str]) -> Range:
    """The range of probabilities by name."""
    return (
        f'shares of {[*names]}, 1 together,',
        lambda shares: (
            {*shares} <= {*names}
            and min(shares.values()) >= 0
            and abs(sum(shares.values()) - 1) < 1e-6
        ),
    )


PASS: Range = ('a dictionary', lambda settings: isinstance(settings, Mapping))
PROBABILITY = number(0, 1)
SIZES: Range = (
    '(least, most), odd, from 3 to 41,',
    lambda sizes: {*sizes} <= {*range(3, 42, 2)} and sizes[0] <= sizes[1],
)


@dataclass(frozen=True)
class PassSettings:
    """What one of the two passes does. Pairs are (least, most), drawn evenly."""

    blur_prob: float = setting(PROBABILITY)
    blur_sigma: tuple[float, float] = setting(pair(0.01))  # of kernels, pixels, along either axis
    resize_prob: Mapping[str, float] = setting(_shares(['up', 'down', 'keep']))
    # Down to, up to, or both below 1; of gt_size, in the second pass of lq_size.
    resize_scale: tuple[float, float] = setting(pair(0))
    noise_prob: float = setting(PROBABILITY)  # of noise, Gaussian or Poisson
    noise_sigma: tuple[float, float] = setting(pair(0))  # of Gaussian noise, levels of 255
    poisson_scale: tuple[float, float] = setting(pair(0))  # 1: that of an image's own counts
    jpeg_prob: float = setting(PROBABILITY)
    jpeg_quality: tuple[int, int] = setting(pair(1, 100))


@TRANSFORMS.register_module()
@dataclass(frozen=True)
class SecondOrderDegradation(Degradation):
    """Blur, resize, noise, JPEG, all twice; the second JPEG before or after a last sinc filter.

    A step's probability can be 0. ``lq_size`` may be ``gt_size``: then the second pass and the
    last resizing enlarge what the first one shrunk, with its noise and its JPEG.
    """

    gt_size: int = setting(MULTIPLE_OF_16)  # height and width of the ground truth in pixels
    lq_size: int = setting(number(1))  # of the result; divides gt_size
    first_pass: Mapping[str, Any] = setting(PASS)  # see PassSettings
    second_pass: Mapping[str, Any] = setting(PASS)
    kernels: Mapping[str, float] = setting(_shares(_KERNELS))  # probabilities by name
    kernel_sizes: tuple[int, int] = setting(SIZES)  # of blurs and sinc filters, pixels
    # Of a sinc filter instead of a blur: it rings like an oversharpened photograph.
    sinc_prob: float = setting(PROBABILITY)
    # Exponents of the generalized and the plateau kernels, below or above 1 with probability 1/2.
    beta_gaussian: tuple[float, float] = setting(pair(0.1))
    beta_plateau: tuple[float, float] = setting(pair(0.1))
    resize_methods: Sequence[str] = setting(METHOD_NAMES)  # equally probable
    poisson_prob: float = setting(PROBABILITY)  # of Poisson noise, else Gaussian
    grey_prob: float = setting(PROBABILITY)  # of the same noise in all channels
    final_sinc_prob: float = setting(PROBABILITY)  # of the last filter
    # Of the second JPEG before the last resizing and filter, else after.
    jpeg_first_prob: float = setting(PROBABILITY)
    # Whether the ground truth is sharpened first, as Real-ESRGAN's is; it costs PSNR.
    gt_usm: bool = False
    # Of a resizing that enlarges; empty: resize_methods. Only area shrinks as a camera does, the
    # others skip pixels.
    enlarge_methods: Sequence[str] = setting((METHOD_NAMES[0], {*METHODS}.issuperset), ())
    first: PassSettings = field(init=False)
    second: PassSettings = field(init=False)

    def __post_init__(self) -> None:
        self.check()
        for name, size in (('first', self.gt_size), ('second', self.lq_size)):
            settings = PassSettings(**getattr(self, f'{name}_pass'))
            scales = pair(5 / size, 4)  # JPEG in the batch takes 5 pixels or more
            check_settings(f'degradation.{name}_pass', settings, resize_scale=scales)
            object.__setattr__(self, name, settings)

    def sharpen(self, gt: Image8) -> Image8:
        if not self.gt_usm:
            return gt
        sharpen = UnsharpMasking(kernel_size=51, sigma=0, weight=0.5, threshold=10, keys=['gt'])
        sharpened = sharpen({'gt': gt})['gt_unsharp']
        return np.asarray(np.clip(np.rint(sharpened), 0, 255), np.uint8)

    def sample(self, rng: RandomState) -> SecondOrderValues:
        """Draw the values for one image."""
        first = self._sample_pass(rng, self.first, self.gt_size, self.gt_size)
        second = self._sample_pass(rng, self.second, self.lq_size, first.length)
        return SecondOrderValues(
            first=first,
            second=second,
            kernel=self._sample_kernel(rng, self.final_sinc_prob),
            method=self._sample_method(rng, second.length, self.lq_size),
            jpeg_first=rng.random_sample() < self.jpeg_first_prob,
        )

    def _sample_pass(
        self, rng: RandomState, settings: PassSettings, size: int, before: int
    ) -> PassValues:
        """Draw the values of a pass over ``before`` pixels a side; scales are of ``size``."""
        least, most = settings.resize_scale
        bounds = {'up': (1, most), 'down': (least, min(most, 1)), 'keep': (1, 1)}
        change = rng.choice([*settings.resize_prob], p=[*settings.resize_prob.values()])
        scale = rng.uniform(*bounds[change])
        length = int(size * scale)
        is_noisy = rng.random_sample() < settings.noise_prob
        is_poisson = rng.random_sample() < self.poisson_prob
        return PassValues(
            kernel=self._sample_kernel(rng, settings.blur_prob, settings.blur_sigma),
            scale=scale,
            length=length,
            method=self._sample_method(rng, before, length),
            sigma=rng.uniform(*settings.noise_sigma) * (is_noisy and not is_poisson),
            shot=rng.uniform(*settings.poisson_scale) * (is_noisy and is_poisson),
            grey=rng.random_sample() < self.grey_prob,
            quality=round(rng.uniform(*settings.jpeg_quality))
            * (rng.random_sample() < settings.jpeg_prob),
        )

    def _sample_method(self, rng: RandomState, before: int, after: int) -> int:
        methods = self.enlarge_methods if after > before else ()
        return METHODS.index(rng.choice(methods or self.resize_methods))

    def _sample_kernel(
        self, rng: RandomState, prob: float, sigmas: tuple[float, float] | None = None
    ) -> Kernel:
        """Draw a blur's kernel; without sigmas the last filter's, which is a sinc filter."""
        size = int(rng.choice(range(self.kernel_sizes[0], self.kernel_sizes[1] + 1, 2)))
        if rng.random_sample() >= prob:
            kernel = np.ones((1, 1))
        elif sigmas is None or rng.random_sample() < self.sinc_prob:
            cutoff = rng.uniform(np.pi / (3 if sigmas is None or size < 13 else 5), np.pi)
            with seeded(0):  # MMagic's function draws the cut-off from its range
                kernel = blur_kernels.random_circular_lowpass_kernel([cutoff, cutoff], size)
        else:
            name = rng.choice([*self.kernels], p=[*self.kernels.values()])
            kind, _, _ = name.replace('aniso', 'iso').partition('iso')
            make, betas = _KINDS[kind]
            shape = dict(is_isotropic='aniso' not in name)
            if betas is not None:
                least, most = getattr(self, betas)
                below = rng.random_sample() < 0.5
                shape['beta'] = rng.uniform(*((least, 1) if below else (1, most)))
            kernel = make(size, *rng.uniform(*sigmas, 2), rng.uniform(-np.pi, np.pi), **shape)
        return np.pad(kernel, (self.kernel_sizes[1] - len(kernel)) // 2)

    def prepare(self, values: SecondOrderValues) -> SecondOrderInput:
        first, second = values.first, values.second
        kernels = first.kernel, second.kernel, values.kernel
        taps = (
            pytorch_taps(self.gt_size, first.length, first.method, 1 / first.scale),
            pytorch_taps(first.length, second.length, second.method),
            pytorch_taps(second.length, self.lq_size, values.method),
        )
        padded = (resize.pad(each) for resize, each in zip(self.resizes, taps, strict=True))
        return SecondOrderInput(values, np.stack(kernels).astype(np.float32), tuple(padded))

    @cached_property
    def resizes(self) -> list[BatchResize]:
        """The batch's three."""
        (least, most), (then_least, then_most) = (
            [int(size * limit(1, *settings.resize_scale)) for limit in (min, max)]
            for size, settings in ((self.gt_size, self.first), (self.lq_size, self.second))
        )
        ratios = self.gt_size / least, most / then_least, then_most / self.lq_size
        # JPEG takes multiples of 16.
        sides = (-(-length // 16) * 16 for length in (most, then_most, self.lq_size))
        return [BatchResize(*each, fixed=False) for each in zip(sides, ratios, strict=True)]

    def degrade(self, image: Image8, values: SecondOrderValues, noise_seed: int) -> Image8:
        first, second = values.first, values.second
        jpeg = partial(_compress, quality=second.quality)
        end = partial(_resize, method=values.method, size=self.lq_size), _blur(values.kernel)
        transforms = (
            _blur(first.kernel),
            partial(_resize, method=first.method, scale_factor=first.scale),
            _make_noise(first),
            partial(_compress, quality=first.quality),
            _blur(second.kernel),
            partial(_resize, method=second.method, size=second.length),
            _make_noise(second),
            *((jpeg, *end) if values.jpeg_first else (*end, jpeg)),
        )
        return apply_transforms(image, transforms, noise_seed)

    def make_batch(self) -> 'SecondOrderBatch':
        return SecondOrderBatch(self)


def _resize(results: dict[str, Any], method: int, **target: Any) -> dict[str, Any]:
    """PyTorch's ``interpolate`` as a transform, with a ``size`` in pixels or a ``scale_factor``."""
    if target.get('scale_factor') == 1 or target.get('size') == len(results['img']):
        return results  # each method would change nothing
    image = torch.from_numpy(np.float32(results['img'])).permute(2, 0, 1)
    [resized] = functional.interpolate(image[None], mode=METHODS[method], **target)
    return {'img': (resized + HALVES_UP).permute(1, 2, 0).numpy()}


def _as_is(results: dict[str, Any]) -> dict[str, Any]:
    return results


def _blur(kernel: Kernel) -> Any:
    return FixedBlur(kernel) if np.count_nonzero(kernel) > 1 else _as_is


def _compress(results: dict[str, Any], quality: int) -> dict[str, Any]:
    """The batch's JPEG as a transform; none if the quality is 0."""
    if not quality:
        return results
    image = torch.from_numpy(results['img']).permute(2, 0, 1)
    length = image.shape[-1]
    canvas = functional.pad(image.flip(0), [0, -length % 16] * 2)[None].contiguous()
    [decoded] = _make_jpeg()(canvas, torch.tensor([length]), torch.tensor([quality]))
    decoded = decoded[:, :length, :length].flip(0).permute(1, 2, 0)
    return {'img': decoded.to(torch.uint8).contiguous().numpy()}


def _make_noise(values: PassValues) -> Any:
    if values.shot:
        return PoissonNoise(values.shot, values.grey)
    if not values.sigma:
        return _as_is
    params = dict(
        noise_type=['gaussian'],
        noise_prob=[1],
        gaussian_sigma=[values.sigma] * 2,
        gaussian_gray_noise_prob=float(values.grey),
    )
    return RandomNoise(params, ['img'])


_make_jpeg = cache(partial(JPEG, fancy=False))  # its tables take longer than an image


class SecondOrderBatch(nn.Module):
    """The degradation of a batch on its device, as the loader's way does it."""

    def __init__(self, settings: SecondOrderDegradation) -> None:
        super().__init__()
        self.lq_size, self.resizes = settings.lq_size, settings.resizes
        first, _, last = (resize.side for resize in self.resizes)
        sides = settings.gt_size, first, last
        self.blurs = [BatchBlur(side, settings.kernel_sizes[1]) for side in sides]
        self.jpeg = JPEG(fancy=False)

    def forward(self, gt: Tensor, inputs: Any, noise: BatchNoise) -> Tensor:
        """Degrade; see :meth:`.base.Degradation.make_batch`."""
        first, second, _, _, jpeg_first = inputs.values
        kernels = inputs.kernels.unbind(1)

        x = self.blurs[0](gt, kernels[0])
        x = self.resizes[0](x.transpose(1, 2), inputs.taps[0])
        x = self._add_noise(x, first, noise)
        x = self._compress(x, first.length, first.quality)

        x = self.blurs[1](x, kernels[1], first.length)
        x = self.resizes[1](x.transpose(1, 2), inputs.taps[1])
        x = self._add_noise(x, second, noise)
        x = self._compress(x, second.length, second.quality * jpeg_first)

        length = torch.full_like(second.length, self.lq_size)
        x = self.resizes[2](x.transpose(1, 2), inputs.taps[2])
        x = self.blurs[2](x.transpose(1, 2), kernels[2], length)
        x = self._compress(x, length, second.quality * ~jpeg_first)
        return x[..., : self.lq_size, : self.lq_size].to(torch.uint8)

    @staticmethod
    def _add_noise(x: Tensor, values: Any, noise: BatchNoise) -> Tensor:
        """Noise on (N, S, 3, S), levels: (N, 3, S, S), levels."""
        sigma, shot = (value.float().view(-1, 1, 1, 1) for value in (values.sigma, values.shot))
        normal = noise.normal(x.shape[1]).transpose(1, 2)
        normal = torch.where(values.grey.view(-1, 1, 1, 1), normal[:, :, :1], normal)
        poisson = poisson_noise(x, values.length, values.grey, noise)
        x = x.addcmul(normal, sigma).addcmul_(poisson, shot).round_().clamp_(0, 255)
        return x.transpose(1, 2)

    def _compress(self, x: Tensor, lengths: Tensor, qualities: Tensor) -> Tensor:
        """Compress (N, 3, S, S), levels; a quality of 0 leaves an image as it is."""
        bgr = x.to(torch.uint8).flip(1)  # what the encoder takes
        compressed = self.jpeg(bgr, lengths, qualities.clamp(min=1)).flip(1)
        return torch.where(qualities.view(-1, 1, 1, 1) > 0, compressed, x)
