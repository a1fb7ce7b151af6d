"""Two processes under torchrun, over gloo: one model, trained as one process trains it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT, TINY, TINY_GAN

CONFIG = """
_base_ = ['BASE']
custom_imports = dict(imports=['facesr', 'keep_weights'], allow_failed_imports=False)
custom_hooks = [*_base_.custom_hooks, dict(type='KeepWeightsHook')]
metrics = [*_base_.val_evaluator.metrics, dict(type='PSNR', prefix='stock')]
val_evaluator = dict(metrics=metrics)
"""
HOOK = """
import torch
from mmagic.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook

@HOOKS.register_module()
class KeepWeightsHook(Hook):
    def after_train(self, runner):
        torch.save(dict(runner.model.named_parameters()), f'{runner.work_dir}/{get_rank()}.pt')

    def after_val_epoch(self, runner, metrics):
        scores = {name: float(score) for name, score in metrics.items()}
        torch.save(scores, f'{runner.work_dir}/scores_{get_rank()}.pt')
"""
# Adam makes a whole step of a gradient's last bit.
SGD = "optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1))\n"


def train(config: Path, options: list[str], work_dir: Path, processes: int) -> list[dict]:
    """Train as a user does; gives each process's weights."""
    launch = ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={processes}']
    arguments = ['--work-dir', work_dir, '--cfg-options', *options]
    result = subprocess.run(
        [sys.executable, *launch, 'tools/train.py', config, '--launcher', 'pytorch', *arguments],
        cwd=ROOT,
        env={**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'PYTHONPATH': str(config.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return [torch.load(work_dir / f'{rank}.pt') for rank in range(processes)]


@pytest.fixture
def config(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / 'keep_weights.py').write_text(HOOK)
    path = tmp_path / 'config.py'
    base, more = request.param
    path.write_text(CONFIG.replace('BASE', str(base)) + more)
    return path


@pytest.mark.parametrize('config', [(TINY, SGD)], indirect=True)
def test_two_halves_of_a_batch_train_as_the_whole(config: Path, tiny_options, tmp_path: Path):
    options = [*tiny_options, 'train_dataloader.batch_size=1']
    first, second = train(config, options, tmp_path / 'two', 2)
    [whole] = train(config, tiny_options, tmp_path / 'one', 1)
    for name, weight in first.items():
        name = name.removeprefix('module.')
        assert torch.equal(weight, second[f'module.{name}']), name
        whole_weight = whole.get(name, whole.get(f'module.{name}'))
        torch.testing.assert_close(weight, whole_weight, rtol=1e-4, atol=1e-6)
    scores = [
        torch.load(tmp_path / name)
        for name in ('one/scores_0.pt', 'two/scores_0.pt', 'two/scores_1.pt')
    ]
    for score in scores:  # over the images of all processes
        assert score['PSNR'] == pytest.approx(score['stock/PSNR'], abs=1e-4)
        assert score['PSNR'] == pytest.approx(scores[0]['PSNR'], abs=1e-3)


@pytest.mark.parametrize('config', [(TINY_GAN, '')], indirect=True)
def test_both_nets_of_two_processes_stay_alike(config: Path, tiny_options, tmp_path: Path):
    options = [*tiny_options, 'train_dataloader.dataset.pipeline.1.gt_patch_size=128']
    first, second = train(config, options, tmp_path / 'two', 2)
    for net in ('generator', 'discriminator'):
        assert any(f'.{net}.' in f'.{name}' for name in first), net
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name
