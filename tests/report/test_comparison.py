import numpy as np
import pytest

from facesr.errors import UserError
from facesr.images import Image8
from facesr.report.comparison import COLUMN, DEFAULT_CROPS, GAP, Crop, draw_columns, join_columns

GREEN = (0, 255, 0)


def draw_comparison(name: str, images: dict, scores: dict, crops=DEFAULT_CROPS) -> np.ndarray:
    return join_columns(name, [*draw_columns(images, scores, crops).values()], crops)


def face(size: int, mark: tuple[int, int]) -> Image8:
    """Grey, with a green square of 1/16 of a side at (x, y) of a 512x512 face."""
    image = np.full((size, size, 3), 128, np.uint8)
    x, y = (place * size // 512 for place in mark)
    image[y : y + size // 16, x : x + size // 16] = GREEN
    return image


def green_rows_and_columns(panel: Image8) -> list[list[tuple[int, int, int, int]]]:
    """The box of green in each column's picture and crop."""
    boxes = []
    for left in range(0, panel.shape[1] - COLUMN, COLUMN + GAP):
        column = panel[:, left : left + COLUMN]
        rows = np.flatnonzero((column == GREEN).all(-1).any(1))
        parts = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
        boxes.append([])
        for part in parts:
            across = np.flatnonzero((column[part] == GREEN).all(-1).any(0))
            boxes[-1].append((part[0], part[-1], across[0], across[-1]))
    return boxes


def test_crops_show_the_same_place_in_every_column_whatever_its_size():
    crop = Crop('mark', 128, 128, 128, 128)
    images = {str(size): face(size, (192, 160)) for size in (128, 512, 256)}
    panel = draw_comparison('name', images, {}, [crop])
    first, *others = green_rows_and_columns(panel)
    assert all(boxes == first for boxes in others)
    picture, zoomed = first
    assert picture[1] - picture[0] + 1 == 32
    assert zoomed[1] - zoomed[0] + 1 == zoomed[3] - zoomed[2] + 1 == 32 * 512 // 128
    assert zoomed[2] == (192 - 128) * 512 // 128


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('eyes', 'NAME=X,Y,W,H expected'),
        ('eyes=1,2,3', 'NAME=X,Y,W,H expected'),
        ('eyes=-1,2,3,4', 'NAME=X,Y,W,H expected'),
        ('eyes=500,0,20,20', 'not inside a picture of 512x512 pixels'),
        ('eyes=0,0,20,0', 'not inside a picture'),
    ],
)
def test_a_crop_that_cannot_be_is_refused(text: str, message: str):
    with pytest.raises(UserError, match=f'--crop {text}: {message}'):
        Crop.parse(text)
