import re
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from skimage import data

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.images import read_image
from facesr.restoring.restorer import Restorer
from facesr.restoring.score import bicubic, mean_scores, score_image

WEIGHTS = sorted((ROOT / 'weights').glob('*.pth'))
PAIRS = ROOT.parent / 'shared/faces/val'


def test_each_is_named_in_the_card():
    card = (ROOT / 'weights/README.md').read_text()
    assert WEIGHTS and all(f'`{path.name}`' in card for path in WEIGHTS)


@pytest.mark.parametrize('path', WEIGHTS, ids=lambda path: path.stem)
def test_restores_the_portrait_with_its_config(path: Path, degradation):
    assert path.stat().st_size < 10e6
    assert set(read_checkpoint(path)) == {'meta', 'state_dict'}
    restorer = Restorer(load_config(ROOT / f'configs/{path.stem}.py'), path, device='cpu')
    gt = data.astronaut()
    lqs = [degradation.degrade_by_seed(gt, seed) for seed in range(2)]
    restored = [score_image('', restorer.restore(lq), gt).psnr for lq in lqs]
    baseline = [score_image('', bicubic(lq, 512, 512), gt).psnr for lq in lqs]
    assert np.mean(restored) > np.mean(baseline) + 0.5


def published(name: str) -> tuple[float, float]:
    """PSNR and SSIM on the 200 pairs, as the card has them."""
    row, *_ = re.findall(rf'^\| `{name}\.pth` .*', (ROOT / 'weights/README.md').read_text(), re.M)
    [(psnr, ssim)] = re.findall(r'([0-9.]+) dB, ([0-9.]+)', row)[:1]
    return float(psnr), float(ssim)


@pytest.mark.skipif(not PAIRS.is_dir(), reason='the challenge faces are not at ../shared/faces')
@pytest.mark.parametrize(
    ('name', 'images', 'psnr', 'ssim'),
    [
        ('face_unet', 200, *published('face_unet')),
        # The mean of the first 40 where that of all 200 was the card's.
        ('face_gan', 40, 28.9140, 0.7665),
    ],
)
def test_has_the_scores_of_the_card(name: str, images: int, psnr: float, ssim: float):
    config, weights = ROOT / f'configs/{name}.py', ROOT / f'weights/{name}.pth'
    restorer = Restorer(load_config(config), weights, device='cpu')
    scores, baselines = [], []
    for path in sorted((PAIRS / 'LQ').iterdir())[:images]:
        lq, gt = read_image(path), read_image(PAIRS / 'GT' / path.name)
        scores.append(score_image('', restorer.restore(lq), gt))
        baselines.append(score_image('', bicubic(lq, 512, 512), gt).psnr)
    assert len(scores) == images
    assert mean_scores(scores)['psnr'] == pytest.approx(psnr, abs=1e-3)
    assert mean_scores(scores)['ssim'] == pytest.approx(ssim, abs=1e-4)
    if images == 200:
        assert np.mean(baselines) == pytest.approx(27.272, abs=5e-4)
