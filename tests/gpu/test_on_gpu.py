"""The tools on a CUDA GPU, as a user starts them; skipped where there is none."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, TINY

from facesr.config import load_config
from facesr.images import list_images, read_image

pytestmark = pytest.mark.gpu

CONFIGS = sorted((ROOT / 'configs').glob('*.py'))


@pytest.mark.parametrize('base', CONFIGS, ids=lambda path: path.stem)
def test_trains_validates_saves_and_resumes(gpu_tool, base: Path, faces: Path, tmp_path: Path):
    config = load_config(base)
    adversarial = 'perceptual_loss' in config.model
    work = tmp_path / 'work'
    options = [f'{split}_dataloader.dataset.data_root={faces}' for split in ('train', 'val')]
    options += [f'train_dataloader.dataset.cache_dir={tmp_path}/cache', 'train_cfg.val_interval=2']
    options.append('default_hooks.panels.interval=1')
    if adversarial:  # any weights do
        options += ['model.perceptual_loss.pretrained=random']
        options += ['default_hooks.pretrained.source=None']
    arguments = [base, '--work-dir', work]
    for end, more in ((2, []), (4, ['--resume'])):
        iterations = f'train_cfg.max_iters={end}'
        result = gpu_tool('train', *arguments, *more, '--cfg-options', *options, iterations)
        assert result.returncode == 0, result.stderr
        assert re.search(r'device  .+ \(cuda:0\)', result.stdout + result.stderr)
        panels = list(work.glob(f'*/vis_data/vis_image/*_{end}.png'))
        assert len(panels) == len(list_images(faces / 'val/LQ'))
        weights = torch.load(work / f'iter_{end}.pth')['state_dict']
        assert all(weight.isfinite().all() for weight in weights.values())
        logs = sorted(work.glob('*/vis_data/scalars.json'))
        scores = [line for log in logs for line in map(json.loads, log.open()) if 'PSNR' in line]
        assert scores[-1]['step'] == end and 5 < scores[-1]['PSNR'] < 40


def test_degrades_as_opencv_does(gpu_tool, tiny_options: list[str], tmp_path: Path):
    figures = tmp_path / 'figures.json'
    arguments = ['--images', '4', '--rounds', '1', '--device', 'cuda', '--json', figures]
    result = gpu_tool('benchmarks.degradation', TINY, *arguments, '--cfg-options', *tiny_options)
    assert result.returncode == 0, result.stderr
    assert json.loads(figures.read_text())['results']['agreement']['psnr'] > 75


@pytest.mark.parametrize(('precision', 'levels'), [('float32', 1), ('bf16', 4), ('fp16', 2)])
def test_restores_as_the_cpu_does(
    gpu_tool, tool, tiny_checkpoint: Path, faces: Path, tmp_path: Path, precision: str, levels: int
):
    out = {'cpu': tmp_path / 'cpu', 'cuda': tmp_path / 'cuda'}
    arguments = [TINY, tiny_checkpoint, '--input', faces / 'val/LQ', '--tta', 'shift']
    result = tool('test', *arguments, '--device', 'cpu', '--out', out['cpu'])
    assert result.returncode == 0, result.stderr
    arguments += ['--device', 'cuda', '--precision', precision, '--batch-size', '2']
    result = gpu_tool('test', *arguments, '--out', out['cuda'])
    assert result.returncode == 0, result.stderr
    for name in ('00000.png', '00001.png'):
        cpu, cuda = (read_image(folder / name).astype(int) for folder in out.values())
        assert np.abs(cuda - cpu).max() <= levels
