import csv
import math
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from facesr.errors import UserError
from facesr.files import writing_results
from facesr.images import read_image, write_png
from facesr.restoring.score import (
    ImageScore,
    Scoring,
    bicubic,
    format_scores,
    mean_scores,
    open_scoring,
    read_csv,
    score_folder,
    score_image,
    write_csv,
)


def psnr(image: np.ndarray, gt: np.ndarray) -> float:
    return score_image('', image, gt).psnr


def test_psnr_is_the_challenges_definition():
    rng = np.random.default_rng(0)
    image, gt = rng.integers(0, 256, (2, 37, 51, 3), dtype=np.uint8)
    total = sum((int(a) - int(b)) ** 2 for a, b in zip(image.flat, gt.flat, strict=True))
    expected = 20 * math.log10(255 / math.sqrt(total / image.size))
    assert psnr(image, gt) == pytest.approx(expected, abs=1e-9)
    assert psnr(gt, gt) == math.inf


def test_the_luma_and_without_a_border():
    rng = np.random.default_rng(0)
    image, gt = rng.integers(0, 256, (2, 40, 48, 3), dtype=np.uint8)
    # ITU-R BT.601 in levels of 16 to 235, as BasicSR and MATLAB count it.
    y, y_gt = (side @ np.array([65.481, 128.553, 24.966]) / 255 + 16 for side in (image, gt))
    inner = (slice(4, -4), slice(4, -4))
    expected = 10 * math.log10(255**2 / ((y[inner] - y_gt[inner]) ** 2).mean())
    score = score_image('', image, gt, Scoring(y=True, border=4))
    assert score.psnr == pytest.approx(expected, abs=1e-4)
    assert score.ssim > score_image('', image, gt).ssim + 0.001
    with pytest.raises(UserError, match=r'a\.png: nothing is left without a border of 20 pixels'):
        score_image('a.png', image, gt, Scoring(border=20))
    said = format_scores([score], Scoring(y=True, border=4))
    assert said.endswith('(mean of 1 images; PSNR and SSIM of Y, without a border of 4 pixels)')
    with pytest.raises(UserError, match='--border -1: at least 0 pixels expected'):
        open_scoring('gt', border=-1)


def test_lpips_is_refused_before_anything_is_scored(faces: Path, tmp_path: Path, monkeypatch):
    with pytest.raises(UserError, match='--lpips compares with ground truths; name their folder'):
        open_scoring(None, 'alex')
    monkeypatch.setattr('facesr.models.features.FOLDER', tmp_path)
    with pytest.raises(UserError, match=r"LPIPS's weights are missing: no .*lpips_alex\.pth; run"):
        open_scoring(faces / 'val/GT', 'alex')


def test_names_with_a_suffix_belong_to_those_without(faces: Path, tmp_path: Path):
    gt = read_image(faces / 'val/GT/00000.png')
    for index in range(2):
        write_png(tmp_path / f'{index:05d}_x4.png', gt)
        write_png(tmp_path / f'{index:05d}.png', gt[:8, :8].copy())
    scores = score_folder(tmp_path, faces / 'val/GT', Scoring(suffix='_x4'))
    assert [score.name for score in scores] == ['00000_x4.png', '00001_x4.png']
    assert scores[0].psnr == math.inf


def test_folder_is_read_back_scored_and_written(faces: Path, tmp_path: Path):
    gt = read_image(faces / 'val/GT/00000.png')
    for index in range(2):
        write_png(tmp_path / f'out/{index:05d}.png', np.clip(gt, 1, 250) - index)
    scores = score_folder(tmp_path / 'out', faces / 'val/GT')
    assert [score.name for score in scores] == ['00000.png', '00001.png']
    mean = mean_scores(scores)
    assert mean['psnr'] == pytest.approx((scores[0].psnr + scores[1].psnr) / 2, abs=1e-9)
    assert 0.9 < mean['ssim'] <= 1 and 'niqe' not in mean
    assert format_scores(scores).endswith('(mean of 2 images)')
    write_csv(tmp_path / 'scores.csv', scores)
    rows = list(csv.DictReader((tmp_path / 'scores.csv').open()))
    assert float(rows[1]['psnr']) == scores[1].psnr and rows[1]['niqe'] == ''
    read = read_csv(tmp_path / 'scores.csv')
    assert [score.ssim for score in read] == [score.ssim for score in scores]
    assert all(math.isnan(score.niqe) for score in read)


def test_without_ground_truth_niqe_tells_a_blurred_face_from_a_sharp_one(faces: Path, tmp_path):
    sharp = read_image(faces / 'val/GT/00000.png')
    blurred = bicubic(read_image(faces / 'val/LQ/00000.png'), 512, 512)
    small = sharp[:64, :64].copy()
    for name, image in (('a', sharp), ('b', blurred), ('c', small)):
        write_png(tmp_path / f'{name}.png', image)
    scores = score_folder(tmp_path, None)
    assert scores[0].niqe < scores[1].niqe
    assert math.isnan(scores[2].niqe), 'too small for NIQE'


def test_mismatches_are_refused(faces: Path, tmp_path: Path):
    write_png(tmp_path / '00000.png', np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match=r"1 of 2 images are missing, the first is '00001'"):
        score_folder(tmp_path, faces / 'val/GT')
    write_png(tmp_path / '00001.png', np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match=r'00000\.png: 8x8 pixels, 512x512 expected; the size of'):
        score_folder(tmp_path, faces / 'val/GT')


def test_an_image_of_one_colour_has_no_niqe(tmp_path: Path):
    for name, level in (('black', 0), ('grey', 128), ('white', 255)):
        write_png(tmp_path / f'{name}.png', np.full((256, 256, 3), level, np.uint8))
    write_png(tmp_path / 'portrait.png', data.astronaut())
    scores = score_folder(tmp_path, None)
    assert [math.isnan(score.niqe) for score in scores] == [True, True, False, True]
    assert '(mean of 1 images; 3 more have none: NIQE needs 192 pixels' in format_scores(scores)


def test_a_score_that_some_images_lack_says_of_how_many_it_is():
    scores = [ImageScore('a', 30.0, 0.8), ImageScore('b', 32.0, 0.9), ImageScore('c', 34.0)]
    assert format_scores(scores) == (
        'PSNR 32.0000 dB, SSIM 0.8500 (mean of 3 images; SSIM of 2: others are too small)'
    )


def test_no_table_replaces_what_is_scored(faces: Path, tmp_path: Path):
    gt = read_image(faces / 'val/GT/00000.png')
    images = [tmp_path / f'out/{index:05d}.png' for index in range(2)]
    with writing_results(images):  # ours
        for path in images:
            write_png(path, gt)
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r'00001\.png: is an input; choose another place'):
            score_folder(images[0].parent, faces / 'val/GT', Scoring(), images[1], overwrite)
    assert (read_image(images[1]) == gt).all()
