"""The published numbers, read off what the configs build."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from conftest import ROOT, learning_rates, options_for
from mmagic.registry import MODELS

from facesr.config import load_config
from facesr.nets import count_parameters
from facesr.training.train import train

# No VGG file is needed to build it.
SMALL = ['model.perceptual_loss.pretrained=random']
CONFIGS = sorted(path for path in (ROOT / 'configs').glob('*.py'))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_sound(path):
    assert load_config(path).work_dir == f'work_dirs/{path.stem}'


@pytest.mark.parametrize(
    ('name', 'parameters', 'batch'),
    [
        ('srresnet_24b', 2_108_419, 12),
        ('srresnet_26b', 2_256_131, 8),
        ('srresnet_16b_2024', 1_517_571, 8),
    ],
)
def test_size_and_batch(name: str, parameters: int, batch: int):
    config = load_config(ROOT / f'configs/{name}.py')
    model = MODELS.build(config.model)
    assert count_parameters(model.generator) == parameters
    assert config.train_dataloader.batch_size == batch
    assert (model.pixel_loss.loss_weight, model.pixel_loss.reduction) == (1.0, 'mean')


def rates_at(name: str, iterations: Iterable[int], net: str | None = None) -> dict[int, float]:
    """The learning rate with which an optimiser makes each (1-based) iteration."""
    rates = learning_rates(load_config(ROOT / f'configs/{name}.py'), net)
    return {iteration: rates[iteration - 1] for iteration in iterations}


def test_five_cosine_cycles():
    rates = rates_at(
        'srresnet_24b', (1, 15_001, 30_000, 30_001, 90_001, 120_000, 120_001, 135_001, 150_000)
    )
    assert rates[1] == rates[30_001] == rates[90_001] == pytest.approx(1e-4, rel=1e-9)
    assert rates[15_001] == pytest.approx((1e-4 + 1e-7) / 2, rel=1e-9)
    assert rates[30_000] == rates[120_000] == pytest.approx(1e-7, rel=1e-5)
    assert rates[120_001] == pytest.approx(1e-5, rel=1e-9)
    assert rates[135_001] == pytest.approx((1e-5 + 1e-9) / 2, rel=1e-9)
    assert rates[150_000] == pytest.approx(1e-9, rel=1e-4)


def test_one_cycle_for_the_generator():
    rates = rates_at('srresnet_26b', (1, 30_000))
    assert rates == {1: pytest.approx(1e-4), 30_000: pytest.approx(1e-7, rel=1e-5)}
    assert load_config(ROOT / 'configs/srresnet_26b.py').train_cfg.max_iters == 30_000


def test_two_cycles_of_the_baseline_since_2024():
    rates = rates_at('srresnet_16b_2024', (1, 75_001, 150_000, 150_001, 300_000))
    assert rates[1] == rates[150_001] == pytest.approx(2e-4)
    assert rates[75_001] == pytest.approx((2e-4 + 1e-7) / 2)
    assert rates[150_000] == rates[300_000] == pytest.approx(1e-7, rel=1e-4)
    config = load_config(ROOT / 'configs/srresnet_16b_2024.py')
    assert config.train_cfg.max_iters == 300_000
    assert config.optim_wrapper.optimizer.betas == (0.9, 0.99)
    assert config.default_hooks.ema.decay == 0.999


def test_dry_run_of_second_order_degradation(faces: Path, tmp_path: Path, capsys):
    roots = options_for(faces, tmp_path)[:2]
    options = [*roots, f'work_dir={tmp_path}/work', 'train_dataloader.batch_size=1']
    train(ROOT / 'configs/face_unet_2024.py', options, dry_run=True)
    assert 'dry run passed' in capsys.readouterr().out


def test_dry_run_for_photographs(faces: Path, tmp_path: Path, capsys):
    """The FaceUNet in its net begins as the released one."""
    roots = options_for(faces, tmp_path)[:2]
    options = [*roots, f'work_dir={tmp_path}/work', 'train_dataloader.batch_size=1']
    options.append('default_hooks.panels.interval=1')
    train(ROOT / 'configs/face_photo.py', options, dry_run=True)
    assert 'dry run passed' in capsys.readouterr().out


@pytest.mark.parametrize('net', ['generator', 'discriminator'])
def test_both_nets_rates_are_halved_at_each_milestone(net: str):
    halved = {1: 0, 5000: 0, 5001: 1, 10_000: 1, 10_001: 2, 20_001: 3, 30_000: 3}
    halved |= {30_001: 4, 40_000: 4}
    expected = {n: pytest.approx(1e-4 / 2**times) for n, times in halved.items()}
    assert rates_at('srgan_26b', halved, net) == expected


def test_adversarial_training_is_the_published():
    config = load_config(ROOT / 'configs/srgan_26b.py', SMALL)
    model = MODELS.build(config.model)
    assert count_parameters(model.generator) == 2_256_131
    assert type(model.discriminator).__name__ == 'ModifiedVGG'
    assert model.discriminator.conv0_0.weight.shape == (64, 3, 3, 3)
    assert (model.pixel_loss.loss_weight, model.gan_loss.loss_weight) == (1e-2, 5e-3)
    assert (model.gan_loss.gan_type, model.gan_loss.real_label_val) == ('vanilla', 1)
    assert model.gan_loss.fake_label_val == 0
    assert model.perceptual_loss.layer_weights == {'34': 1.0}
    assert (model.perceptual_loss.perceptual_weight, model.perceptual_loss.style_weight) == (1, 0)
    assert (config.train_cfg.max_iters, config.train_dataloader.batch_size) == (40_000, 8)
    assert config.train_dataloader.dataset.gt_patch_size == 128
    assert [metric.crop_border for metric in config.val_evaluator.metrics] == [4, 4]


def test_the_demo_takes_real_features_where_they_are(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for pretrained in ('random', 'torchvision'):
        loss = load_config(ROOT / 'configs/demo_srgan.py').model.perceptual_loss
        assert (loss.pretrained, loss.vgg_type, loss.layer_weights) == (
            pretrained,
            'vgg16',
            {'28': 1.0},
        )
        Path('data/pretrained').mkdir(parents=True, exist_ok=True)
        Path('data/pretrained/lpips_vgg.pth').touch()


def test_degradation_is_the_challenges(degradation):
    assert degradation.kernel_size == 41 and degradation.isotropic_prob == 0.5
    assert degradation.blur_sigma == (0.2, 5)
    assert degradation.resize_scale == (1 / 16, 1)
    assert degradation.resize_methods == ('bilinear', 'area', 'bicubic')
    assert degradation.noise_sigma == (0, 25)
    assert degradation.jpeg_quality == (50, 95)
    assert (degradation.gt_size, degradation.lq_size) == (512, 128)


@pytest.mark.parametrize('name', ['srresnet_24b', 'srgan_26b'])
def test_fast_variant_differs_in_arithmetic_alone(name: str):
    plain, fast = (
        load_config(ROOT / f'configs/{file}.py').to_dict() for file in (name, f'{name}_fast')
    )
    assert fast['default_hooks'].pop('fast_step')['type'] == 'FastStepHook'
    for wrapper in (fast['optim_wrapper'], *fast['optim_wrapper'].values()):
        if isinstance(wrapper, dict) and 'optimizer' in wrapper:
            assert wrapper.pop('type') == 'Bf16OptimWrapper'
            assert wrapper['optimizer'].pop('fused') is True
    for wrapper in (plain['optim_wrapper'], *plain['optim_wrapper'].values()):
        if isinstance(wrapper, dict) and 'optimizer' in wrapper:
            del wrapper['type']
    for config in (plain, fast):
        del config['work_dir']
    assert fast == plain
