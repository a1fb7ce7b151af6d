"""One face restored by several methods: captions, scores, the same places enlarged."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Self

import numpy as np

from ..drawing import draw_text, resize
from ..errors import UserError
from ..images import Image8

FACE = 512  # side of the face that crops refer to, in pixels
COLUMN, GAP, FRAME_LINE = 512, 8, 4  # pixels
FRAME_COLOURS = ((230, 120, 0), (0, 140, 215), (0, 150, 90), (190, 60, 150))


@dataclass(frozen=True)
class Crop:
    """A place in a face, in pixels of a face of 512x512."""

    name: str
    x: int
    y: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME=X,Y,W,H``; a UserError if it is something else, or outside the face."""
        match = re.fullmatch(r'([^=]+)=(\d+),(\d+),(\d+),(\d+)', text)
        if not match:
            raise UserError(f'--crop {text}: NAME=X,Y,W,H expected, in pixels')
        x, y, width, height = map(int, match.groups()[1:])
        if not (width and height and x + width <= FACE and y + height <= FACE):
            raise UserError(f'--crop {text}: not inside a picture of {FACE}x{FACE} pixels')
        return cls(match[1], x, y, width, height)

    def slices(self, image: Image8) -> tuple[slice, slice]:
        """Rows and columns of the crop in a picture of any size, at least one of each."""

        def scale(start: int, length: int, size: int) -> slice:
            first = min(round(start * size / FACE), size - 1)
            return slice(first, max(first + 1, round((start + length) * size / FACE)))

        return scale(self.y, self.height, image.shape[0]), scale(self.x, self.width, image.shape[1])


#: FFHQ and CelebA-HQ have the eyes near (193, 240) and (319, 240), the mouth near y = 371.
DEFAULT_CROPS = (Crop('eyes', 128, 192, 256, 96), Crop('mouth', 128, 323, 256, 96))


def draw_columns(
    images: Mapping[str, Image8],
    scores: Mapping[str, str],
    crops: Sequence[Crop] = DEFAULT_CROPS,
) -> dict[str, Image8]:
    """Draw pictures of one face, each 520 pixels wide, with crops and scores below, by caption.

    Args:
        images: (H, W, 3) uint8 RGB by caption, of one aspect ratio; smaller ones are enlarged
            with their pixels kept visible.
        scores: text under a picture, by caption.
        crops: marked in every picture, and shown enlarged under it.
    """
    # At a page's width as large as the page's own text, for any number of pictures.
    line = round((COLUMN + GAP) * (len(images) + 1) / 62)
    height, width = max(image.shape[:2] for image in images.values())
    columns = {}
    for caption, image in images.items():
        parts = [draw_text(caption, COLUMN, line)]
        parts += _draw_column(resize(image, height, width), crops)
        if scores:
            parts.append(draw_text(scores.get(caption, ''), COLUMN, line))
        columns[caption] = _pad(np.concatenate(parts), right=GAP)
    return columns


def join_columns(name: str, columns: Sequence[Image8], crops: Sequence[Crop]) -> Image8:
    """Put the columns side by side, the face's name and the crops' below."""
    row = np.concatenate(columns, axis=1)
    line = round(row.shape[1] * (len(columns) + 1) / len(columns) / 62)
    return np.concatenate([row, _draw_footer(name, crops, row.shape[1], line)])


def _draw_column(image: Image8, crops: Sequence[Crop]) -> list[Image8]:
    """The picture with its crops framed, and the crops, 512 pixels wide each."""
    picture = resize(image, max(1, round(image.shape[0] * COLUMN / image.shape[1])), COLUMN).copy()
    parts = [picture]
    for crop, colour in zip(crops, cycle(FRAME_COLOURS), strict=False):
        height = max(1, round(crop.height / crop.width * picture.shape[0]))
        zoomed = resize(image[crop.slices(image)], height, COLUMN).copy()
        _frame(zoomed, colour, FRAME_LINE)
        _frame(picture[crop.slices(picture)], colour, FRAME_LINE // 2)
        parts.append(_pad(zoomed, top=GAP))
    return parts


def _draw_footer(name: str, crops: Sequence[Crop], width: int, line: int) -> Image8:
    footer = np.full((line * 2, width, 3), 255, np.uint8)
    cell = min(COLUMN // 2, (width - COLUMN - GAP) // max(1, len(crops)))
    footer[:line, :COLUMN] = draw_text(name, COLUMN, line)
    left, square = COLUMN + GAP, line // 2
    for crop, colour in zip(crops, cycle(FRAME_COLOURS), strict=False):
        footer[line // 4 : line - line // 4, left : left + square] = colour
        text = draw_text(crop.name, cell - square, line)
        footer[:line, left + square : left + cell] = text
        left += cell
    return footer


def _pad(image: Image8, top: int = 0, right: int = 0) -> Image8:
    return np.pad(image, ((top, 0), (0, right), (0, 0)), constant_values=255)


def _frame(image: Image8, colour: tuple[int, int, int], line: int) -> None:
    """Draw a frame just inside a picture."""
    for edge in (image[:line], image[-line:], image[:, :line], image[:, -line:]):
        edge[:] = colour
