"""The trained weights in the repository: complete, small, and better than bicubic."""

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from skimage import data

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.degradation.settings import degrade_by_seed
from facesr.restoring.restorer import Restorer
from facesr.restoring.score import bicubic, score_image

WEIGHTS = sorted((ROOT / 'weights').glob('*.pth'))
# The README's column for the portrait is the mean over 16 degradations; these are over the first 2.


def test_each_is_named_in_the_card():
    card = (ROOT / 'weights/README.md').read_text()
    assert WEIGHTS and all(f'`{path.name}`' in card for path in WEIGHTS)


@pytest.mark.parametrize('path', WEIGHTS, ids=lambda path: path.stem)
def test_restores_the_portrait_with_its_config(path: Path, degradation):
    assert path.stat().st_size < 10e6
    assert set(read_checkpoint(path)) == {'meta', 'state_dict'}
    restorer = Restorer(load_config(ROOT / f'configs/{path.stem}.py'), path, device='cpu')
    gt = data.astronaut()
    lqs = [degrade_by_seed(gt, degradation, seed) for seed in range(2)]
    restored = [score_image('', restorer.restore(lq), gt).psnr for lq in lqs]
    baseline = [score_image('', bicubic(lq, 512, 512), gt).psnr for lq in lqs]
    assert np.mean(restored) > np.mean(baseline) + 0.5
