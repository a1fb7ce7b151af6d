import pytest
import torch
from conftest import TINY_GAN
from mmengine.runner import Runner

from facesr.config import load_config
from facesr.errors import UserError
from facesr.nets import is_fast_in_bf16
from facesr.training.progress import describe_device
from facesr.training.train import train


def test_bf16_keeps_the_losses_and_features_finite(tiny_options: list[str]):
    """With the deepest layer, where features are largest."""
    config = load_config(
        TINY_GAN,
        [
            *tiny_options,
            'train_dataloader.dataset.gt_patch_size=128',
            'train_cfg.max_iters=1',
            'train_dataloader.batch_size=1',
            'optim_wrapper.generator.type=Bf16OptimWrapper',
            'optim_wrapper.discriminator.type=Bf16OptimWrapper',
        ],
    )
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


def test_amp_without_a_gpu(tiny_options: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(UserError, match='--amp needs a CUDA GPU'):
        train(TINY_GAN, tiny_options, amp=True)
