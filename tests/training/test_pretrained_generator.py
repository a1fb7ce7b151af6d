import shutil
from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_GAN
from mmagic.registry import MODELS

from facesr.checkpoint import find_checkpoint, read_checkpoint
from facesr.config import load_config
from facesr.errors import UserError
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
    for seed, name in enumerate(['best_PSNR_iter_100', 'best_PSNR_iter_95', 'iter_200']):
        torch.manual_seed(seed)
        model = MODELS.build(load_config(TINY).model)
        torch.save(
            {'meta': {'iter': seed}, 'state_dict': model.state_dict()}, folder / f'{name}.pth'
        )
    (folder / 'last_checkpoint').write_text('/moved/since/iter_200.pth')
    return folder


def same_generator(trained: Path, given: Path) -> bool:
    weights = read_checkpoint(trained)['state_dict']
    return all(
        torch.equal(weights[name], value)
        for name, value in read_checkpoint(given)['state_dict'].items()
    )


def test_takes_the_best_checkpoint_else_the_last(pretraining: Path):
    assert find_checkpoint(pretraining) == pretraining / 'best_PSNR_iter_100.pth'
    for best in pretraining.glob('best_*'):
        best.unlink()
    assert find_checkpoint(pretraining) == pretraining / 'iter_200.pth'
    (pretraining / 'iter_200.pth').unlink()
    assert find_checkpoint(pretraining) is None


def test_loads_exactly_the_generator_and_says_which(options, pretraining: Path, tmp_path: Path):
    train(TINY_GAN, [*options, f'default_hooks.pretrained.source={pretraining}'])
    assert same_generator(tmp_path / 'work/iter_1.pth', pretraining / 'best_PSNR_iter_100.pth')
    log = next((tmp_path / 'work').glob('*/*.log')).read_text()
    assert f'generator: weights of {pretraining}/best_PSNR_iter_100.pth, iteration 0' in log
    assert 'VGG11 layers are random' in log


def test_best_by_its_average_gives_its_average(options, pretraining: Path, tmp_path: Path):
    for path in pretraining.glob('*.pth'):
        path.unlink()
    raw, average = (MODELS.build(load_config(TINY).model) for _ in range(2))
    state = {f'module.{name}': value for name, value in average.generator.state_dict().items()}
    checkpoint = {'meta': {}, 'state_dict': raw.state_dict(), 'ema_state_dict': state}
    torch.save(checkpoint, pretraining / 'best_ema_PSNR_iter_5.pth')
    train(TINY_GAN, [*options, f'default_hooks.pretrained.source={pretraining}'])
    trained = read_checkpoint(tmp_path / 'work/iter_1.pth')['state_dict']
    for name, value in average.generator.state_dict().items():
        assert torch.equal(trained[f'generator.{name}'], value)


def test_load_from_comes_first(options, pretraining: Path, tmp_path: Path):
    given = pretraining / 'iter_200.pth'
    train(
        TINY_GAN, [*options, f'default_hooks.pretrained.source={pretraining}', f'load_from={given}']
    )
    assert same_generator(tmp_path / 'work/iter_1.pth', given)
    assert f'generator: weights of {given}' in next((tmp_path / 'work').glob('*/*.log')).read_text()


def test_other_net_is_refused(options, pretraining: Path):
    with pytest.raises(UserError, match=r'best_PSNR_iter_100\.pth: not this config.s model: trunk'):
        train(
            TINY_GAN,
            [
                *options,
                f'default_hooks.pretrained.source={pretraining}',
                'model.generator.num_blocks=3',
            ],
        )


def test_none_there_names_the_command(options, pretraining: Path):
    shutil.rmtree(pretraining)
    with pytest.raises(
        UserError,
        match=r'srresnet_26b: no trained generator .*python tools/train\.py '
        r'configs/srresnet_26b\.py, .*load_from=CHECKPOINT.*--from-scratch',
    ):
        train(TINY_GAN, [*options, f'default_hooks.pretrained.source={pretraining}'])


def test_from_scratch_when_told(options, pretraining: Path, tmp_path: Path):
    shutil.rmtree(pretraining)
    train(TINY_GAN, [*options, f'default_hooks.pretrained.source={pretraining}'], from_scratch=True)
    assert (tmp_path / 'work/iter_1.pth').is_file()
    with pytest.raises(
        UserError, match=r'--from-scratch: .*tiny_srresnet\.py starts from no train'
    ):
        train(TINY, options[:4], from_scratch=True)
