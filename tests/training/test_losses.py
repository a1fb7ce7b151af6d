"""Runs of the real runner, some of whose numbers are spoilt at the third iteration."""

from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_GAN, train
from mmagic.registry import HOOKS, OPTIM_WRAPPERS
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.errors import UserError
from facesr.training.losses import LossHook


@HOOKS.register_module()
class SpoilHook(Hook):
    """Makes a net's first weight infinite, or its gradient NaN."""

    def __init__(self, net: str, what: str) -> None:
        self.net, self.what = net, what

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        weight = next(getattr(runner.model, self.net).parameters())
        if batch_idx == 2 and self.what == 'weight':
            weight.data.fill_(torch.inf)
        elif batch_idx == 2:
            weight.register_hook(lambda gradient: gradient * torch.nan)


@pytest.mark.parametrize(
    ('config', 'net', 'what', 'message'),
    [
        (TINY, 'generator', 'gradient', r"iteration 3: the generator's gradient is not finite;"),
        (
            TINY_GAN,
            'generator',
            'weight',
            'iteration 3: loss_pix is nan and loss_perceptual is nan',
        ),
        (TINY_GAN, 'discriminator', 'gradient', r"the discriminator's gradient is not finite;"),
    ],
)
def test_stops_with_the_name_and_keeps_the_last_good_checkpoint(
    config: Path, net: str, what: str, message: str, tiny_options: list[str], tmp_path: Path
):
    options = [*tiny_options, 'train_dataloader.dataset.gt_patch_size=128']
    cfg = load_config(config, [*options, 'default_hooks.checkpoint.interval=1'])
    cfg.custom_hooks = [dict(type='SpoilHook', net=net, what=what)]
    runner = Runner.from_cfg(cfg)
    with pytest.raises(UserError, match=message) as error:
        runner.train()
    last = tmp_path / 'work/iter_2.pth'
    assert f'the last good checkpoint is {last}' in str(error.value)
    assert not (tmp_path / 'work/iter_3.pth').exists()
    weights = read_checkpoint(last)['state_dict']
    assert all(value.isfinite().all() for value in weights.values())


@HOOKS.register_module()
class WaitingLossHook(LossHook):
    """Leaves the losses on the CPU unread, as it does on a GPU."""

    def _is_free(self, losses):
        return False


def test_losses_read_late_are_those_read_at_once(tiny_options: list[str]):
    options = [*tiny_options, 'val_cfg=None', 'val_dataloader=None', 'val_evaluator=None']
    options += ['train_cfg.max_iters=7', 'default_hooks.logger.interval=3']
    options.append('default_hooks.checkpoint.interval=5')
    at_once, late = (
        train([*options, f'experiment_name={hook}', f'default_hooks.runtime_info.type={hook}'])
        .message_hub.get_scalar('train/loss')
        .data[0]
        .tolist()
        for hook in ('LossHook', 'WaitingLossHook')
    )
    assert len(late) == 7 and late == at_once


def test_losses_read_late_stop_the_run_before_its_checkpoint(tiny_options, tmp_path: Path):
    hooks = ['runtime_info.type=WaitingLossHook', 'logger.interval=100']
    config = load_config(TINY, [*tiny_options, *(f'default_hooks.{hook}' for hook in hooks)])
    config.custom_hooks = [dict(type='SpoilHook', net='generator', what='weight')]
    runner = Runner.from_cfg(config)
    with pytest.raises(UserError, match=r'^iteration 3: loss is nan and .*iter_2\.pth'):
        runner.train()
    assert [path.name for path in (tmp_path / 'work').glob('iter_*.pth')] == ['iter_2.pth']


@OPTIM_WRAPPERS.register_module()
class ScaledOptimWrapper(OptimWrapper):
    """A gradient scaler on the CPU, where MMEngine's own wrapper asserts a GPU."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.scaler = torch.amp.GradScaler('cpu', init_scale=1e38)

    def backward(self, loss, **kwargs):
        self.scaler.scale(loss * 100).backward()

    def step(self, **kwargs):
        self.scaler.step(self.optimizer)
        self.scaler.update()


def test_a_scalers_ordinary_overflow_is_no_end(tiny_options: list[str], tmp_path: Path):
    config = load_config(TINY, [*tiny_options, 'optim_wrapper.type=ScaledOptimWrapper'])
    runner = Runner.from_cfg(config)
    runner.train()
    assert runner.optim_wrapper.scaler.get_scale() < 1e38, 'nothing overflowed'
    assert (tmp_path / 'work/iter_4.pth').exists()
