import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_GAN, train
from mmagic.models import MSRResNet
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from mmengine.logging import MessageHub
from torch import nn

from facesr.config import load_config
from facesr.errors import UserError
from facesr.models.stock import FaceSRGAN, FlooredPSNRLoss, SRResNet
from facesr.restoring.metrics import BatchPSNR


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


def test_several_losses_are_logged_by_their_names_and_added(tiny_options: list[str]):
    losses = [
        'model.losses.pixel.type=CharbonnierLoss',
        'model.losses.edges.type=L1Loss',
        'model.losses.edges.loss_weight=0.5',
    ]
    logged = train([*tiny_options, *losses, 'train_cfg.max_iters=2']).message_hub.log_scalars
    names = ('loss', 'loss_pixel', 'loss_edges')
    total, pixel, edges = (logged[f'train/{name}'].current() for name in names)
    assert total == pytest.approx(pixel + edges, rel=1e-5) and edges > 0
    with pytest.raises(UserError, match=r'model: pixel_loss expected, or losses=dict\(NAME='):
        MODELS.build(dict(type='FaceEditModel', generator=dict(type='SRResNet')))
    with pytest.raises(UserError, match=r'model\.losses: FaceSRGAN has pixel_loss, percept'):
        MODELS.build(load_config(TINY_GAN, [losses[0]]).model)


@MODELS.register_module()
class InWindows(nn.Module):
    """A net that takes only sides that are multiples of 8."""

    size_multiple = 8

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels, channels * 16, 3, padding=1)

    def forward(self, x):
        n, c, h, w = x.shape
        windows = x.reshape(n, c, h // 8, 8, w // 8, 8)
        return nn.functional.pixel_shuffle(self.head(windows.reshape(n, c, h, w)), 4)


@pytest.mark.parametrize('multiple', [None, 12])
def test_images_are_padded_for_a_net_in_windows(multiple: int | None):
    model = MODELS.build(
        dict(
            type='FaceEditModel',
            generator=dict(type='InWindows'),
            pixel_loss=dict(type='L1Loss'),
            size_multiple=multiple,
            data_preprocessor=dict(type='FacePreprocessor', mean=[0] * 3, std=[255] * 3),
        )
    )
    if multiple:
        model.generator.forward = lambda x: x.repeat_interleave(4, 2).repeat_interleave(4, 3)
    image = torch.rand(1, 3, 27, 14)
    result = model.forward_tensor(image)
    assert result.shape == (1, 3, 108, 56)
    inner = model.forward_tensor(torch.nn.functional.pad(image, (0, 10, 0, 9), 'replicate'))
    torch.testing.assert_close(result, inner[:, :, :108, :56])


def test_images_of_several_sizes_are_validated():
    model = MODELS.build(load_config(TINY).model).eval()
    images = [torch.zeros(3, side, 40, dtype=torch.uint8) for side in (40, 40, 24)]
    samples = [DataSample(gt_img=torch.zeros(3, 4 * side, 160)) for side in (40, 40, 24)]
    outputs = model.val_step({'inputs': images, 'data_samples': samples})
    assert [output.output.pred_img.shape[1] for output in outputs] == [160, 160, 96]
    metric = BatchPSNR()
    metric.process(None, [output.to_dict() for output in outputs])
    assert [len(scores) for scores in metric.results] == [2, 1]


def test_the_floor_bounds_the_gradient_of_an_image_that_is_all_but_perfect():
    truth = torch.zeros(2, 3, 8, 8)
    output = torch.stack([truth[0] + 1e-3, truth[1] + 0.1]).requires_grad_()
    loss = FlooredPSNRLoss(floor=3e-4)(output, truth)
    expected = [10 * math.log10(error**2 + 3e-4) for error in (1e-3, 0.1)]
    assert loss.item() == pytest.approx(sum(expected) / 2, rel=1e-5)
    loss.backward()
    perfect, poor = output.grad.abs().flatten(1).max(1).values
    assert perfect < poor / 2
