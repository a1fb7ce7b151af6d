from pathlib import Path

import pytest
from conftest import TINY

from facesr.errors import UserError
from facesr.training.train import train


def log_text(work_dir: Path) -> str:
    return '\n'.join(path.read_text() for path in work_dir.glob('*/*.log'))


def test_facts_before_and_speed_during_the_run(tiny_options: list[str], tmp_path: Path):
    train(TINY, [*tiny_options, 'default_hooks.summary.timing_iters=2', 'train_cfg.max_iters=3'])
    text = log_text(tmp_path / 'work')
    assert 'SRResNet, 8,035 trainable parameters (fewer than 2,276,356 allowed)' in text
    assert '4 images, iterations 1 to 3, batch of 2' in text
    assert '2 images every 2 iterations' in text
    assert f'writing to  {tmp_path}/work' in text
    assert 's an iteration: the 1 left take about' in text


def test_too_large_a_generator_stops_the_run(tiny_options: list[str], tmp_path: Path):
    with pytest.raises(
        UserError, match='has 8,035 trainable parameters, fewer than 8,035 are allowed'
    ):
        train(TINY, [*tiny_options, 'default_hooks.summary.parameter_limit=8035'])
    assert not list((tmp_path / 'work').glob('*.pth'))
