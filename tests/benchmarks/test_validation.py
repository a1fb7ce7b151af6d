import pytest
from conftest import TINY, TINY_GAN

from benchmarks.measure import format_figures
from benchmarks.validation import time_scoring
from facesr.config import load_config
from facesr.errors import UserError


@pytest.mark.parametrize('path', [TINY, TINY_GAN], ids=lambda path: path.stem)
def test_the_configs_metrics_give_mmagics_scores_for_less(path, tiny_options: list[str]):
    figures = time_scoring(load_config(path, tiny_options), 2, 2, 'cpu')
    taken, difference = figures['seconds'], figures['difference']
    assert list(taken) == ["MMagic's metrics", 'ours, one at a time', 'ours, batches of 8']
    assert all(len(seconds) == 2 for seconds in taken.values())
    assert difference['images'] == 2
    assert difference['PSNR'] < 1e-4 and difference['SSIM'] < 1e-6
    assert format_figures(figures).startswith('difference: images 2, PSNR ')


def test_a_config_without_a_validation_set(tiny_options: list[str]):
    options = [option for option in tiny_options if not option.startswith('val_')]
    options += [f'val_{part}=None' for part in ('dataloader', 'cfg', 'evaluator')]
    with pytest.raises(UserError, match=r'tiny_srresnet\.py: no validation set in it'):
        time_scoring(load_config(TINY, options), 2, 1, 'cpu')
