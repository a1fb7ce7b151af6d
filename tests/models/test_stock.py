from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import TINY_GAN
from mmagic.models import MSRResNet
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from mmengine.logging import MessageHub

from facesr.config import load_config
from facesr.errors import UserError
from facesr.models.stock import FaceSRGAN, SRResNet


def test_is_the_stock_net_but_for_mixed_precision():
    nets = [net(3, 3, mid_channels=8, num_blocks=1) for net in (MSRResNet, SRResNet)]
    nets[1].load_state_dict(nets[0].state_dict())
    face = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        stock, ours = (net(face) for net in nets)
        assert torch.equal(stock, ours)
        with torch.autocast('cpu', torch.bfloat16):
            stock_bf16, ours_bf16 = (net(face) for net in nets)
    assert (stock_bf16.dtype, ours_bf16.dtype) == (torch.bfloat16, torch.float32)
    errors = [(result.float() - stock).abs().mean() * 255 for result in (stock_bf16, ours_bf16)]
    assert errors[1] < 0.1 < errors[0], 'levels of 255'


@pytest.fixture
def cropping() -> FaceSRGAN:
    return MODELS.build(load_config(TINY_GAN, ['model.crop_size=128']).model)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[MessageHub]:
    """What a runner of this name would tell the model."""
    yield MessageHub.get_instance(str(tmp_path))
    MessageHub._instance_dict.pop(str(tmp_path))


def test_output_and_truth_are_cropped_alike(cropping: FaceSRGAN, hub: MessageHub):
    hub.update_info_dict({'seed': 0, 'iter': 7})
    numbers = torch.arange(2 * 3 * 160 * 512.0).view(2, 3, 160, 512)
    truth = cropping.extract_gt_data(DataSample(gt_img=numbers))
    assert truth.shape == (2, 3, 128, 128) and truth.is_contiguous()
    cropping.generator = torch.nn.Identity()  # the truth goes through unchanged
    assert torch.equal(cropping.forward_train(numbers), truth)
    corners = truth[:, 0, 0, 0] - torch.tensor([0.0, 3 * 160 * 512])
    assert corners[0] != corners[1], 'each image has its own'


def test_images_smaller_than_a_crop(cropping: FaceSRGAN):
    with pytest.raises(UserError, match=r'crop_size=128: the ground truth has only 96x96 pixels'):
        cropping.extract_gt_data(DataSample(gt_img=torch.zeros(1, 3, 96, 96)))
