import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from facesr.models.face_photo import FacePhotoNet
from facesr.nets import count_parameters


@pytest.fixture(scope='module')
def net() -> FacePhotoNet:
    torch.manual_seed(0)
    return FacePhotoNet().eval()


@pytest.fixture(scope='module')
def x() -> torch.Tensor:
    return torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))


def test_it_begins_as_the_face_unet_with_a_share_of_the_inputs_detail(net, x):
    assert count_parameters(net) == 2_235_760
    with torch.inference_mode():
        u = net.unet(avg_pool2d(x, 4))
        expected = u + torch.sigmoid(torch.tensor(-1.5)) * (x - u)
        torch.testing.assert_close(net(x), expected)


def test_an_open_gate_leaves_a_face_as_it_is(net: FacePhotoNet, x: torch.Tensor):
    """The gates are the first half of the head's channels, each at the pixel that it is for."""
    with torch.inference_mode():
        before = net.head.bias.clone()
        net.head.bias[:48] = 30
        torch.testing.assert_close(net(x), x, atol=1e-5, rtol=0)
        net.head.bias[:48] = -30
        net.head.bias[:48][0] = 30  # red, in the top left of each cell
        u, y = net.unet(avg_pool2d(x, 4)), net(x)
        torch.testing.assert_close(y[:, 0, ::4, ::4], x[:, 0, ::4, ::4], atol=1e-5, rtol=0)
        torch.testing.assert_close(y[:, 1:], u[:, 1:], atol=1e-5, rtol=0)
        net.head.bias.copy_(before)


def test_a_smooth_face_is_as_large_as_it_was(net: FacePhotoNet):
    ramp = interpolate(torch.rand(1, 3, 4, 4), (64, 64), mode='bicubic')
    with torch.inference_mode():
        assert net(ramp).shape == ramp.shape
