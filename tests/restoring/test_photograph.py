"""The astronaut's face in photographs of several sizes, and photographs without one."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from facesr.errors import UserError
from facesr.images import read_image, write_png
from facesr.restoring.photograph import cut_face, cut_faces

# The frame in the portrait: the detector's box is 100 pixels wide, at (176, 64).
TOP, LEFT, SIDE = 23, 143, 167


def expected() -> np.ndarray:
    frame = data.astronaut()[TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    return cv2.resize(frame, (128, 128), interpolation=cv2.INTER_AREA)


def test_the_face_fills_the_frame_as_in_the_data():
    np.testing.assert_array_equal(cut_face(data.astronaut()), expected())


@pytest.mark.parametrize('factor', [0.5, 3])
def test_also_in_a_smaller_and_a_larger_photograph(factor: float):
    photograph = cv2.resize(data.astronaut(), None, fx=factor, fy=factor)
    face = cut_face(photograph)
    assert np.abs(face.astype(int) - expected()).mean() < 12


def test_a_frame_that_reaches_over_the_border():
    face = cut_face(data.astronaut()[50:240, 150:330].copy())
    assert face.shape == (128, 128, 3)
    assert np.ptp(face[:4, 64].astype(int), axis=0).max() == 0  # the border's pixels, continued


@pytest.mark.parametrize('shape', [(200, 100, 3), (20, 30, 3), (1, 1, 3)])
def test_without_a_face_the_middle_square(shape: tuple[int, int, int]):
    photograph = np.full(shape, 128, np.uint8)
    photograph[: (shape[0] - min(shape[:2])) // 2] = 0
    if shape[0] > 100:
        np.testing.assert_array_equal(cut_face(photograph), np.full((128, 128, 3), 128))
    assert cut_face(photograph).shape == (128, 128, 3)


def test_files(tmp_path: Path):
    for folder in ('a', 'b'):
        write_png(tmp_path / folder / 'portrait.png', data.astronaut())
    paths = [tmp_path / folder / 'portrait.png' for folder in ('a', 'b')]
    [written] = cut_faces(paths[:1], tmp_path / 'LQ')
    np.testing.assert_array_equal(read_image(written), expected())
    with pytest.raises(UserError, match=r'a/portrait.png: two photographs of this name'):
        cut_faces(paths, tmp_path / 'other')
