from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_GAN, train
from mmengine.runner import Runner

from facesr.config import load_config
from facesr.nets import is_fast_in_bf16
from facesr.training.progress import describe_device


def test_trains_to_the_same_weights(tiny_options: list[str], tmp_path: Path):
    options = [*tiny_options, 'train_dataloader.dataset.gt_patch_size=128']
    options.append('default_hooks.logger.interval=2')
    plain = train(options, config=TINY_GAN)
    fast = train(
        [*options, 'experiment_name=fast', f'work_dir={tmp_path}/fast'],
        dict(type='FastStepHook', compile=dict(backend='eager')),
        config=TINY_GAN,
    )
    for net in ('generator', 'discriminator'):
        expected = dict(getattr(plain.model, net).named_parameters())
        for name, weight in getattr(fast.model, net).named_parameters():
            assert torch.allclose(weight, expected[name], atol=2e-4), name
    weight = fast.model.generator.conv_hr.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ('before', 'after', 'config', 'optimizers'),
    [
        ('fast', 'plain', TINY, ['optimizer']),
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


def test_bf16_keeps_the_losses_and_features_finite(tiny_options: list[str]):
    """With the deepest layer, where features are largest."""
    options = [*tiny_options, 'train_dataloader.dataset.gt_patch_size=128']
    options += ['train_cfg.max_iters=1', 'train_dataloader.batch_size=1']
    nets = ('generator', 'discriminator')
    options += [f'optim_wrapper.{net}.type=Bf16OptimWrapper' for net in nets]
    config = load_config(TINY_GAN, options)
    config.model.perceptual_loss.layer_weights = {'18': 1.0}
    config.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    runner = Runner.from_cfg(config)
    features, logits = [], []
    runner.model.perceptual_loss.vgg.register_forward_hook(
        lambda module, args, output: features.append(output['18'])
    )
    runner.model.discriminator.register_forward_hook(
        lambda module, args, output: logits.append(output)
    )
    runner.train()
    cpu = torch.device('cpu')
    expected = torch.bfloat16 if is_fast_in_bf16(cpu) else torch.float32
    assert {value.dtype for value in [*features, *logits]} == {expected}
    assert describe_device(runner.model, runner.optim_wrapper).endswith(
        'bfloat16' if is_fast_in_bf16(cpu) else 'float32 (it is slow in bfloat16)'
    )
    assert all(value.isfinite().all() for value in [*features, *logits])
    scalars = runner.message_hub.log_scalars
    for name in ('loss_pix', 'loss_perceptual', 'loss_gan', 'loss_d_real', 'loss_d_fake'):
        assert all(torch.tensor(scalars[f'train/{name}'].data[0]).isfinite())
    assert all(weight.dtype == torch.float32 for weight in runner.model.parameters())
