"""The nets of real runs, laid out and compiled; the eager backend makes no machine code."""

from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_GAN, train


@pytest.mark.parametrize('config', [TINY, TINY_GAN])
def test_trains_to_the_same_weights(config: Path, tiny_options: list[str], tmp_path: Path):
    options = [
        *tiny_options,
        'train_dataloader.dataset.pipeline.1.gt_patch_size=128',
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
