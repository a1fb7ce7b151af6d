import sys

import cv2
import numpy as np
import pytest
from skimage import data

from facesr.errors import UserError
from facesr.restoring.detector import FRAME, FaceDetector

pytest.importorskip('facenet_pytorch', reason='needs: bash scripts/setup.sh photos')


@pytest.fixture(scope='module')
def detector() -> FaceDetector:
    return FaceDetector('cpu')


def test_the_astronauts_face(detector: FaceDetector):
    [face] = detector.find(data.astronaut())
    assert 70 < face.width < 110 and face.score > 0.99
    eyes = face.points[:2]
    np.testing.assert_allclose(eyes, [(206, 103), (247, 104)], atol=4)
    matrix = face.to_frame()
    aligned = face.points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(aligned - FRAME).max() < 20
    assert detector.find(data.astronaut(), min_face=120) == []


@pytest.mark.parametrize('factor', [0.5, 3, 10])
def test_points_scale_with_the_photograph(detector: FaceDetector, factor: float):
    """Ten times is more than the detector searches: it shrinks that, and scales the points."""
    [face] = detector.find(data.astronaut())
    scaled = cv2.resize(data.astronaut(), None, fx=factor, fy=factor)
    same = detector.find(scaled, min_face=round(50 * factor))[0]
    np.testing.assert_allclose((same.points + 0.5) / factor - 0.5, face.points, atol=4)


@pytest.mark.parametrize('shape', [(1, 1), (5, 300), (19, 19), (20, 20), (200, 300)])
def test_a_grey_area_has_no_face(detector: FaceDetector, shape: tuple[int, int]):
    assert detector.find(np.full((*shape, 3), 128, np.uint8)) == []


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'facenet_pytorch', None)
    with pytest.raises(UserError, match=r'^facenet-pytorch is missing; run: bash scripts/setup.sh'):
        FaceDetector('cpu')
