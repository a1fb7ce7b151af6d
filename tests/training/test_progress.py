import json
import re
from pathlib import Path

import pytest
import torch
from conftest import train
from mmengine.runner import Runner

from facesr.checkpoint import read_checkpoint
from facesr.errors import UserError
from facesr.training.progress import peak_memory


def log_text(work_dir: Path) -> str:
    return '\n'.join(path.read_text() for path in sorted(work_dir.glob('*/*.log')))


def test_facts_before_and_speed_during_the_run(trained: Runner):
    work_dir = Path(trained.work_dir)
    text = log_text(work_dir)
    assert 'SRResNet, 8,035 trainable parameters (fewer than 2,276,356 allowed)' in text
    assert '4 images, iterations 1 to 4, batch of 2' in text
    assert '2 images every 2 iterations' in text
    assert f'writing to  {work_dir}' in text
    assert 'starts from  the beginning' in text
    assert re.search(r'log  .*/\d{8}_\d{6}\.log\n', text)
    assert re.search(
        r'iteration 2 of 4: [\d.]+ s an iteration, loss 0\.\d+, about \d+ \w+ left', text
    )
    assert re.search(r'validation after iteration 2: PSNR \d+\.\d+, SSIM .*, the best so far', text)
    lines = re.findall(r'.*Iter\(train\).*', text)
    assert len(lines) == 4
    for line in lines:
        [memory] = re.findall(r'memory: (\d+)', line)
        assert 100 < int(memory) <= peak_memory()
        assert 'eta: ' in line and re.search(r'time: 0\.\d+', line)
    [path] = work_dir.glob('*/run.json')
    assert json.loads(path.read_text()) == dict(
        device=f'CPU, {torch.get_num_threads()} threads'.replace(' 1 threads', ' 1 thread'),
        generator='SRResNet',
        parameters=8035,
        training_images=4,
        batch_size=2,
        processes=1,
        start=1,
        validation_images=2,
    )


def test_what_a_resume_has_changed_outside_of_the_config_is_said(tiny_options, trained, tmp_path):
    checkpoint = read_checkpoint(Path(trained.work_dir, 'iter_2.pth'))
    checkpoint['message_hub']['runtime_info']['facts']['training_images'] = 6
    torch.save(checkpoint, tmp_path / 'other.pth')
    train([*tiny_options, 'resume=True', f'load_from={tmp_path}/other.pth'])
    text = log_text(tmp_path / 'work')
    assert f'starts from  {tmp_path}/other.pth, iteration 2' in text
    assert 'training_images: 4 (before: 6)\n' in text and text.count('(before: ') == 1


def test_too_large_a_generator_stops_the_run(tiny_options: list[str], tmp_path: Path):
    with pytest.raises(UserError, match='has 8,035 trainable parameters, fewer than 8,035 are all'):
        train([*tiny_options, 'default_hooks.summary.parameter_limit=8035'])
    assert not list((tmp_path / 'work').glob('*.pth'))
