"""The GPU's path on a machine without one: the shipped configs, and faults that must not pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, TINY, TINY_GAN
from fake_cuda import Counts, fake_cuda
from fake_training import load_for_fake_gpu, train_on_fake_gpu
from mmagic.models import MSRResNet
from mmagic.registry import HOOKS, MODELS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.degradation.preprocessor import FacePreprocessor
from facesr.restoring.restorer import Restorer

#: Each net, loss, precision and degradation of the shipped configs once.
CONFIGS = (*('srresnet_24b_plus', 'srresnet_16b_2024', 'srgan_26b_fast', 'face_gan'),)
#: One block of a kind is as good as many.
SMALL = {
    'SRResNet': dict(num_blocks=1),
    'FaceUNet': dict(encoder_blocks=[1, 1, 1], decoder_blocks=[1, 1]),
}
Load = Callable[..., Config]


@pytest.fixture
def load(small_faces: Path, tmp_path: Path) -> Load:
    def load(path: Path, *options: str) -> Config:
        config = load_for_fake_gpu(path, small_faces, tmp_path / 'work', options)
        config.experiment_name = str(tmp_path)  # MMEngine keeps runs by name
        return config

    return load


def check(config: Config) -> tuple[Runner, list[Counts]]:
    """Train; the host waits once, in the iteration with the log line."""
    runner, counts = train_on_fake_gpu(config)
    waits = [wait for usual in counts[:-1] for wait in usual.waits]
    assert not waits, f'the host waits for the device: {waits}'
    assert len(counts[-1].waits) == 1, counts[-1].waits
    assert '_read' in counts[-1].waits[0]
    return runner, counts


@HOOKS.register_module()
class DtypeHook(Hook):
    def before_train(self, runner: Runner) -> None:
        runner.seen = set()
        runner.model.pixel_loss.register_forward_pre_hook(
            lambda module, images: runner.seen.update(image.dtype for image in images)
        )


@pytest.mark.parametrize('name', CONFIGS)
def test_trains_and_validates_without_waiting(name: str, load: Load, tmp_path: Path):
    config = load(ROOT / f'configs/{name}.py')
    config.model.generator.update(SMALL[config.model.generator.type])
    config.custom_hooks = [dict(type='DtypeHook')]
    runner, (_, usual, _) = check(config)
    assert {weight.device.type for weight in runner.model.parameters()} == {'cuda'}
    assert runner.seen == {torch.float32}
    nets = len(runner.optim_wrapper) if isinstance(runner.optim_wrapper, OptimWrapperDict) else 1
    assert usual.kernels['_foreach_norm'] == nets, 'one norm for clipping and LossHook'
    assert list((tmp_path / 'work').glob('*/vis_data/vis_image/*.png')), 'no panel'
    averaged = 'ema' in config.default_hooks
    assert ('val/ema/PSNR' in runner.message_hub.log_scalars) == averaged
    clipped = bool(config.optim_wrapper.get('clip_grad'))
    assert ('train/grad_norm' in runner.message_hub.log_scalars) == clipped


def test_saves_and_resumes(load: Load, tmp_path: Path):
    path = ROOT / 'configs/srresnet_24b_plus.py'
    saving = ['default_hooks.checkpoint.interval=3', 'model.generator.num_blocks=1']
    train_on_fake_gpu(load(path, *saving))
    checkpoint = read_checkpoint(tmp_path / 'work/iter_3.pth')
    assert {value.device.type for value in checkpoint['ema_state_dict'].values()} == {'cpu'}
    assert checkpoint['ema_state_dict']['steps'] == 3
    config = load(path, *saving, 'train_cfg.max_iters=6', 'train_cfg.val_interval=6')
    config.update(resume=True, load_from=str(tmp_path / 'work/iter_3.pth'))
    config.experiment_name += ' resumed'
    config.default_hooks.logger.interval = 6
    _, counts = train_on_fake_gpu(config)
    assert [bool(usual.waits) for usual in counts] == [False, False, True]
    assert read_checkpoint(tmp_path / 'work/iter_6.pth')['ema_state_dict']['steps'] == 6


@pytest.mark.parametrize(
    ('name', 'precision', 'tta'),
    [
        ('srresnet_24b', 'float32', None),
        ('face_unet', 'bf16', 'flip'),
        ('srresnet_24b', 'fp16', 'shift'),
    ],
)
def test_restores(name: str, precision: str, tta: str | None, tmp_path: Path):
    config = load_config(ROOT / f'configs/{name}.py')
    checkpoint = tmp_path / 'net.pth'
    torch.save(MODELS.build(config.model.generator).state_dict(), checkpoint)
    faces = [np.zeros((128, 128, 3), np.uint8)] * 3
    with fake_cuda() as gpu:
        restorer = Restorer(config, checkpoint, precision=precision, tta=tta)
        with gpu.count() as counts:
            restored = restorer.restore_batch(faces)
        assert restorer.device.type == 'cuda'
    assert [image.shape for image, _ in restored] == [(512, 512, 3)] * 3
    assert {image.dtype for image, _ in restored} == {np.dtype(np.uint8)}
    assert len(counts.waits) == 2, 'to the GPU and back, once for the batch'


# Faults, each of which has to make the check above fail.


@MODELS.register_module()
class WithoutDevice(MSRResNet):
    def forward(self, x):
        return super().forward(x) + torch.zeros(1, 3, 1, 1)


@MODELS.register_module()
class HiddenItem(MSRResNet):
    def forward(self, x):
        return super().forward(x / 255 if x.amax().item() > 1 else x)


@MODELS.register_module()
class BlockingCopy(MSRResNet):
    def forward(self, x):
        return super().forward(x) * torch.tensor([1.0], device=x.device)


@MODELS.register_module()
class NotPinned(FacePreprocessor):
    def forward(self, data, training=False):
        if training:
            data = data._replace(gt=data.gt.clone())
        return super().forward(data, training)


WAITS = (AssertionError, 'the host waits for the device: .*')
FAULTS = {
    WithoutDevice: (RuntimeError, 'same device|two different devices'),
    HiddenItem: (WAITS[0], WAITS[1] + '_local_scalar_dense by test_fake_cuda.py'),
    BlockingCopy: (WAITS[0], WAITS[1] + 'a copy to cuda by test_fake_cuda.py'),
    NotPinned: (WAITS[0], WAITS[1] + 'a copy from memory that is not pinned'),
}


@pytest.mark.parametrize('fault', FAULTS, ids=lambda fault: fault.__name__)
def test_faults_do_not_pass(fault: type, load: Load):
    config = load(TINY)
    part = 'generator' if issubclass(fault, MSRResNet) else 'data_preprocessor'
    config.model[part].type = fault.__name__
    error, message = FAULTS[fault]
    with pytest.raises(error, match=message):
        check(config)


@pytest.mark.parametrize('path', [TINY, TINY_GAN])
def test_without_faults_the_same_passes(path: Path, load: Load):
    check(load(path, 'train_dataloader.dataset.gt_patch_size=128'))
