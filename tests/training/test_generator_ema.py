from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_GAN
from mmengine.runner import Runner

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.errors import UserError
from facesr.training.generator import GeneratorEMAHook


def run(path: Path, options: list[str], decay: float = 0.5, **changes: object) -> Runner:
    config = load_config(path, [*options, 'train_dataloader.dataset.gt_patch_size=128'])
    config.custom_hooks.append(dict(type='GeneratorEMAHook', decay=decay))
    config.update(changes)
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def weights(path: Path, average: bool) -> dict[str, torch.Tensor]:
    checkpoint = read_checkpoint(path)
    if average:
        return {
            name.removeprefix('module.'): value
            for name, value in checkpoint['ema_state_dict'].items()
            if name != 'steps'
        }
    return {
        name.removeprefix('generator.'): value
        for name, value in checkpoint['state_dict'].items()
        if name.startswith('generator.')
    }


@pytest.mark.parametrize('config', [TINY, TINY_GAN], ids=lambda path: path.stem)
def test_average_of_each_iteration(config: Path, tiny_options: list[str], tmp_path: Path):
    options = [*tiny_options, 'default_hooks.checkpoint.interval=1', 'train_cfg.max_iters=3']
    run(config, options)
    work = tmp_path / 'work'
    raw = [weights(work / f'iter_{iteration}.pth', average=False) for iteration in (1, 2, 3)]
    average = weights(work / 'iter_3.pth', average=True)
    for name, value in average.items():
        expected = 0.25 * raw[0][name] + 0.25 * raw[1][name] + 0.5 * raw[2][name]
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-8)


def test_is_validated_beside_the_raw_weights(tiny_options: list[str], tmp_path: Path):
    options = ['default_hooks.checkpoint.save_best=ema/PSNR', 'optim_wrapper.optimizer.lr=0.01']
    runner = run(TINY, [*tiny_options, *options], decay=0.9)
    scores = {
        name.removeprefix('val/'): runner.message_hub.get_scalar(name).current()
        for name in runner.message_hub.log_scalars
        if name.startswith('val/') and 'time' not in name
    }
    assert set(scores) == {'PSNR', 'SSIM', 'ema/PSNR', 'ema/SSIM'}
    assert abs(scores['PSNR'] - scores['ema/PSNR']) > 1e-3
    assert list((tmp_path / 'work').glob('best_ema_PSNR_iter_*.pth'))
    # the raw weights are back in their place
    saved = weights(tmp_path / 'work/iter_4.pth', average=False)
    live = runner.model.generator.state_dict()
    assert all(torch.equal(live[name], saved[name]) for name in saved)


def test_goes_on_from_where_it_was(tiny_options: list[str], tmp_path: Path):
    run(TINY, [*tiny_options, 'train_cfg.max_iters=4'])
    whole = weights(tmp_path / 'work/iter_4.pth', average=True)
    (tmp_path / 'work/iter_4.pth').unlink()
    run(TINY, tiny_options, load_from=str(tmp_path / 'work/iter_2.pth'), resume=True)
    resumed = weights(tmp_path / 'work/iter_4.pth', average=True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_decay_out_of_range():
    with pytest.raises(UserError, match='decay=1: between 0 and 1 expected'):
        GeneratorEMAHook(decay=1)
