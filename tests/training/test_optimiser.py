from pathlib import Path

import pytest
import torch
from conftest import train
from mmengine.optim import build_optim_wrapper
from torch import nn

from facesr.training.optimiser import MuonAdam, orthogonalise


@pytest.mark.parametrize('shape', [(3, 48, 96), (2, 96, 48)])
def test_singular_values_come_near_one(shape: tuple[int, int, int]):
    torch.manual_seed(0)
    matrices = torch.randn(shape) * torch.tensor([1e-4, 1.0, 1e4])[: shape[0], None, None]
    result = orthogonalise(matrices)
    assert result.shape == matrices.shape and result.dtype == torch.float32
    values = torch.linalg.svdvals(result)
    assert values.max() < 1.3 and values.median() > 0.6
    # The same directions: what it turns is their singular values only.
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    cosine = (result * (left @ right)).sum((1, 2)) / (
        result.square().sum((1, 2)).sqrt() * min(shape[1:]) ** 0.5
    )
    assert cosine.min() > 0.95


def step(net: nn.Module, **settings) -> dict[str, torch.Tensor]:
    """One step by a gradient of ones and its noise; gives what it added, by parameter."""
    torch.manual_seed(0)
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    for weight in net.parameters():
        weight.grad = torch.randn_like(weight)
    MuonAdam(net.parameters(), **settings).step()
    return {name: weight.detach() - before[name] for name, weight in net.named_parameters()}


def test_a_step_has_the_size_of_adams():
    """0.2 lr as a root mean square for matrices, lr itself for all others (Adam's first step)."""
    net = nn.ModuleDict(
        dict(
            linear=nn.Linear(64, 32),
            conv=nn.Conv2d(16, 32, 3),
            wise=nn.Conv2d(32, 32, 3, groups=32),
        )
    )
    change = step(net, lr=0.01, adam_lr=0.003)
    for name in ('linear.weight', 'conv.weight'):
        size = change[name].square().mean().sqrt()
        assert size == pytest.approx(0.2 * 0.01, rel=0.25), name
    for name in ('linear.bias', 'conv.bias', 'wise.weight', 'wise.bias'):
        assert change[name].abs().mean() == pytest.approx(0.003, rel=1e-3), name


def test_weight_decay_is_of_matrices_only():
    net = nn.Linear(32, 32)
    shrunk = step(net, lr=0.1, weight_decay=0.5)
    torch.manual_seed(0)
    again = nn.Linear(32, 32)
    again.load_state_dict({name: net.state_dict()[name] - shrunk[name] for name in shrunk})
    weight = again.weight.detach().clone()
    plain = step(again, lr=0.1)
    torch.testing.assert_close(shrunk['weight'], plain['weight'] - 0.05 * weight)
    torch.testing.assert_close(shrunk['bias'], plain['bias'])


def test_paramwise_settings_change_what_they_name_and_nothing_else():
    net = nn.ModuleDict(dict(first=nn.Conv2d(16, 32, 3), last=nn.Conv2d(32, 32, 3)))
    optimizer = dict(type='MuonAdam', lr=3e-3, adam_lr=1e-3, weight_decay=0.05)

    def settings(**paramwise) -> dict[str, tuple[float, float]]:
        wrapper = build_optim_wrapper(net, dict(optimizer=optimizer, paramwise_cfg=paramwise))
        names = {id(weight): name for name, weight in net.named_parameters()}
        return {
            names[id(weight)]: (group['lr'], group['weight_decay'])
            for group in wrapper.optimizer.param_groups
            for weight in group['params']
        }

    plain = settings()
    assert plain == {
        **{f'{part}.weight': (3e-3, 0.05) for part in net},
        **{f'{part}.bias': (1e-3, 0) for part in net},
    }
    slower = settings(custom_keys={'last': dict(lr_mult=0.1)})
    assert slower == plain | {
        'last.weight': (pytest.approx(3e-4), 0.05),
        'last.bias': (pytest.approx(1e-4), 0),
    }
    assert settings(bias_decay_mult=1, bias_lr_mult=2) == plain | {
        f'{part}.bias': (2e-3, 0) for part in net
    }
    more = settings(custom_keys={'last.weight': dict(decay_mult=2)})
    assert more == plain | {'last.weight': (3e-3, 0.1)}


def test_a_resumed_run_is_the_uncut_one_bit_for_bit(tiny_options: list[str], tmp_path: Path):
    options = [*tiny_options, 'model.generator.mid_channels=16']
    options += ['optim_wrapper.optimizer.type=MuonAdam', 'optim_wrapper.optimizer.weight_decay=0.1']
    whole = train(options).model.state_dict()
    resume = ['resume=True', f'load_from={tmp_path}/work/iter_2.pth']
    resumed = train([*options, *resume, f'work_dir={tmp_path}/resumed', 'experiment_name=resumed'])
    for name, weight in resumed.model.state_dict().items():
        assert torch.equal(weight, whole[name]), name
