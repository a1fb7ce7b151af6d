import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT
from matplotlib import get_data_path
from skimage import data

from benchmarks.damage import DAMAGES, damage
from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.degradation.base import degradation_of
from facesr.images import Image8, read_image
from facesr.restoring.restorer import Restorer, open_exported
from facesr.restoring.score import bicubic, mean_scores, score_image

ADMIRAL = read_image(Path(get_data_path(), 'sample_data/grace_hopper.jpg'))
HEADS = [data.astronaut()[:240, 100:340], ADMIRAL[20:340, 100:420]]
WEIGHTS = sorted((ROOT / 'weights').glob('*.pth'))
FACES = ROOT.parent / 'shared/faces'


def test_each_is_named_in_the_card():
    card = (ROOT / 'weights/README.md').read_text()
    assert WEIGHTS and all(f'`{path.name}`' in card for path in WEIGHTS)


def test_a_wheel_holds_them(tmp_path: Path):
    for name in ('facesr', 'weights'):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ('setup.cfg', 'pyproject.toml', 'LICENSE'):
        shutil.copy(ROOT / name, tmp_path)
    pip = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '.']
    subprocess.run(pip, cwd=tmp_path, check=True)
    [wheel] = tmp_path.glob('*.whl')
    names = zipfile.ZipFile(wheel).namelist()
    held = sorted(name.partition('.data/data/')[2] for name in names if name.endswith('.pth'))
    assert held == [f'share/facesr/weights/{path.name}' for path in WEIGHTS]


@pytest.mark.parametrize('path', WEIGHTS, ids=lambda path: path.stem)
def test_restores_the_portrait_with_its_config(path: Path):
    assert path.stat().st_size < 10e6
    assert set(read_checkpoint(path)) == {'meta', 'state_dict'}
    config = load_config(ROOT / f'configs/{path.stem}.py')
    restorer, degradation = Restorer(config, path, device='cpu'), degradation_of(config)
    gt = data.astronaut()
    lqs = [degradation.degrade_by_seed(gt, seed) for seed in range(2)]
    restored = [score_image('', restorer.restore(lq), gt).psnr for lq in lqs]
    baseline = [score_image('', bicubic(lq, 512, 512), gt).psnr for lq in lqs]
    assert np.mean(restored) > np.mean(baseline) + 0.5


def test_the_net_for_photographs_makes_no_face_worse():
    """Two portraits, enlarged to 512x512, with each damage of the benchmark, and without."""
    restorer, rng = open_exported(ROOT / 'weights/face_photo.pth', 'cpu'), np.random.default_rng(0)
    for head in HEADS:
        truth = np.asarray(cv2.resize(head, (512, 512), interpolation=cv2.INTER_CUBIC), np.uint8)
        for name, how in DAMAGES.items():
            if how[0] <= 512:  # of larger faces the benchmark pastes the change into the photograph
                lq = damage(truth, how, rng)
                before, after = (score_image('', i, truth).psnr for i in (lq, restorer.restore(lq)))
                assert after > min(before - 0.1, 35), (name, before, after)


def blurred_portraits() -> Iterator[Image8]:
    """50 crops of 512x512, strongly blurred."""
    rng = np.random.default_rng(0)
    for number in range(50):
        head = HEADS[number % 2][:, :: rng.choice((-1, 1))]
        side = round(len(head) * rng.uniform(0.8, 1))
        top, left = rng.integers(len(head) - side + 1, size=2)
        crop = cv2.resize(head[top : top + side, left : left + side], (512, 512))
        yield np.asarray(cv2.GaussianBlur(crop, (0, 0), rng.uniform(4, 10)), np.uint8)


@pytest.mark.parametrize(
    ('name', 'is_clean'), [('face_gan', False), ('face_photo', True), ('face_photo_gan', True)]
)
def test_a_net_for_photographs_leaves_no_lattice(name: str, is_clean: bool):
    """In the mean spectrum no multiple of 1/8 cycle a pixel stands out of its ring."""
    restorer = open_exported(ROOT / f'weights/{name}.pth', 'cpu')
    window, spectrum = np.outer(np.hanning(512), np.hanning(512)), np.zeros((512, 512))
    for crop in blurred_portraits():
        lq = crop if is_clean else cv2.resize(crop, (128, 128), interpolation=cv2.INTER_AREA)
        grey = restorer.restore(lq).astype(float).mean(2)
        spectrum += np.abs(np.fft.fft2((grey - grey.mean()) * window))
    lines = np.fft.fftfreq(512) * 512
    radius = np.hypot(lines[:, None], lines)
    peaks = [
        spectrum[y, x] / np.median(spectrum[np.abs(radius - radius[y, x]) < 8])
        for y in range(0, 512, 64)
        for x in range(0, 512, 64)
        if (y, x) != (0, 0)
    ]
    assert (max(peaks) <= 3) == is_clean, max(peaks)


@pytest.mark.skipif(not FACES.is_dir(), reason='the challenge faces are not at ../shared/faces')
@pytest.mark.parametrize(
    ('name', 'inputs', 'psnr', 'ssim', 'baseline'),
    # Means of the first 40 pairs where those of all 200 were the card's.
    [
        ('face_unet', 'val', 30.0720, 0.8087, 27.4694),
        ('face_gan', 'val', 28.9140, 0.7665, 27.4694),
        ('face_unet_2024', 'val_second_order', 28.1889, 0.7735, 26.4722),
    ],
)
def test_scores_as_where_the_card_was_measured(
    name: str, inputs: str, psnr: float, ssim: float, baseline: float
):
    config, weights = ROOT / f'configs/{name}.py', ROOT / f'weights/{name}.pth'
    restorer = Restorer(load_config(config), weights, device='cpu')
    scores, baselines = [], []
    for path in sorted((FACES / inputs / 'LQ').iterdir())[:40]:
        lq, gt = read_image(path), read_image(FACES / 'val/GT' / path.name)
        scores.append(score_image('', restorer.restore(lq), gt))
        baselines.append(score_image('', bicubic(lq, 512, 512), gt).psnr)
    assert mean_scores(scores)['psnr'] == pytest.approx(psnr, abs=1e-3)
    assert mean_scores(scores)['ssim'] == pytest.approx(ssim, abs=1e-4)
    assert np.mean(baselines) == pytest.approx(baseline, abs=5e-4)
