import json
import multiprocessing
import re
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


def scalars(work_dir: Path) -> list[dict]:
    lines = []
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        lines += [json.loads(line) for line in path.read_text().splitlines()]
    return lines


def test_no_loaders_process_outlives_the_run(tiny_options: list[str]):
    workers = [
        f'{split}_dataloader.{option}'
        for split in ('train', 'val')
        for option in ('num_workers=1', 'persistent_workers=True')
    ]
    train(TINY, [*tiny_options, *workers])
    assert multiprocessing.active_children() == []


def test_a_resume_takes_the_configs_rates_and_length(tiny_options: list[str], tmp_path: Path):
    config = tmp_path / 'steps.py'
    step = "dict(type='MultiStepLR', by_epoch=False, milestones=[1, 3, 5], gamma=0.5)"
    adam = "dict(_delete_=True, type='MuonAdam', lr=1e-3, adam_lr=4e-3)"
    config.write_text(
        f"_base_ = ['{TINY}']\nparam_scheduler = [{step}]\n"
        f'optim_wrapper = dict(optimizer={adam})\nmodel = dict(generator=dict(mid_channels=16))\n'
    )
    train(config, [*tiny_options, 'train_cfg.max_iters=2'])
    changes = ['optim_wrapper.optimizer.lr=1e-4', 'optim_wrapper.optimizer.adam_lr=8e-4']
    changes.append('train_cfg.max_iters=6')
    train(config, [*tiny_options, *changes], resume='auto')
    rates = [line['lr'] for line in scalars(tmp_path / 'work') if 'loss' in line]
    assert rates == pytest.approx([1e-3, 5e-4, 5e-5, 2.5e-5, 2.5e-5, 1.25e-5])
    groups = torch.load(tmp_path / 'work/iter_6.pth')['optimizer']['param_groups']
    assert [group['initial_lr'] for group in groups] == [1e-4, 8e-4]


def test_resume_auto_without_a_checkpoint_starts_fresh(tiny_options, tmp_path: Path, capsys):
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work/last_checkpoint').write_text('lost.pth')
    train(TINY, [*tiny_options, 'train_cfg.max_iters=1', 'resume=True'])
    said = capsys.readouterr().out
    assert 'no checkpoint to resume from, starting at the beginning' in said
    assert 'starts from  the beginning' in said
    assert (tmp_path / 'work/iter_1.pth').exists()


def test_a_resume_from_what_lacks_an_optimiser_is_refused(tiny_options, tiny_checkpoint, trained):
    with pytest.raises(UserError, match=r'holds weights only.*load_from='):
        train(TINY, tiny_options, resume=str(tiny_checkpoint))
    with pytest.raises(UserError, match=r'weights only \(optimizer and param_schedulers miss'):
        train(TINY, tiny_options, resume=f'{trained.work_dir}/best.pth')


def test_resume_in_another_folder_leaves_the_first_runs_best_alone(tiny_options, trained, tmp_path):
    best = Path(trained.work_dir, 'best.pth').read_bytes()
    last = f'{trained.work_dir}/iter_4.pth'
    train(TINY, [*tiny_options, 'train_cfg.max_iters=6'], resume=last)
    assert read_checkpoint(tmp_path / 'work/best.pth')['meta']['iter'] in (4, 6)
    assert Path(trained.work_dir, 'best.pth').read_bytes() == best


def test_load_from_is_strict_and_takes_the_weights(tiny_options, tiny_checkpoint: Path, tmp_path):
    options = [*tiny_options, f'load_from={tiny_checkpoint}']
    with pytest.raises(UserError, match=r"not this config's model: trunk_net\.2\.conv1"):
        train(TINY, [*options, 'model.generator.num_blocks=3'])
    train(TINY, [*options, 'train_cfg.max_iters=1', 'optim_wrapper.optimizer.lr=0.0'])
    trained = read_checkpoint(tmp_path / 'work/iter_1.pth')['state_dict']
    given = torch.load(tiny_checkpoint)
    assert all(torch.equal(trained[name], given[name]) for name in given)


def test_unreadable_training_file_is_named(tiny_options: list[str], tmp_path: Path):
    broken = tmp_path / 'broken/train/GT/a.png'
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b'no picture')
    options = [*tiny_options, f'train_dataloader.dataset.data_root={tmp_path}/broken']
    with pytest.raises(UserError, match=r'^\S*a\.png: not a readable image') as error:
        train(TINY, [*options, 'train_dataloader.num_workers=1'])
    assert '\n' not in str(error.value)


def test_a_config_in_its_own_work_directory_is_not_replaced(tiny_options, tmp_path: Path):
    config = tmp_path / 'mine.py'
    config.write_text(f"_base_ = ['{TINY}']\n")
    with pytest.raises(UserError, match=r"mine\.py: the run's copy of its config would replace it"):
        train(config, tiny_options, work_dir=str(tmp_path))
    assert config.read_text().startswith('_base_')


def test_a_dry_run_tells_what_the_run_will_take_and_writes_nothing(tiny_options, tmp_path, capsys):
    options = [*tiny_options, 'train_cfg.max_iters=1000', 'train_cfg.val_interval=300']
    train(TINY, options, dry_run=True)
    said = capsys.readouterr().out
    assert said.startswith('dry run passed') and len(said.splitlines()) == 4, said
    time = r'\d[\d.]* (s|min|h|days)'
    assert re.search(f'1,000 iterations: about {time} by the second of two', said)
    assert re.search(f'4 validations of 2 images: at most {time}', said)
    folder = re.escape(str(tmp_path / 'work'))
    assert re.search(f'3 checkpoints and the best, .* in {folder}, where .* GB are free', said)
    assert not (tmp_path / 'work').exists()


def test_a_dry_run_looks_at_the_work_directory_too(tiny_options: list[str], tmp_path: Path):
    taken = tmp_path / 'taken'
    taken.write_text('mine')
    for work_dir in taken, taken / 'below':
        with pytest.raises(UserError, match=r'cannot be written: .*taken is no folder'):
            train(TINY, tiny_options, work_dir=str(work_dir), dry_run=True)


def test_an_adversarial_run_logs_and_saves_both_nets(tiny_options: list[str], tmp_path: Path):
    train(TINY_GAN, [*tiny_options, 'train_dataloader.dataset.gt_patch_size=128'])
    lines = scalars(tmp_path / 'work')
    training = [line for line in lines if 'loss_gan' in line]
    assert [line['iter'] for line in training] == [1, 2, 3, 4]
    assert all(line.keys() >= LOSSES | RATES for line in training)
    assert len([line for line in lines if 'PSNR' in line]) == 2
    [events] = (tmp_path / 'work').glob('*/vis_data/events.out.tfevents*')
    board = EventAccumulator(str(events)).Reload()
    assert set(board.Tags()['scalars']) >= LOSSES | RATES | {'PSNR', 'SSIM'}
    assert len(board.Scalars('loss_d_fake')) == 4
    [log] = (tmp_path / 'work').glob('*/*.log')
    assert 'generator: from scratch, not trained before' in log.read_text()
    checkpoint = torch.load(tmp_path / 'work/iter_4.pth')  # PyTorch's protection is on
    nets = {name.partition('.')[0] for name in checkpoint['state_dict']}
    assert nets == checkpoint['optimizer'].keys() == {'generator', 'discriminator'}
    assert checkpoint['step_counter'] == 4


class CutError(Exception):
    pass


@HOOKS.register_module()
class CutHook(Hook):
    """Ends a run in its sixth iteration, without a word to the others."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == 5:
            raise CutError


def test_cut_and_resumed_ends_as_the_uncut_run(tiny_options: list[str], tmp_path: Path):
    options = [*tiny_options, 'train_cfg.max_iters=8']
    # A milestone after the cut, what depends on the step counter, random crops of outputs.
    options += ['param_scheduler.0.milestones=[2,7]', 'model.train_cfg.disc_init_steps=1']
    options += ['model.train_cfg.disc_steps=2', 'model.crop_size=128']
    options.append('train_dataloader.dataset.gt_patch_size=192')
    train(TINY_GAN, options, work_dir=str(tmp_path / 'uncut'))
    config = load_config(TINY_GAN, [*options, f'work_dir={tmp_path}/cut'])
    config.custom_hooks = [dict(type='CutHook')]
    with pytest.raises(CutError):
        Runner.from_cfg(config).train()
    assert (tmp_path / 'cut/last_checkpoint').read_text().endswith('iter_4.pth')
    train(TINY_GAN, options, work_dir=str(tmp_path / 'cut'), resume='auto')
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


def test_each_validation_set_has_its_own_scores(tiny_options: list[str], tmp_path: Path):
    path = tmp_path / 'sets.py'
    sets = """_base_ = ['BASE']
val_dataloader = [_base_.val_dataloader, {**_base_.val_dataloader, 'batch_size': 1}]
val_evaluator = [
    dict(type='Evaluator', metrics=[dict(type='BatchPSNR', prefix=name)]) for name in ('a', 'b')]
train_cfg = dict(max_iters=2)
default_hooks = dict(checkpoint=dict(save_best='b/PSNR'), panels=dict(interval=1))
"""
    path.write_text(sets.replace('BASE', str(TINY)))
    options = [*tiny_options[:1], *tiny_options[2:]]
    root = tiny_options[1].partition('=')[2]
    options += [f'val_dataloader.{index}.dataset.data_root={root}' for index in (0, 1)]
    train(path, options, dry_run=True)
    train(path, options)
    [line] = [line for line in scalars(tmp_path / 'work') if 'a/PSNR' in line]
    first, second = line['a/PSNR'], line['b/PSNR']
    assert first == pytest.approx(second) and first > 5
    panels = {panel.name for panel in (tmp_path / 'work').glob('*/vis_data/vis_image/*')}
    assert panels == {f'{name}_0000{image}_2.png' for name in ('a', 'b') for image in (0, 1)}
    path.write_text(sets.replace('BASE', str(TINY)).replace("('a', 'b')", "('a',)"))
    with pytest.raises(UserError, match=r'config: 2 of val_dataloader, 1 of val_evaluator; each'):
        load_config(path, options)
