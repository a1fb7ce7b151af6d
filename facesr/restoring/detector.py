"""Faces in a photograph: found by MTCNN, and the way from each to the training data's frame.

MTCNN (Zhang et al., arXiv:1604.02878) comes from facenet-pytorch, whose wheel holds its weights.
"""

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import UserError
from ..images import Image8
from ..nets import find_device

Points = NDArray[np.float64]
Matrix = NDArray[np.float64]

FRAME_SIZE = 512
#: Eyes, nose and corners of the mouth (x, y) in the training data's 512x512 pictures, as MTCNN
#: finds them: means over 1,170 faces (``python -m benchmarks.photographs --measure-frame FOLDER``).
FRAME: Points = np.array(
    [(193.6, 243.3), (319.9, 243.4), (255.6, 321.9), (199.8, 376.5), (312.9, 376.4)]
)
# How sure each of MTCNN's three nets has to be, and the steps of its pyramid of sizes. Its own last
# threshold is 0.7; of 110 faces that the benchmark pasted none was below 0.99, of 11 false hits 8
# were below 0.95.
THRESHOLDS, PYRAMID_STEP = (0.6, 0.7, 0.95), 0.709
SURE = 0.99
SMALLEST_FACE = 20  # pixels: what its nets were trained for
# A longer photograph is searched shrunk, which bounds the memory: 0.4 GB at this side.
SEARCHED_SIDE = 4096


@dataclass(frozen=True)
class Face:
    """A face in a photograph, in its pixels."""

    points: Points  # (5, 2): eyes, nose and corners of the mouth, x and y
    width: float  # of the detector's box, which has no hair, ears or neck in it
    score: float  # how sure the detector is, 0-1

    def to_frame(self, size: int = FRAME_SIZE) -> Matrix:
        """The (2, 3) matrix from the photograph's pixels to those of a frame of ``size``."""
        half = (size / FRAME_SIZE - 1) / 2  # pixels are named by their centres
        return fit_similarity(self.points, FRAME * (size / FRAME_SIZE) + half)


class FaceDetector:
    """Finds the faces of a photograph that look at the camera."""

    def __init__(self, device: str | None = None) -> None:
        if not find_spec('facenet_pytorch'):
            raise UserError('facenet-pytorch is missing; run: bash scripts/setup.sh photos')
        from facenet_pytorch.models import mtcnn

        self.device = find_device(device)
        data = Path(mtcnn.__file__).parents[1] / 'data'
        self._nets: list[torch.nn.Module] = []
        for name in ('PNet', 'RNet', 'ONet'):
            net = getattr(mtcnn, name)(pretrained=False)  # True would not say weights_only
            weights = torch.load(data / f'{name.lower()}.pt', map_location='cpu', weights_only=True)
            net.load_state_dict(weights)
            self._nets.append(net.to(self.device).eval())

    def find_turned(self, photograph: Image8, min_face: int = SMALLEST_FACE) -> list[Face]:
        """Find faces by :meth:`find`; where none is upright for sure, in the photograph turned.

        Of the four ways round the one whose faces are surest: one that lies may be a weak hit.
        """
        best, quarters = self.find(photograph, min_face), 0
        for turn in (1, 2, 3) if all(face.score < SURE for face in best) else ():
            found = self.find(np.ascontiguousarray(np.rot90(photograph, turn)), min_face)
            if sum(face.score for face in found) > sum(face.score for face in best):
                best, quarters = found, turn
        centre = np.array(photograph.shape[1::-1]) / 2 - 0.5
        middle = centre[::-1] if quarters % 2 else centre
        back = np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), quarters)
        return [replace(face, points=(face.points - middle) @ back + centre) for face in best]

    @torch.inference_mode()
    def find(self, photograph: Image8, min_face: int = SMALLEST_FACE) -> list[Face]:
        """Find the faces of a photograph, (H, W, 3) uint8 RGB of any size, the largest first.

        ``min_face`` is the smallest width of a face in pixels, without hair and ears.
        """
        from facenet_pytorch.models.utils.detect_face import detect_face

        height, width = photograph.shape[:2]
        shrink = min(1.0, SEARCHED_SIDE / max(height, width))
        if shrink < 1:
            size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
            photograph = np.asarray(cv2.resize(photograph, size, interpolation=cv2.INTER_AREA))
        smallest = max(SMALLEST_FACE, min_face * shrink)
        if min(photograph.shape[:2]) < smallest:
            return []  # MTCNN fails on it
        found: Any = detect_face(
            photograph, smallest, *self._nets, THRESHOLDS, PYRAMID_STEP, self.device
        )
        faces = [
            Face((points + 0.5) / shrink - 0.5, float(box[2] - box[0]) / shrink, float(box[4]))
            for box, points in zip(found[0][0], found[1][0].astype(float), strict=True)
        ]
        large = [face for face in faces if face.width >= min_face]
        return sorted(large, key=lambda face: face.width, reverse=True)


def fit_similarity(source: Points, target: Points) -> Matrix:
    """Fit turning, scaling and shifting by least squares (Umeyama, 1991, without reflections).

    Of (N, 2) points each: (2, 3), as OpenCV's ``warpAffine`` takes it.
    """
    start, end = source @ [1, 1j], target @ [1, 1j]  # turning and scaling: one complex factor
    centred = start - start.mean()
    factor = np.vdot(centred, end) / np.vdot(centred, centred)
    shift = end.mean() - factor * start.mean()
    return np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    )
