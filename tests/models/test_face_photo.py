import pytest
import torch
from skimage import data
from torch.nn.functional import avg_pool2d, interpolate

from facesr.models.face_photo import FacePhotoNet, Lattice
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
        change = torch.sigmoid(torch.tensor(1.5)) * (net.unet(avg_pool2d(x, 4)) - x)
        torch.testing.assert_close(net(x), x + change - net.lattice(change))


def test_an_open_gate_leaves_a_face_as_it_is(net: FacePhotoNet, x: torch.Tensor):
    """The gates are the first half of the head's channels, each at the pixel that it is for."""
    with torch.inference_mode():
        before = net.head.bias.clone()
        net.head.bias[:48] = 30
        torch.testing.assert_close(net(x), x, atol=1e-5, rtol=0)
        net.head.bias[:48] = -30
        net.head.bias[:48][0] = 30  # red, in the top left of each cell
        change = net.unet(avg_pool2d(x, 4)) - x
        change[:, 0, ::4, ::4] = 0
        expected = x + change - net.lattice(change)
        torch.testing.assert_close(net(x), expected, atol=1e-5, rtol=0)
        net.head.bias.copy_(before)


def test_a_smooth_face_is_as_large_as_it_was(net: FacePhotoNet):
    ramp = interpolate(torch.rand(1, 3, 4, 4), (64, 64), mode='bicubic')
    with torch.inference_mode():
        assert net(ramp).shape == ramp.shape


def test_a_lattice_is_found_and_nothing_else():
    tile = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 4
    pattern = tile.repeat(1, 1, 64, 64)
    ramp = torch.linspace(0, 255, 512).expand(1, 3, 512, 512)
    face = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float()
    find = Lattice()
    inside = (..., slice(64, -64), slice(64, -64))
    expected = (pattern - tile.mean((2, 3), keepdim=True))[inside]
    torch.testing.assert_close(find(pattern + ramp)[inside], expected, atol=0.01, rtol=0)
    assert find(face).std() < 0.03 * face.std()


def test_an_edge_is_not_repeated():
    """One across the face, such as a black border's, is no lattice."""
    line = torch.zeros(1, 3, 512, 512)
    line[:, :, 400:402] = 50
    assert Lattice()(line).abs().max() < 0.3
