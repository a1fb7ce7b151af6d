"""Adversarial training of the tiny nets, through MMEngine's real runner."""

import json
from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_GAN
from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.errors import UserError
from facesr.training.train import train

LOSSES = {'loss_pix', 'loss_perceptual', 'loss_gan', 'loss_d_real', 'loss_d_fake'}
RATES = {'generator.lr', 'discriminator.lr'}


@pytest.fixture
def options(tiny_options: list[str]) -> list[str]:
    return [*tiny_options, 'train_dataloader.dataset.gt_patch_size=128']


def test_losses_and_rates_of_both_nets_are_logged(options: list[str], tmp_path: Path):
    train(TINY_GAN, options)
    [scalars] = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    training = [line for line in lines if 'loss_gan' in line]
    assert [line['iter'] for line in training] == [1, 2, 3, 4]
    assert all(line.keys() >= LOSSES | RATES for line in training)
    assert len([line for line in lines if 'PSNR' in line]) == 2
    [events] = scalars.parent.glob('events.out.tfevents*')
    board = EventAccumulator(str(events)).Reload()
    assert set(board.Tags()['scalars']) >= LOSSES | RATES | {'PSNR', 'SSIM'}
    assert len(board.Scalars('loss_d_fake')) == 4


def test_checkpoint_holds_both_nets_and_no_vgg(options: list[str], tmp_path: Path):
    train(TINY_GAN, [*options, 'train_cfg.max_iters=2'])
    checkpoint = torch.load(tmp_path / 'work/iter_2.pth')  # PyTorch's protection is on
    nets = {name.partition('.')[0] for name in checkpoint['state_dict']}
    assert nets == {'generator', 'discriminator'}
    assert checkpoint['optimizer'].keys() == {'generator', 'discriminator'}
    assert checkpoint['step_counter'] == 2


class CutError(Exception):
    pass


@HOOKS.register_module()
class CutHook(Hook):
    """Ends a run in its sixth iteration, without a word to the others."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == 5:
            raise CutError


@pytest.mark.parametrize(('path', 'workers'), [(TINY, 0), (TINY_GAN, 0), (TINY_GAN, 2)])
def test_cut_and_resumed_ends_as_the_uncut_run(
    path: Path, workers: int, options: list[str], tmp_path: Path
):
    options += [f'train_dataloader.num_workers={workers}', 'train_cfg.max_iters=8']
    if path == TINY_GAN:  # a milestone after the cut, and what depends on the step counter
        options += ['param_scheduler.0.milestones=[2,7]']
        options += ['model.train_cfg.disc_init_steps=1', 'model.train_cfg.disc_steps=2']
    else:
        options += ['param_scheduler.0.periods=[4,4]', 'param_scheduler.0.restart_weights=[1,1]']
    train(path, options, work_dir=str(tmp_path / 'uncut'))
    config = load_config(path, [*options, f'work_dir={tmp_path}/cut'])
    config.custom_hooks.append(dict(type='CutHook'))
    with pytest.raises(CutError):
        Runner.from_cfg(config).train()
    assert (tmp_path / 'cut/last_checkpoint').read_text().endswith('iter_4.pth')
    train(path, options, work_dir=str(tmp_path / 'cut'), resume='auto')
    uncut, cut = (read_checkpoint(tmp_path / run / 'iter_8.pth') for run in ('uncut', 'cut'))
    assert uncut['state_dict'].keys() == cut['state_dict'].keys()
    for name, value in uncut['state_dict'].items():
        assert torch.equal(value, cut['state_dict'][name]), name
    for part in ('optimizer', 'param_schedulers'):
        assert str(uncut[part]) == str(cut[part])
    assert uncut.get('step_counter') == cut.get('step_counter')
    logs = [checkpoint['message_hub']['log_scalars'] for checkpoint in (uncut, cut)]
    for name in logs[0]:
        if name.startswith('train/') and 'time' not in name and 'memory' not in name:
            assert logs[0][name] == logs[1][name], name


def test_missing_vgg_stops_before_anything(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr('facesr.models.vgg_weights.FOLDER', tmp_path)
    with pytest.raises(UserError, match=r"VGG11's weights are missing: .*fetch .*/vgg11-\w+\.pth"):
        train(TINY_GAN, [*options, 'model.perceptual_loss.pretrained=torchvision'])
    assert not list((tmp_path / 'work').glob('*.pth'))
