"""The nets of real runs, laid out and compiled; the eager backend makes no machine code."""

from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_GAN, train


@pytest.mark.parametrize('config', [TINY, TINY_GAN])
def test_trains_to_the_same_weights(config: Path, tiny_options: list[str], tmp_path: Path):
    options = [
        *tiny_options,
        'train_dataloader.dataset.gt_patch_size=128',
        'default_hooks.logger.interval=2',
    ]
    plain = train(options, config=config)
    fast = train(
        [*options, 'experiment_name=fast', f'work_dir={tmp_path}/fast'],
        dict(type='FastStepHook', compile=dict(backend='eager')),
        config=config,
    )
    for net in ('generator', 'discriminator')[: 1 if config == TINY else 2]:
        expected = dict(getattr(plain.model, net).named_parameters())
        for name, weight in getattr(fast.model, net).named_parameters():
            assert torch.allclose(weight, expected[name], atol=2e-4), name
    weight = fast.model.generator.conv_hr.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    [log] = (tmp_path / 'fast').glob('*/*.log')
    assert 'first iteration, with compiling: ' in log.read_text()


@pytest.mark.parametrize(
    ('before', 'after', 'config', 'optimizers'),
    [
        ('plain', 'fast', TINY, ['optimizer']),
        ('fast', 'plain', TINY, ['optimizer']),
        ('fast', 'fast', TINY, ['optimizer']),
        ('plain', 'fast', TINY_GAN, ['generator.optimizer', 'discriminator.optimizer']),
    ],
)
def test_a_resume_in_another_layout_makes_the_same_step(
    before: str,
    after: str,
    config: Path,
    optimizers: list[str],
    tiny_options: list[str],
    tmp_path: Path,
):
    """Fused Adam takes weights and moments as they lie in memory, stock Adam by their indices."""
    hooks = {'plain': [], 'fast': [dict(type='FastStepHook')]}
    options = [*tiny_options, *(f'optim_wrapper.{one}.lr=1e-2' for one in optimizers)]
    options += ['train_dataloader.dataset.gt_patch_size=128', 'train_cfg.max_iters=2']
    train(options, *hooks[before], config=config)
    saved = torch.load(tmp_path / 'work/iter_2.pth')['state_dict']
    options += ['train_cfg.max_iters=3', 'resume=True', f'load_from={tmp_path}/work/iter_2.pth']
    steps = {}
    for name, fused in {'stock': None, 'fused': True}.items():
        own = [*options, f'experiment_name={name}', f'work_dir={tmp_path}/{name}']
        own += [f'optim_wrapper.{one}.fused={fused}' for one in optimizers]
        runner = train(own, *hooks[after], config=config)
        wrapper = runner.optim_wrapper
        first = wrapper if config == TINY else wrapper['generator']
        assert first.param_groups[0]['fused'] is fused
        steps[name] = {key: weight - saved[key] for key, weight in runner.model.named_parameters()}
    for key, step in steps['stock'].items():
        assert (steps['fused'][key] - step).norm() <= 0.01 * step.norm(), key
