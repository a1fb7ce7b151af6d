"""A U-shaped net for whole aligned faces; most of its work is at 64 to 16 px."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from mmagic.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import interpolate, linear, pad

from ..errors import UserError


@MODELS.register_module()
class FaceUNet(BaseModule):
    """Restores and enlarges aligned faces.

    NAFNet's blocks and U shape (Chen et al., *Simple Baselines for Image Restoration*, ECCV 2022,
    arXiv:2204.04676), fitted to these faces:

    - they are aligned, so a learned map of the face is added to the coarsest features: it tells the
      convolutions where in the face they are;
    - they are blurred, so the first features are at half the input's size (Shi et al.,
      arXiv:1609.05158), and most blocks at an eighth of it, where they see half a face and cost
      little;
    - as in MMagic's ``MSRResNet``, the output is added to the bilinear enlargement, and is zero at
      first; unlike there, nothing is computed at 256 or 512 px, two fifths of that net's time.

    Features are (N, H, W, C), so that 1x1 convolutions are matrix products without a copy.

    Args:
        channels: of the features at 64, 32, 16 ... px, for an input of 128.
        encoder_blocks: blocks at each of these sizes on the way down; the last are the middle's.
        decoder_blocks: blocks at each size but the coarsest on the way up, finest first.
        head_channels: of the features at the input's size, from which the enlargement is made.
        residual_scale: what each branch is scaled by at first.
        map_size: side of the learned map; 0 has none.
    """

    #: The restorer never cuts this net's input into tiles: a tile is no face.
    whole_images = True

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (48, 96, 192),
        encoder_blocks: Sequence[int] = (2, 3, 5),
        decoder_blocks: Sequence[int] = (3, 4),
        head_channels: int = 32,
        residual_scale: float = 0.2,
        map_size: int = 16,
        upscale_factor: int = 4,
    ) -> None:
        super().__init__()
        sizes = len(channels)
        if (len(encoder_blocks), len(decoder_blocks)) != (sizes, sizes - 1):
            raise UserError(
                f'model.generator: {sizes} channels need {sizes} encoder_blocks and '
                f'{sizes - 1} decoder_blocks; there are {len(encoder_blocks)} and '
                f'{len(decoder_blocks)}'
            )
        self.upscale_factor = upscale_factor
        self.stem = nn.Conv2d(4 * in_channels, channels[0], 3, padding=1)
        steps = list(pairwise(channels))

        def stack(width: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(GatedBlock(width, residual_scale) for _ in range(count)))

        self.encoders = nn.ModuleList(map(stack, channels, encoder_blocks))
        self.downs = nn.ModuleList(nn.Linear(4 * fine, coarse) for fine, coarse in steps)
        self.ups = nn.ModuleList(nn.Linear(coarse, 4 * fine, bias=False) for fine, coarse in steps)
        self.decoders = nn.ModuleList(map(stack, channels[:-1], decoder_blocks))
        self.to_head = nn.Linear(channels[0], 4 * head_channels)
        self.head = nn.Conv2d(head_channels, in_channels * upscale_factor**2, 3, padding=1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)
        self.face_map = (
            nn.Parameter(torch.zeros(1, channels[-1], map_size, map_size)) if map_size else None
        )
        self.to(memory_format=torch.channels_last)  # as their gradients come

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, 4H, 4W), in any range that is linear in the pixel's value."""
        height, width = x.shape[-2:]
        multiple = 2 ** len(self.encoders)
        padded = pad(x, (0, -width % multiple, 0, -height % multiple), mode='replicate')
        skips = []
        halves = unshuffle(padded.permute(0, 2, 3, 1), 2)
        features = self.stem(halves.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        for encoder, down in zip(self.encoders, self.downs, strict=False):
            features = encoder(features)
            skips.append(features)
            features = down(unshuffle(features, 2))
        if self.face_map is not None:
            size = features.shape[1:3]
            face = interpolate(self.face_map, size, mode='bilinear', align_corners=False)
            features = features + face.permute(0, 2, 3, 1)
        features = self.encoders[-1](features)
        for up, decoder, skip in list(zip(self.ups, self.decoders, skips, strict=True))[::-1]:
            features = decoder(shuffle(up(features), 2) + skip)
        features = shuffle(self.to_head(features), 2).permute(0, 3, 1, 2)
        detail = shuffle(self.head(features).permute(0, 2, 3, 1), self.upscale_factor)
        detail = detail[:, : self.upscale_factor * height, : self.upscale_factor * width]
        base = interpolate(
            x, scale_factor=self.upscale_factor, mode='bilinear', align_corners=False
        )
        return base + detail.permute(0, 3, 1, 2)


class GatedBlock(nn.Module):
    """NAFNet's block: two gated residual branches, each scaled by a learned factor a channel.

    NAFNet starts the factors at zero; ``residual_scale`` makes a short training better.
    """

    def __init__(self, channels: int, residual_scale: float) -> None:
        super().__init__()
        wide = 2 * channels
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.expand1 = nn.Linear(channels, wide)
        self.spatial = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.attention = nn.Linear(channels, channels)
        self.project1 = ScaledLinear(channels, channels, residual_scale)
        self.expand2 = nn.Linear(channels, wide)
        self.project2 = ScaledLinear(channels, channels, residual_scale)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) -> the same shape."""
        wide = self.expand1(self.norm1(x)).permute(0, 3, 1, 2)
        gated = _gate(self.spatial(wide).permute(0, 2, 3, 1))
        x = x + self.project1(gated * self.attention(gated.mean((1, 2), keepdim=True)))
        restored: Tensor = x + self.project2(_gate(self.expand2(self.norm2(x))))
        return restored


class ScaledLinear(nn.Linear):
    """A linear layer with a learned factor for each output, multiplied into its weights."""

    def __init__(self, in_features: int, out_features: int, scale: float) -> None:
        super().__init__(in_features, out_features)
        self.scale = nn.Parameter(torch.full((out_features,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        return linear(x, self.weight * self.scale[:, None], self.bias * self.scale)


def _gate(x: Tensor) -> Tensor:
    """NAFNet's SimpleGate: (..., 2C) -> (..., C)."""
    features, gates = x.chunk(2, -1)
    return features * gates


def shuffle(x: Tensor, factor: int) -> Tensor:
    """A pixel shuffle with channels last: (N, H, W, f*f*C) -> (N, f*H, f*W, C).

    PyTorch's own returns (N, C, H, W) in memory, whatever its input's layout.
    """
    count, height, width, _ = x.shape
    split = x.reshape(count, height, width, factor, factor, -1).transpose(2, 3)
    return split.reshape(count, factor * height, factor * width, -1)


def unshuffle(x: Tensor, factor: int) -> Tensor:
    """The inverse of :func:`shuffle`: (N, H, W, C) -> (N, H/f, W/f, f*f*C)."""
    count, height, width, _ = x.shape
    split = x.reshape(count, height // factor, factor, width // factor, factor, -1)
    return split.transpose(2, 3).reshape(count, height // factor, width // factor, -1)
