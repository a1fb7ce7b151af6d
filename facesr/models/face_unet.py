"""A U-shaped net for whole aligned faces: most of its work is done where a face is 64 to 16 px."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from mmagic.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, pixel_shuffle


@MODELS.register_module()
class FaceUNet(BaseModule):
    """Restores and enlarges aligned faces.

    Blocks of NAFNet (Chen et al., *Simple Baselines for Image Restoration*, ECCV 2022,
    arXiv:2204.04676) in its U shape, with what these faces allow beside:

    - they are aligned, so a learned map of the face is added to the coarsest features: what
      convolutions cannot know is where in the face they are;
    - the degradation blurs, so structure is found at 16 to 64 px, where large depth-wise kernels
      (Ding et al., arXiv:2203.06717) see half a face and cost little;
    - the enlargement is a single pixel shuffle from the input's size (Shi et al.,
      arXiv:1609.05158), added to the bilinear enlargement as MMagic's ``MSRResNet`` has it; nothing
      is computed at 256 or 512 px, where ``MSRResNet`` spends two fifths of its time.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        channels: of the features at 128, 64, 32 ... px, for an input of 128.
        encoder_blocks: blocks at each of these sizes on the way down; the last are the middle's.
        decoder_blocks: blocks at each size but the coarsest on the way up, finest first.
        kernel_sizes: of the depth-wise convolutions at each size, odd.
        map_size: side of the learned map; 0 has none.
        upscale_factor: of the output to the input.
    """

    #: A tile of a face is no face: tells :class:`facesr.evaluation.Restorer` to take it whole.
    whole_images = True

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        channels: Sequence[int] = (32, 64, 128, 192),
        encoder_blocks: Sequence[int] = (1, 2, 3, 3),
        decoder_blocks: Sequence[int] = (1, 2, 3),
        kernel_sizes: Sequence[int] = (3, 3, 5, 5),
        map_size: int = 16,
        upscale_factor: int = 4,
    ) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor
        self.stem = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        levels = list(zip(channels, kernel_sizes, strict=True))
        steps = list(pairwise(channels))
        self.encoders = nn.ModuleList(
            nn.Sequential(*(GatedBlock(width, kernel) for _ in range(count)))
            for (width, kernel), count in zip(levels, encoder_blocks, strict=True)
        )
        self.downs = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse, 4 * fine, 1, bias=False), nn.PixelShuffle(2))
            for fine, coarse in steps
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(*(GatedBlock(width, kernel) for _ in range(count)))
            for (width, kernel), count in zip(levels[:-1], decoder_blocks, strict=True)
        )
        self.head = nn.Conv2d(channels[0], out_channels * upscale_factor**2, 3, padding=1)
        self.face_map = (
            nn.Parameter(torch.zeros(1, channels[-1], map_size, map_size)) if map_size else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, 4H, 4W), in any range that is linear in the pixel's value."""
        height, width = x.shape[-2:]
        multiple = 2 ** len(self.downs)
        padded = pad(x, (0, -width % multiple, 0, -height % multiple), mode='replicate')
        skips = []
        features = self.stem(padded)
        for encoder, down in zip(self.encoders, self.downs, strict=False):
            features = encoder(features)
            skips.append(features)
            features = down(features)
        if self.face_map is not None:
            features = features + interpolate(
                self.face_map, features.shape[-2:], mode='bilinear', align_corners=False
            )
        features = self.encoders[-1](features)
        for up, decoder, skip in list(zip(self.ups, self.decoders, skips, strict=True))[::-1]:
            features = decoder(up(features) + skip)
        detail = pixel_shuffle(self.head(features), self.upscale_factor)
        detail = detail[..., : self.upscale_factor * height, : self.upscale_factor * width]
        base = interpolate(
            x, scale_factor=self.upscale_factor, mode='bilinear', align_corners=False
        )
        return base + detail


class GatedBlock(nn.Module):
    """NAFNet's block: two gated residual branches, scaled by factors that start at zero.

    Args:
        channels: of its input and output.
        kernel_size: of its depth-wise convolution.
    """

    def __init__(self, channels: int, kernel_size: int = 3) -> None:
        super().__init__()
        wide = 2 * channels
        self.norm1, self.norm2 = ChannelNorm(channels), ChannelNorm(channels)
        self.expand1 = nn.Conv2d(channels, wide, 1)
        self.spatial = nn.Conv2d(wide, wide, kernel_size, padding=kernel_size // 2, groups=wide)
        self.attention = nn.Conv2d(channels, channels, 1)
        self.project1 = nn.Conv2d(channels, channels, 1)
        self.expand2 = nn.Conv2d(channels, wide, 1)
        self.project2 = nn.Conv2d(channels, channels, 1)
        self.scale1 = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.scale2 = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        gated = _gate(self.spatial(self.expand1(self.norm1(x))))
        gated = gated * self.attention(gated.mean((2, 3), keepdim=True))
        x = x + self.scale1 * self.project1(gated)
        restored: Tensor = x + self.scale2 * self.project2(_gate(self.expand2(self.norm2(x))))
        return restored


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel, without a copy where they lie last."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        normed: Tensor = super().forward(x.permute(0, 2, 3, 1))
        return normed.permute(0, 3, 1, 2)


def _gate(x: Tensor) -> Tensor:
    """NAFNet's SimpleGate: (N, 2C, H, W) -> (N, C, H, W)."""
    features: Tensor
    gates: Tensor
    features, gates = x.chunk(2, 1)
    return features * gates
