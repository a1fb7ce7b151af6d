from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import vgg11

from facesr.errors import UserError
from facesr.models.perceptual_loss import VGGPerceptualLoss


def make(**options: object) -> VGGPerceptualLoss:
    return VGGPerceptualLoss(
        **{'layer_weights': {'3': 1.0}, 'vgg_type': 'vgg11', 'pretrained': 'random', **options}
    )


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 2, 3, 32, 32, generator=generator).unbind()


def test_is_the_distance_of_features_before_the_relu(pair, tmp_path):
    """Against torchvision's own net with the same weights."""
    reference = vgg11(num_classes=1).eval()
    torch.save(reference.state_dict(), tmp_path / 'weights.pth')
    loss, style = make(pretrained=str(tmp_path / 'weights.pth'), perceptual_weight=2.0)(*pair)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    first, second = (reference.features[:4]((image - mean) / std) for image in pair)
    assert (first < 0).any(), 'layer 3 is a convolution: its features are signed'
    torch.testing.assert_close(loss, 2 * nn.functional.l1_loss(first, second))
    assert style is None


def test_vgg16_of_the_package(lpips_weights: Path):
    weight = VGGPerceptualLoss({'28': 1.0}, vgg_type='vgg16').vgg.vgg_layers[0].weight
    # Its first filter, as anyone can read it off torchvision's vgg16-397923af.pth.
    known = torch.tensor([[-0.5537, 0.1427, 0.5290], [-0.5831, 0.3566, 0.7657]])
    torch.testing.assert_close(weight[0, 0, :2], known, atol=5e-5, rtol=0)


def test_vgg_is_in_no_checkpoint_but_follows_to_a_device(pair):
    loss = make()
    assert not loss.state_dict() and not list(loss.parameters())
    loss.to(torch.float64)
    value, _ = loss(*(image.double() for image in pair))
    assert value.dtype == torch.float64


def test_random_layers_are_the_same_in_every_run_and_draw_nothing(pair):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = make()(*pair)[0]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, make()(*pair)[0])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'layer_weights': {'21': 1.0}}, "vgg11 has no layer '21', its last is '20'"),
        ({'vgg_type': 'vgg11_bn'}, "vgg_type='vgg11_bn': 'vgg19' expected"),
        ({'criterion': 'l3'}, "criterion='l3': 'l1' or 'mse' expected"),
        ({'pretrained': 'randm'}, "pretrained='randm' is neither 'torchvision', 'random' nor a fi"),
    ],
)
def test_mistakes(options: dict, message: str):
    with pytest.raises(UserError, match=message):
        make(**options)
