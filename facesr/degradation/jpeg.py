"""libjpeg's baseline JPEG, encoded and decoded in PyTorch: a batch of images, sizes and qualities.

Equal to libjpeg's encoder and decoder, level for level: the integer transforms ("islow"), the
quantisation, 4:2:0 chroma with its alternating rounding and "fancy" triangular upsampling are those
of libjpeg 6b (Independent JPEG Group; ``jccolor.c``, ``jcsample.c``, ``jfdctint.c``,
``jcdctmgr.c``, ``jidctint.c``, ``jdsample.c``, ``jdcolor.c``), with which OpenCV encodes. Entropy
coding is left out: it loses nothing.
"""

import math

import torch
from torch import Tensor, nn

# Tables of ITU-T T.81, annex K.1: luma and chroma at quality 50.
_LUMA = """
    16 11 10 16  24  40  51  61   12 12 14 19  26  58  60  55
    14 13 16 24  40  57  69  56   14 17 22 29  51  87  80  62
    18 22 37 56  68 109 103  77   24 35 55 64  81 104 113  92
    49 64 78 87 103 121 120 101   72 92 95 98 112 100 103  99
"""
_CHROMA = (
    """
    17 18 24 47 99 99 99 99   18 21 26 66 99 99 99 99
    24 26 56 99 99 99 99 99   47 66 99 99 99 99 99 99
"""
    + '99 ' * 32
)
# The islow transforms' constants, times 2 ** 13.
_CONST_BITS, _PASS1_BITS = 13, 2


def _fix(value: float) -> int:
    return int(value * (1 << _CONST_BITS) + 0.5)


def _forward_matrix() -> Tensor:
    """One pass of jfdctint.c, times 2 ** 13, as the integer matrix that its butterflies compute."""
    eye = torch.eye(8, dtype=torch.int64)
    even = [eye[i] + eye[7 - i] for i in range(4)]
    odd = [eye[3 - i] - eye[4 + i] for i in range(4)]  # tmp4 .. tmp7
    t10, t13, t11, t12 = (
        even[0] + even[3], even[0] - even[3], even[1] + even[2], even[1] - even[2]
    )  # fmt: skip
    rows: list[Tensor] = [eye[0]] * 8
    rows[0] = (t10 + t11) << _CONST_BITS
    rows[4] = (t10 - t11) << _CONST_BITS
    z1 = (t12 + t13) * _fix(0.541196100)
    rows[2] = z1 + t13 * _fix(0.765366865)
    rows[6] = z1 - t12 * _fix(1.847759065)
    t4, t5, t6, t7 = odd
    z5 = (t4 + t6 + t5 + t7) * _fix(1.175875602)
    z1, z2 = -(t4 + t7) * _fix(0.899976223), -(t5 + t6) * _fix(2.562915447)
    z3 = -(t4 + t6) * _fix(1.961570560) + z5
    z4 = -(t5 + t7) * _fix(0.390180644) + z5
    rows[7] = t4 * _fix(0.298631336) + z1 + z3
    rows[5] = t5 * _fix(2.053119869) + z2 + z4
    rows[3] = t6 * _fix(3.072711026) + z2 + z3
    rows[1] = t7 * _fix(1.501321110) + z1 + z4
    return torch.stack(rows)


def quantisation_tables() -> Tensor:
    """What libjpeg's ``jpeg_set_quality`` sets: (101, 2, 8, 8), by quality, luma and chroma."""
    base = torch.tensor([[int(n) for n in table.split()] for table in (_LUMA, _CHROMA)])
    quality = torch.arange(101).clamp(min=1)
    scale = torch.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = (base * scale[:, None, None] + 50) // 100
    return tables.clamp(1, 255).view(101, 2, 8, 8)


class JPEG(nn.Module):
    """Compresses each image of a batch as OpenCV's encoder does and decodes it again.

    All images lie in the top left of a common square canvas; pixels beyond a size are ignored, and
    are undefined in the result. The number of kernel launches does not depend on the batch.

    Args:
        fancy: False does two things as BasicSR's ``DiffJPEG``: chroma is repeated where libjpeg
            interpolates it, and black surrounds an image up to a multiple of 16 pixels.

    The arithmetic is libjpeg's, on integers in int32, element by element: no matrix product,
    whose precision a setting or a device could change. Weights are enlarged so that the shift to
    the right after a sum is by 16 bits: the upper half of each int32, a view of int16.
    """

    # No sum leaves int32, and no upper half int16. The forward passes' sums are at most 2 ** 28 and
    # 2 ** 29: a row of weights' absolute values is at most 2 ** 16 before they are enlarged, by 32
    # and by 2, its input 2 ** 7 and 2 ** 12. The inverse passes' are bounded by lengths of vectors:
    # a block of pixels, and so its coefficients, has at most 8 * 128, and rounding to steps of up
    # to 255 adds at most 127.5 times the square root of how many they are, so a column of them has
    # at most 1385, a block 2044. A column of weights has the length 8192 * sqrt(8), so the first
    # sum is at most 32 * 23171 * 1385 < 2 ** 30; the second is 2 ** 18 times a pixel, so less too.

    steps: Tensor
    to_ycc: Tensor
    from_ycc: Tensor
    half_up: Tensor
    means: Tensor
    edges: Tensor
    weights: Tensor
    rounding: Tensor
    order: Tensor

    def __init__(self, fancy: bool = True) -> None:
        super().__init__()
        self.fancy = fancy
        # By parity of a row (or column) of a block and half its number, as the passes leave them,
        # quality, and block of a macroblock: four of luma, two of chroma.
        tables = quantisation_tables()[:, [0, 0, 0, 0, 1, 1]].view(101, 6, 4, 2, 4, 2)
        # The transform's weights for the first half of the inputs: the other half mirrors them.
        half = _forward_matrix()[:, :4].view(4, 2, 4)
        forward, inverse = half.permute(2, 1, 0), half
        rounding = torch.zeros(4, 2, 4, dtype=torch.int64)
        rounding[:2] = rounding[2:, 0] = 1 << 15
        rounding[0, 0, 0] -= 128 * 8 << _CONST_BITS + 5  # pixels about 0
        rounding[3, 0] = (1 << 17) + (128 << 18)
        for name, values, dtype in [
            ('steps', tables.permute(3, 2, 5, 4, 0, 1), torch.int16),
            # Rows: what the encoder takes, blue, green, red; columns Y, Cb, Cr.
            (
                'to_ycc',
                [[7471, 32768, -5329], [38470, -21709, -27439], [19595, -11059, 32768]],
                torch.int32,
            ),
            ('half_up', [1 << 15, (257 << 15) - 1, (257 << 15) - 1], torch.int32),
            # Rows Cb, Cr; columns blue, green, red without Y.
            ('from_ycc', [[116130, -22554, 0], [0, -46802, 91881]], torch.int32),
            ('means', [1, 2], torch.int16),  # the rounding of means of 2x2, in turn
            # The upsampling's rounding, left and right, and chroma about 0.
            ('edges', [8 - 128 * 16, 7 - 128 * 16], torch.int16),
            # Of the four passes, by input, parity of the output or input, output.
            (
                'weights',
                torch.stack([32 * forward, 2 * forward, 32 * inverse, inverse]),
                torch.int32,
            ),
            ('rounding', rounding, torch.int32),
            ('order', [0, 1, 2, 3, 7, 6, 5, 4], torch.int64),
        ]:
            self.register_buffer(name, torch.as_tensor(values).to(dtype), persistent=False)

    def forward(self, images: Tensor, sizes: Tensor, qualities: Tensor) -> Tensor:
        """Compress and decode.

        Args:
            images: (N, 3, S, S) uint8, S a multiple of 16; the first channel is what the encoder
                takes for blue.
            sizes: (N,) int64, height and width of each image, at most S and at least 5 (or 1 or 2:
                with chroma of 2x2 pixels the decoder leaves the "fancy" upsampling out).
            qualities: (N,) int64, 1-100.

        Returns:
            (N, 3, S, S) float32 integers 0-255, same channel order; in memory (N, S, 3, S).
        """
        count, _, side, _ = images.shape
        half = side // 2
        last = sizes[:, None] - 1
        along = torch.arange(side, device=images.device)
        x = images.transpose(1, 2)
        if self.fancy:
            x = _extend(x, along, last)
        else:
            inside = along <= last
            x = x * (inside[:, :, None, None] & inside[:, None, None])
        blue, green, red = self.to_ycc[..., None]
        ycc = torch.addcmul(self.half_up[:, None], x[:, :, :1], blue)
        ycc = _upper(ycc.addcmul_(x[:, :, 1:2], green).addcmul_(x[:, :, 2:], red))
        chroma = ycc[:, :, 1:].view(count, half, 2, 2, half, 2).sum((2, 5), dtype=torch.int16)
        chroma.view(count, half, 2, half // 2, 2).add_(self.means)
        if self.fancy:  # below the last row the last row of means is repeated
            chroma = chroma[_batch(chroma, 2), along[:half].minimum(last // 2)]
        chroma = chroma >> 2

        blocks = chroma.new_empty(8, 8, count, 6, (side // 16) ** 2)
        luma_blocks, chroma_blocks = _places(blocks)
        luma_blocks.copy_(ycc[:, :, 0].view(luma_blocks.shape))
        chroma_blocks.copy_(chroma.view(chroma_blocks.shape))
        luma_blocks, chroma_blocks = _places(self._quantise(blocks, qualities))
        y = torch.full((count, side, 1, side), 1 << 15, dtype=torch.int32, device=images.device)
        _upper(y).view(luma_blocks.shape).copy_(luma_blocks)
        chroma = chroma_blocks.reshape(count, half, 2, half)
        if self.fancy:
            chroma = _upsample(chroma, last // 2, self.edges)
        else:
            chroma = chroma.repeat_interleave(2, 1).repeat_interleave(2, 3) - 128
        blue, red = self.from_ycc[..., None]
        colour = torch.addcmul(y, chroma[:, :, :1], blue).addcmul_(chroma[:, :, 1:], red)
        return _upper(colour).clamp_(0, 255).float().transpose(1, 2)

    def _quantise(self, blocks: Tensor, qualities: Tensor) -> Tensor:
        """Transform, quantise and transform back: int16, 0-255, laid out as by :func:`_places`."""
        passes = list(zip(self.weights, self.rounding, strict=True))
        rows = _upper(_mix(_fold(blocks[:4], blocks[4:].flip(0)), *passes[0])).movedim(2, 0)
        coefficients = _upper(_mix(_fold(rows[:4], rows[4:].flip(0)), *passes[1]))  # times 8
        steps = self.steps[..., qualities, :, None]
        # libjpeg rounds halves away from zero, so the quotients get a hair more, 2 ** -14 of each:
        # more than float32's errors (2 ** -22), so that no half remains, and, as coefficients are
        # at most 2 ** 13, at most half of the 1 / (8 * step) that others are from a half.
        shares = (1 + 2**-14) / 8 / steps
        coefficients = (coefficients * shares).round_().to(torch.int16).mul_(steps)
        columns = _upper(_fold(*_mix(coefficients, *passes[2]))).permute(2, 3, 0, 1, 4, 5, 6)
        pixels = _upper(_fold(*_mix(columns, *passes[3]))).flatten(2, 3).flatten(0, 1)
        pixels = pixels[self.order[:, None], self.order].clamp_(0, 1023)  # times 4
        pixels >>= 2
        return pixels


def _places(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Views of (8, 8, N, 6, macroblocks), column and row of a block first, as they lie in a plane.

    Returns:
        Luma (N, S / 8, 8, S / 8, 8) and chroma (N, S / 16, 8, 2, S / 16, 8).
    """
    count, side = blocks.shape[2], math.isqrt(blocks.shape[4])  # in macroblocks
    luma = blocks[:, :, :, :4].view(8, 8, count, 2 * side, 2 * side)
    chroma = blocks[:, :, :, 4:].view(8, 8, count, 2, side, side)
    return luma.permute(2, 3, 1, 4, 0), chroma.permute(2, 4, 1, 3, 5, 0)


def _upper(x: Tensor) -> Tensor:
    """``x >> 16`` of int32, as a view of int16."""
    return x.view(torch.int16)[..., 1::2]


def _fold(first: Tensor, second: Tensor) -> Tensor:
    """Sum and difference, stacked."""
    both = torch.empty((2, *first.shape), dtype=first.dtype, device=first.device)
    torch.add(first, second, out=both[0])
    torch.sub(first, second, out=both[1])
    return both


def _mix(x: Tensor, weights: Tensor, rounding: Tensor) -> Tensor:
    """Products of a (2, 4, ...) with two 4x4 matrices, (4 inputs, 2, 4 outputs)."""
    shape = (2, 4, *[1] * (x.dim() - 2))
    total = rounding.view(shape)
    for index, column in enumerate(weights):
        add = torch.Tensor.addcmul_ if index else torch.addcmul
        total = add(total, x[:, index : index + 1], column.view(shape))
    return total


def _extend(x: Tensor, places: Tensor, last: Tensor) -> Tensor:
    """Rows and columns of (N, H, C, W); beyond the last, (N, 1), the last."""
    near = places.clamp(min=0).minimum(last)
    channels = torch.arange(x.shape[2], device=x.device)[:, None]
    return x[_batch(x, 4), near[:, :, None, None], channels, near[:, None, None]]


def _batch(x: Tensor, dims: int) -> Tensor:
    return torch.arange(len(x), device=x.device).view(-1, *[1] * (dims - 1))


def _upsample(chroma: Tensor, last: Tensor, edges: Tensor) -> Tensor:
    """jdsample.c's ``h2v2_fancy_upsample``: weights 3/4 and 1/4, the edge repeated.

    (N, H, 2, H) int16 -> (N, 2H, 2, 2H) about 0.
    """
    places = torch.arange(-1, chroma.shape[1] + 1, device=chroma.device)
    tall = _double(_extend(chroma, places, last), 1)
    wide = _double(tall, 3)
    wide.unflatten(3, (-1, 2)).add_(edges)
    wide >>= 4
    return wide


def _double(x: Tensor, dim: int) -> Tensor:
    """Each row or column but the first and the last twice, by 3 and 1 with either neighbour."""
    near = x.unfold(dim, 3, 1)[..., ::2].movedim(-1, dim + 1)
    middle = x.narrow(dim, 1, x.shape[dim] - 2).unsqueeze(dim + 1)
    # Into a new tensor: else the sum would have the strides of the overlapping view.
    doubled = torch.add(near, middle, alpha=3, out=x.new_empty(near.shape))
    return doubled.flatten(dim, dim + 1)
