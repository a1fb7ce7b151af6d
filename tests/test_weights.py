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


@pytest.mark.skipif(not PAIRS.is_dir(), reason='the challenge faces are not at ../shared/faces')
@pytest.mark.parametrize('name', ['face_unet', 'face_gan'])
def test_has_the_scores_of_the_card(name: str):
    row, *_ = re.findall(rf'^\| `{name}\.pth` .*', (ROOT / 'weights/README.md').read_text(), re.M)
    [(psnr, ssim)] = re.findall(r'([0-9.]+) dB, ([0-9.]+)', row)[:1]
    config, weights = ROOT / f'configs/{name}.py', ROOT / f'weights/{name}.pth'
    restorer = Restorer(load_config(config), weights, device='cpu')
    scores = [
        score_image('', restorer.restore(read_image(path)), read_image(PAIRS / 'GT' / path.name))
        for path in sorted((PAIRS / 'LQ').iterdir())
    ]
    assert len(scores) == 200
    assert mean_scores(scores)['psnr'] == pytest.approx(float(psnr), abs=1e-3)
    assert mean_scores(scores)['ssim'] == pytest.approx(float(ssim), abs=1e-4)
