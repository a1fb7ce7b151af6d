"""Checkpoints of real runs on a disk that takes no more: files have a largest size."""

import resource
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import TINY, train
from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from facesr.checkpoint import read_checkpoint
from facesr.errors import UserError
from facesr.training.train import train as train_config


@HOOKS.register_module()
class FullDiskHook(Hook):
    """No file may grow beyond 40 KB from one iteration on, until another."""

    priority = 'VERY_HIGH'

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        iteration = batch_idx + 1
        if iteration in (self.first, self.last + 1):
            most = 40 * 1024 if iteration == self.first else resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


@pytest.fixture(autouse=True)
def _no_limit_is_left():
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


def names(work_dir: Path) -> list[str]:
    return sorted(path.name for path in work_dir.glob('*.pth'))


OPTIONS = ['default_hooks.checkpoint.interval=1', 'default_hooks.checkpoint.max_keep_ckpts=1']


def test_a_full_disk_keeps_the_run_and_the_last_good(tiny_options: list[str], tmp_path: Path):
    options = [*tiny_options, *OPTIONS, 'train_cfg.max_iters=5', 'train_cfg.val_interval=10']
    runner = train(options, dict(type='FullDiskHook', first=3, last=4))
    work_dir = tmp_path / 'work'
    [log] = work_dir.glob('*/*.log')
    text = log.read_text()
    assert text.count('NOT WRITTEN: ') == 2
    assert f'the last good one: {work_dir}/iter_2.pth; training continues' in text
    assert names(work_dir) == ['best.pth', 'iter_5.pth']
    assert read_checkpoint(work_dir / 'iter_5.pth')['message_hub']['runtime_info'][
        'keep_ckpt_ids'
    ] == [5]
    assert not list(work_dir.glob('.*.partial*'))
    assert runner.iter == 5


def test_the_end_insists_on_its_checkpoint(tiny_options: list[str], tmp_path: Path):
    options = [*tiny_options, *OPTIONS, 'train_cfg.val_interval=2']
    with pytest.raises(UserError, match=r'the last checkpoint could not be written \(.*too large'):
        train(options, dict(type='FullDiskHook', first=3, last=9))
    assert names(tmp_path / 'work') == ['best.pth', 'iter_2.pth']
    assert read_checkpoint(tmp_path / 'work/iter_2.pth')['meta']['iter'] == 2


def test_a_checkpoint_holds_the_score_of_its_own_validation(trained: Runner):
    work_dir = Path(trained.work_dir)
    info = read_checkpoint(work_dir / 'iter_4.pth')['message_hub']['runtime_info']
    assert info['last_validated_iter'] == 4
    assert (info['best_ckpt'], info['best_score_name']) == (str(work_dir / 'best.pth'), 'PSNR')
    assert names(work_dir) == ['best.pth', 'iter_2.pth', 'iter_4.pth']


def test_a_best_score_counts_while_its_checkpoint_is_there(tiny_options, trained, tmp_path: Path):
    work_dir, best = tmp_path / 'work', tmp_path / 'work/best.pth'
    work_dir.mkdir()
    shutil.copy(Path(trained.work_dir, 'best.pth'), best)
    before = best.read_bytes()
    checkpoint = read_checkpoint(Path(trained.work_dir, 'iter_2.pth'))
    checkpoint['message_hub']['runtime_info'] |= dict(best_score=99.0, best_ckpt='/moved/best.pth')
    torch.save(checkpoint, work_dir / 'iter_2.pth')
    resume = [*tiny_options, 'resume=True']
    train([*resume, f'load_from={work_dir}/iter_2.pth'])
    assert best.read_bytes() == before, 'no score was better'
    best.unlink()
    train([*resume, 'train_cfg.max_iters=6', f'load_from={work_dir}/iter_4.pth'])
    assert read_checkpoint(best)['meta']['iter'] == 6


def test_what_decides_the_best_must_be_a_score_that_there_is(tiny_options: list[str]):
    for rehearse_or_train, name in (
        (partial(train_config, TINY, dry_run=True), 'LPIPS'),
        (train, 'auto'),
    ):
        options = [*tiny_options, f'default_hooks.checkpoint.save_best={name}']
        with pytest.raises(UserError, match=f"save_best='{name}': no such score; there are PSNR,"):
            rehearse_or_train(options)
