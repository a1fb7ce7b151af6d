from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import TINY_GAN
from mmagic.registry import MODELS
from mmengine.model import MMDistributedDataParallel

from facesr.checkpoint import generator_weights, model_weights
from facesr.config import load_config
from facesr.nets import unwrap


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/rendezvous', rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_weights_of_an_srgan_whose_nets_are_wrapped_apart(process_group: None):
    model = MODELS.build(load_config(TINY_GAN).model)
    saved = {'state_dict': {name: value.clone() for name, value in model.state_dict().items()}}
    # what MMSeparateDistributedDataParallel does, without its GPU
    for name in ('generator', 'discriminator'):
        setattr(model, name, MMDistributedDataParallel(module=getattr(model, name)))
    assert any(name.startswith('generator.module.') for name in model.state_dict())
    assert model_weights(saved, model, 'a.pth').keys() == saved['state_dict'].keys()
    weights = generator_weights(saved, model.generator, 'a.pth')
    assert weights.keys() == unwrap(model.generator).state_dict().keys()
