import shutil
from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_GAN
from mmagic.registry import MODELS
from mmengine.runner import Runner

from facesr.checkpoint import find_checkpoint, read_checkpoint
from facesr.config import load_config
from facesr.errors import UserError
from facesr.training.generator import GeneratorEMAHook
from facesr.training.train import train


@pytest.fixture
def options(tiny_options: list[str]) -> list[str]:
    return [
        *tiny_options,
        'train_dataloader.dataset.gt_patch_size=128',
        'train_cfg.max_iters=1',
        'val_cfg=None',
        'val_dataloader=None',
        'val_evaluator=None',
        *(f'optim_wrapper.{net}.optimizer.lr=0.0' for net in ('generator', 'discriminator')),
    ]


@pytest.fixture
def pretraining(tmp_path: Path) -> Path:
    """A work directory with checkpoints of different weights."""
    folder = tmp_path / 'srresnet_26b'
    folder.mkdir()
    for seed, name in enumerate(['best', 'iter_95', 'iter_200']):
        torch.manual_seed(seed)
        model = MODELS.build(load_config(TINY).model)
        torch.save(
            {'meta': {'iter': seed}, 'state_dict': model.state_dict()}, folder / f'{name}.pth'
        )
    (folder / 'last_checkpoint').write_text('/moved/since/iter_200.pth')
    return folder


def same_generator(trained: Path, given: Path) -> bool:
    weights = read_checkpoint(trained)['state_dict']
    others = read_checkpoint(given)['state_dict']
    return all(torch.equal(weights[name], value) for name, value in others.items())


def test_takes_the_best_checkpoint_else_the_last(pretraining: Path):
    assert find_checkpoint(pretraining) == pretraining / 'best.pth'
    (pretraining / 'best.pth').unlink()
    assert find_checkpoint(pretraining) == pretraining / 'iter_200.pth'
    for path in pretraining.glob('iter_*'):
        path.unlink()
    assert find_checkpoint(pretraining) is None


def test_loads_exactly_the_generator_and_says_which(options, pretraining: Path, tmp_path: Path):
    train(TINY_GAN, [*options, f'default_hooks.pretrained.source={pretraining}'])
    assert same_generator(tmp_path / 'work/iter_1.pth', pretraining / 'best.pth')
    log = next((tmp_path / 'work').glob('*/*.log')).read_text()
    assert f'generator: weights of {pretraining}/best.pth, iteration 0' in log
    assert 'VGG11 layers are random' in log


def test_best_by_its_average_gives_its_average(options, pretraining: Path, tmp_path: Path):
    raw, average = (MODELS.build(load_config(TINY).model) for _ in range(2))
    state = {f'module.{name}': value for name, value in average.generator.state_dict().items()}
    meta = {'best_score_name': 'ema/PSNR'}
    checkpoint = {'meta': meta, 'state_dict': raw.state_dict(), 'ema_state_dict': state}
    torch.save(checkpoint, pretraining / 'best.pth')
    train(TINY_GAN, [*options, f'default_hooks.pretrained.source={pretraining}'])
    torch.save(average.state_dict(), tmp_path / 'average.pth')
    assert same_generator(tmp_path / 'work/iter_1.pth', tmp_path / 'average.pth')


def test_load_from_comes_first(options, pretraining: Path, tmp_path: Path):
    given = pretraining / 'iter_200.pth'
    source = f'default_hooks.pretrained.source={pretraining}'
    train(TINY_GAN, [*options, source, f'load_from={given}'])
    assert same_generator(tmp_path / 'work/iter_1.pth', given)
    assert f'generator: weights of {given}' in next((tmp_path / 'work').glob('*/*.log')).read_text()


def test_other_net_is_refused(options, pretraining: Path):
    with pytest.raises(UserError, match=r'best\.pth: not this config.s model: trunk'):
        source = f'default_hooks.pretrained.source={pretraining}'
        train(TINY_GAN, [*options, source, 'model.generator.num_blocks=3'])


def test_none_there_names_the_command(options, pretraining: Path):
    shutil.rmtree(pretraining)
    with pytest.raises(
        UserError,
        match=r'srresnet_26b: no trained generator .*python tools/train\.py '
        r'configs/srresnet_26b\.py, .*load_from=CHECKPOINT.*default_hooks\.pretrained\.source=None',
    ):
        train(TINY_GAN, [*options, f'default_hooks.pretrained.source={pretraining}'])


def run(path: Path, options: list[str], decay: float = 0.5, **changes: object) -> Runner:
    config = load_config(path, [*options, 'train_dataloader.dataset.gt_patch_size=128'])
    config.default_hooks.ema = dict(type='GeneratorEMAHook', decay=decay)
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


def test_average_of_each_iteration(tiny_options: list[str], tmp_path: Path):
    options = [*tiny_options, 'default_hooks.checkpoint.interval=1', 'train_cfg.max_iters=3']
    run(TINY_GAN, options)
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
    assert read_checkpoint(tmp_path / 'work/best.pth')['meta']['best_score_name'] == 'ema/PSNR'
    average = weights(tmp_path / 'work/best.pth', average=True)
    options = [*tiny_options[:-2], f'load_from={tmp_path}/work/best.pth', f'work_dir={tmp_path}/2']
    options += ['optim_wrapper.optimizer.lr=0.0', 'train_cfg.max_iters=1', 'experiment_name=second']
    begun = run(TINY, options).model.generator.state_dict()
    assert all(torch.equal(begun[name], average[name]) for name in average), (
        'the best, by load_from'
    )
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
