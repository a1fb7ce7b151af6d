import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from skimage import data

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.degradation.base import degradation_of
from facesr.images import read_image
from facesr.restoring.restorer import Restorer
from facesr.restoring.score import bicubic, mean_scores, score_image

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
