"""libjpeg's baseline JPEG, encoded and decoded in PyTorch: a batch of images, sizes and qualities.

The result is the decoder's, level for level: the integer transforms ("islow"), the quantisation,
4:2:0 chroma with its alternating rounding and "fancy" triangular upsampling are those of libjpeg 6b
(Independent JPEG Group; ``jccolor.c``, ``jcsample.c``, ``jfdctint.c``, ``jcdctmgr.c``,
``jidctint.c``, ``jdsample.c``, ``jdcolor.c``), which OpenCV encodes with. Entropy coding loses
nothing and is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

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

    All images lie in the top left of a common square canvas; what is beyond a size is ignored, and
    comes back as anything. The number of kernel launches does not depend on the batch.

    Everything is whole numbers of at most 43 bits, exact in float64, which every device multiplies.
    """

    tables: Tensor
    to_ycc: Tensor
    from_ycc: Tensor
    half_up: Tensor
    first_pass: Tensor
    second_pass: Tensor
    last_pass: Tensor
    edges: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in {
            'tables': quantisation_tables(),
            # Rows Y, Cb, Cr; columns as the encoder takes them: blue, green, red.
            'to_ycc': [[7471, 38470, 19595], [32768, -21709, -11059], [-5329, -27439, 32768]],
            # Rows blue, green, red without Y; columns Cb, Cr.
            'from_ycc': [[116130, 0], [-22554, -46802], [0, 91881]],
            'half_up': [[0.5], [128.5 - 2**-16], [128.5 - 2**-16]],
            # The transform times what each pass of encoder and decoder shifts out again.
            'first_pass': _forward_matrix() / (1 << (_CONST_BITS - _PASS1_BITS)),
            'second_pass': _forward_matrix() / (1 << (_CONST_BITS + _PASS1_BITS)),
            'last_pass': _forward_matrix() / (1 << (_CONST_BITS + _PASS1_BITS + 3)),
            'edges': [8, 7],  # the upsampling's rounding, left and right
        }.items():
            values = torch.as_tensor(values, dtype=torch.float64)
            self.register_buffer(name, values, persistent=False)
        self.to_ycc /= 1 << 16
        self.from_ycc /= 1 << 16

    def forward(self, images: Tensor, sizes: Tensor, qualities: Tensor) -> Tensor:
        """Compress and decode.

        Args:
            images: (N, 3, S, S), whole numbers 0-255 of any dtype, S a multiple of 16; the first
                channel is what the encoder takes for blue.
            sizes: (N,) int64, height and width of each image, at most S.
            qualities: (N,) int64, 1-100.

        Returns:
            (N, 3, S, S) float32 whole numbers 0-255, same channel order.
        """
        count, _, side, _ = images.shape
        place = torch.arange(side, device=images.device)
        last = sizes[:, None] - 1
        near = torch.minimum(place, last)  # (N, S): beyond the edge, the edge
        half = torch.minimum(place[: side // 2], last // 2)
        x = _take(_take(images, near, 3), near, 2).double().flatten(2)
        ycc = torch.floor(self.to_ycc @ x + self.half_up).view(count, 3, side, side)
        # Means of 2x2, rounded by 1/4 and 2/4 in turn.
        bias = (1 + (place[: side // 2] & 1)) / 4
        chroma = torch.floor(functional.avg_pool2d(ycc[:, 1:], 2) + bias)
        chroma = _take(chroma, half, 2)  # below the last row the last row of means is repeated
        blocks = torch.cat([_to_blocks(ycc[:, :1]), _to_blocks(chroma)], 1)
        luma_blocks = (side // 8) ** 2
        blocks = self._quantise(blocks, luma_blocks, qualities)
        y = _from_blocks(blocks[:, :luma_blocks], 1, side)
        chroma = _upsample(_from_blocks(blocks[:, luma_blocks:], 2, side // 2), half, self.edges)
        colour = torch.floor(self.from_ycc @ (chroma.flatten(2) - 128) + 0.5)
        return (colour.view(count, 3, side, side) + y).clamp(0, 255).float()

    def _quantise(self, blocks: Tensor, luma: int, qualities: Tensor) -> Tensor:
        """Transform, quantise and transform back (N, B, 8, 8), 0-255; the first are luma's."""
        kind = (torch.arange(blocks.shape[1], device=blocks.device) >= luma).long()
        table = self.tables[qualities[:, None], kind]
        rows = torch.floor((blocks - 128) @ self.first_pass.T + 0.5)
        coefficients = torch.floor(self.second_pass @ rows + 0.5)  # times 8
        whole = torch.floor(coefficients.abs() / (table * 8) + 0.5)
        coefficients = torch.copysign(whole, coefficients) * table
        columns = torch.floor(self.first_pass.T @ coefficients + 0.5)
        pixels = torch.floor(columns @ self.last_pass + 128.5)
        return pixels.clamp(0, 255)


def _to_blocks(planes: Tensor) -> Tensor:
    """(N, C, S, S) -> (N, C * S/8 * S/8, 8, 8)."""
    count, channels, side, _ = planes.shape
    split = planes.reshape(count, channels, side // 8, 8, side // 8, 8)
    return split.transpose(3, 4).reshape(count, -1, 8, 8)


def _from_blocks(blocks: Tensor, channels: int, side: int) -> Tensor:
    split = blocks.reshape(-1, channels, side // 8, side // 8, 8, 8)
    return split.transpose(3, 4).reshape(-1, channels, side, side)


def _take(x: Tensor, index: Tensor, dim: int) -> Tensor:
    """Gather rows (``dim=2``) or columns (3) of (N, C, H, W) by an (N, length) index."""
    shape = list(x.shape)
    shape[dim] = index.shape[1]
    view = [index.shape[0], 1, 1, 1]
    view[dim] = index.shape[1]
    return x.gather(dim, index.view(view).expand(shape))


def _upsample(chroma: Tensor, half: Tensor, edges: Tensor) -> Tensor:
    """jdsample.c's ``h2v2_fancy_upsample``: weights 3/4 and 1/4, the edge repeated."""
    before, after = (half - 1).clamp(min=0), torch.minimum(half + 1, half[:, -1:])
    rows = torch.stack([_take(chroma, before, 2), _take(chroma, after, 2)], 3)
    tall = torch.add(rows, chroma[:, :, :, None], alpha=3).flatten(2, 3)  # times 4
    columns = torch.stack([_take(tall, before, 3), _take(tall, after, 3)], 4)
    wide = torch.add(columns, tall[..., None], alpha=3)
    return torch.floor((wide + edges) / 16).flatten(3, 4)
