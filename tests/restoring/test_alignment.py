import cv2
import numpy as np
import pytest
from skimage import data

from facesr.restoring.alignment import cut_face, paste_face, place_frame, warp, warp_mask
from facesr.restoring.detector import FRAME, Face
from facesr.restoring.score import bicubic


@pytest.fixture(scope='module')
def truth() -> np.ndarray:
    return cv2.resize(data.coffee(), (1200, 800))


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((image.astype(float) - truth) ** 2))


def test_warp_averages_where_it_shrinks():
    """Lines of one pixel, shrunk to an eighth, are grey, not lines of another width."""
    lines = np.zeros((512, 512), np.float32)
    lines[::2] = 1
    shrunk = warp(lines, np.array([(1 / 8, 0, -7 / 16), (0, 1 / 8, -7 / 16)]), 64, 64)
    np.testing.assert_allclose(shrunk, 0.5, atol=1e-3)


@pytest.mark.parametrize('scale', [1, 2, 4])
@pytest.mark.parametrize('side', [70.0, 400.0])
def test_a_face_cut_out_and_put_back_is_in_its_place(truth: np.ndarray, scale: int, side: float):
    angle = np.exp(0.3j) * side / 512
    points = (FRAME @ [1, 1j] - (256 + 256j)) * angle + (850 + 400j)
    face = Face(np.column_stack([points.real, points.imag]), side / 2, 1.0)
    canvas = bicubic(truth, 800 * scale, 1200 * scale)
    before, cut = canvas.copy(), cut_face(truth, face, 512)
    paste_face(canvas, truth, cut, cut, face, scale)
    np.testing.assert_array_equal(canvas, before)
    paste_face(canvas, truth, cut, cut // 2 + 40, face, scale)
    mask = warp_mask(512, place_frame(face, scale, 512), 1200 * scale, 800 * scale)
    inside = mask > 0.9
    assert psnr(canvas[inside], before[inside] // 2 + 40) > 33
    np.testing.assert_array_equal(canvas[mask == 0], before[mask == 0])


def test_a_face_beyond_the_border(truth: np.ndarray):
    face = Face(FRAME - 300, 256, 1.0)
    canvas = truth.copy()
    white, black = np.full((512, 512, 3), 255, np.uint8), np.zeros((512, 512, 3), np.uint8)
    paste_face(canvas, truth, white, black, face, 1)
    assert (canvas[:100, :100] == 0).all() and (canvas[215:] == truth[215:]).all()
    far = truth.copy()
    paste_face(far, truth, white, black, Face(FRAME - 2000, 256, 1.0), 2)
    np.testing.assert_array_equal(far, truth)


def test_noise_goes_where_the_net_removed_it_and_detail_stays_where_not(truth: np.ndarray):
    """Of a face larger than its frame, whose finest detail the net does not see."""
    face = Face((FRAME - 256) * 1.3 + (850, 400), 364, 1.0)
    noise = np.random.default_rng(0).normal(0, 20, truth.shape)
    noisy = np.clip(truth + noise, 0, 255).astype(np.uint8)
    mask = warp_mask(512, place_frame(face, 1, 512), 1200, 800) > 0.9
    canvas = noisy.copy()
    paste_face(canvas, noisy, cut_face(noisy, face, 512), cut_face(truth, face, 512), face, 1)
    assert psnr(canvas[mask], truth[mask]) > psnr(noisy[mask], truth[mask]) + 9

    sharp, cut = truth.copy(), cut_face(truth, face, 512)
    paste_face(sharp, truth, cut, (cut * 0.9 + 20).astype(np.uint8), face, 1)
    assert psnr(sharp[mask], (truth * 0.9 + 20)[mask]) > 38

    # Half of the noise that the net sees goes: more of what is finer, which has less of a picture.
    large = Face((FRAME - 256) * 2 + (600, 400), 560, 1.0)
    mask = warp_mask(512, place_frame(large, 1, 512), 1200, 800) > 0.9
    canvas, before = noisy.copy(), cut_face(noisy, large, 512)
    half = np.rint(before / 2 + cut_face(truth, large, 512) / 2).astype(np.uint8)
    paste_face(canvas, noisy, before, half, large, 1)
    assert psnr(canvas[mask], truth[mask]) > psnr(noisy[mask], truth[mask]) + 8
