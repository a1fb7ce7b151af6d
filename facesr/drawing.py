"""Texts and pictures drawn side by side: the panels of runs, tools and pages."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .images import Image8

CAPTION_HEIGHT = 36  # pixels
SMALLEST_FONT = 9  # pixels; below it nothing can be read


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib  # for its font, on every system the same; only once a picture is drawn

    path = Path(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf')
    return ImageFont.truetype(str(path), size)


def draw_text(text: str, width: int, height: int) -> Image8:
    """Write one line on white, (height, width, 3), in smaller letters where it is too long."""
    text = ' '.join(text.split())
    size = round(height * 0.7)
    left = min(8, width // 16)
    while size > SMALLEST_FONT and _font(size).getlength(text) > width - 2 * left:
        size -= 1
    image = Image.new('RGB', (width, height), 'white')
    ImageDraw.Draw(image).text((left, height // 2), text, 'black', _font(size), anchor='lm')
    return np.array(image)


def resize(image: Image8, height: int, width: int) -> Image8:
    """Enlarge a picture so that its pixels stay visible, or average it down."""
    if image.shape[:2] == (height, width):
        return image
    larger = height >= image.shape[0] and width >= image.shape[1]
    interpolation = cv2.INTER_NEAREST if larger else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)


def draw_panel(images: Mapping[str, Image8]) -> Image8:
    """Put images of (H, W, 3) by caption side by side, each under it: (H + 36, sum of widths, 3).

    Smaller ones are enlarged to the tallest (nearest neighbour).
    """
    height = max(image.shape[0] for image in images.values())
    columns = []
    for caption, image in images.items():
        image = resize(image, height, round(image.shape[1] * height / image.shape[0]))
        head = draw_text(caption, image.shape[1], CAPTION_HEIGHT)
        columns.append(np.concatenate([head, image]))
    return np.concatenate(columns, axis=1)


def stack_panels(panels: Sequence[Image8]) -> Image8:
    """Put panels one below the other, the narrower ones widened with white."""
    width = max(panel.shape[1] for panel in panels)
    return np.concatenate(
        [
            np.pad(panel, ((0, 0), (0, width - panel.shape[1]), (0, 0)), constant_values=255)
            for panel in panels
        ]
    )
