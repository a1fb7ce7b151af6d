"""Training runs of the tiny net, through MMEngine's real runner."""

import json
from pathlib import Path

import pytest
import torch
from conftest import TINY
from mmengine.config import Config
from mmengine.runner import Runner

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.errors import UserError
from facesr.training.train import train


def scalars(work_dir: Path) -> list[dict]:
    lines = []
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        lines += [json.loads(line) for line in path.read_text().splitlines()]
    return lines


def test_trains_validates_saves_and_resumes(tiny_options: list[str], tmp_path: Path):
    work = tmp_path / 'work'
    train(TINY, tiny_options)
    logged = scalars(work)
    assert [line['iter'] for line in logged if 'loss' in line] == [1, 2, 3, 4]
    assert all(15 < line['PSNR'] < 40 and 0 < line['SSIM'] < 1 for line in logged if 'PSNR' in line)
    assert len([line for line in logged if 'PSNR' in line]) == 2
    assert list(work.glob('best_PSNR_iter_*.pth'))
    assert list(work.glob('*/vis_data/events.out.tfevents*')), 'TensorBoard'

    train(TINY, [*tiny_options, 'train_cfg.max_iters=6'], resume='auto')
    assert [line['iter'] for line in scalars(work) if 'loss' in line] == [1, 2, 3, 4, 5, 6]
    checkpoint = torch.load(work / 'iter_6.pth')  # PyTorch's protection is on
    assert checkpoint['meta']['iter'] == 6
    assert len(checkpoint['message_hub']['log_scalars']['train/loss'][0]) == 6


def test_a_longer_schedule_counts_when_a_run_goes_on(tiny_options: list[str], tmp_path: Path):
    config = tmp_path / 'steps.py'
    step = "dict(type='MultiStepLR', by_epoch=False, milestones=[6], gamma=0.5)"
    config.write_text(f"_base_ = ['{TINY}']\nparam_scheduler = [{step}]\n")
    train(config, tiny_options)
    train(config, [*tiny_options, 'train_cfg.max_iters=8'], resume='auto')
    rates = [line['lr'] for line in scalars(tmp_path / 'work') if 'loss' in line]
    assert rates == [rates[0]] * 6 + [rates[0] / 2] * 2


def test_a_resumed_run_takes_the_configs_learning_rate(tiny_options: list[str], tmp_path: Path):
    config = tmp_path / 'steps.py'
    step = "dict(type='MultiStepLR', by_epoch=False, milestones=[1, 3], gamma=0.5)"
    adam = "dict(_delete_=True, type='MuonAdam', lr=1e-3, adam_lr=4e-3)"
    config.write_text(
        f"_base_ = ['{TINY}']\nparam_scheduler = [{step}]\n"
        f'optim_wrapper = dict(optimizer={adam})\nmodel = dict(generator=dict(mid_channels=16))\n'
    )
    train(config, [*tiny_options, 'train_cfg.max_iters=2'])
    changes = ['optim_wrapper.optimizer.lr=1e-4', 'optim_wrapper.optimizer.adam_lr=8e-4']
    train(config, [*tiny_options, *changes], resume='auto')
    rates = [line['lr'] for line in scalars(tmp_path / 'work') if 'loss' in line]
    assert rates == pytest.approx([1e-3, 5e-4, 5e-5, 2.5e-5])
    groups = torch.load(tmp_path / 'work/iter_4.pth')['optimizer']['param_groups']
    assert [group['initial_lr'] for group in groups] == [1e-4, 8e-4]


def test_panels_of_fixed_validation_images(tiny_options: list[str], tmp_path: Path):
    options = [*tiny_options, 'default_hooks.panels.interval=1', 'train_cfg.max_iters=2']
    train(TINY, options)
    names = [path.name for path in sorted((tmp_path / 'work').glob('*/vis_data/vis_image/*.png'))]
    assert names == ['00000_2.png', '00001_2.png']


def test_runner_needs_the_config_alone(tiny_options: list[str], tmp_path: Path):
    config = Config.fromfile(TINY)
    config.merge_from_dict(dict(option.split('=') for option in tiny_options[:3]))
    config.merge_from_dict({'train_dataloader.dataset.gt_patch_size': 64})
    config.train_cfg.max_iters, config.work_dir = 1, str(tmp_path / 'work')
    Runner.from_cfg(config).train()
    assert (tmp_path / 'work/last_checkpoint').exists()


def test_misspelt_key_is_refused_from_the_config_alone(tiny_options: list[str], tmp_path: Path):
    config = load_config(TINY, tiny_options)
    config.train_dataloader.dataset.pipeline[1].chain[3].params.qualty = 3
    with pytest.raises(UserError, match="did you mean 'quality'"):
        Runner.from_cfg(config).train()


def test_resume_auto_without_a_checkpoint_starts_fresh(tiny_options, tmp_path: Path, capsys):
    train(TINY, [*tiny_options, 'train_cfg.max_iters=1'], resume='auto')
    assert 'no checkpoint to go on from, starting from the beginning' in capsys.readouterr().out
    assert (tmp_path / 'work/iter_1.pth').exists()


def test_resume_from_weights_alone_is_refused(tiny_options: list[str], tiny_checkpoint: Path):
    with pytest.raises(UserError, match=r'holds weights only.*load_from='):
        train(TINY, tiny_options, resume=str(tiny_checkpoint))


def test_resume_from_the_best_which_lacks_its_optimiser_is_refused(tiny_options, tmp_path: Path):
    train(TINY, tiny_options)
    [best] = (tmp_path / 'work').glob('best_PSNR_iter_*.pth')
    with pytest.raises(
        UserError, match=r'holds weights only \(optimizer and param_schedulers miss'
    ):
        train(TINY, tiny_options, resume=str(best))


def test_resume_in_another_folder_leaves_the_first_runs_best_alone(tiny_options, tmp_path: Path):
    train(TINY, tiny_options)
    best = list((tmp_path / 'work').glob('best_PSNR_iter_*.pth'))
    last = tmp_path / 'work/iter_4.pth'
    options = [*tiny_options, 'train_cfg.max_iters=6']
    train(TINY, options, resume=str(last), work_dir=str(tmp_path / 'other'))
    assert list((tmp_path / 'other').glob('best_PSNR_iter_6.pth'))
    assert best and all(path.exists() for path in best)


def test_load_from_is_strict_and_takes_the_weights(tiny_options, tiny_checkpoint: Path, tmp_path):
    options = [*tiny_options, f'load_from={tiny_checkpoint}']
    with pytest.raises(UserError, match=r"not this config's model: trunk_net\.2\.conv1"):
        train(TINY, [*options, 'model.generator.num_blocks=3'])
    train(TINY, [*options, 'train_cfg.max_iters=1', 'optim_wrapper.optimizer.lr=0.0'])
    trained = read_checkpoint(tmp_path / 'work/iter_1.pth')['state_dict']
    given = torch.load(tiny_checkpoint)
    assert all(torch.equal(trained[name], given[name]) for name in given)


@pytest.mark.parametrize('workers', [0, 1])
def test_unreadable_training_file_is_named(tiny_options, faces: Path, tmp_path: Path, workers: int):
    broken = tmp_path / 'broken/train/GT/a.png'
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b'no picture')
    options = [*tiny_options, f'train_dataloader.dataset.data_root={tmp_path}/broken']
    with pytest.raises(UserError, match=r'^\S*a\.png: not a readable image') as error:
        train(TINY, [*options, f'train_dataloader.num_workers={workers}'])
    assert '\n' not in str(error.value)
