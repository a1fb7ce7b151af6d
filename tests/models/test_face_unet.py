import pytest
import torch
from conftest import ROOT

from facesr.config import load_config
from facesr.errors import UserError
from facesr.models.face_unet import FaceUNet
from facesr.nets import build_part, count_parameters

LIMIT = 2_276_356  # the challenge's: fewer parameters than this


def small(**settings):
    torch.manual_seed(0)
    sizes = dict(channels=(8, 16), encoder_blocks=(1, 1), decoder_blocks=(1,), map_size=4)
    return FaceUNet(**sizes | settings)


def test_the_config_stays_below_the_limit():
    net = build_part(load_config(ROOT / 'configs/face_unet.py'), 'generator')
    assert count_parameters(net) < LIMIT


@pytest.mark.parametrize(('height', 'width'), [(16, 16), (17, 15), (1, 1)])
def test_any_size_is_enlarged_by_four(height: int, width: int):
    assert small()(torch.rand(2, 3, height, width)).shape == (2, 3, 4 * height, 4 * width)


def test_the_map_tells_where_in_the_face_a_pixel_is():
    """A blank image stays one without the map, whatever its weights, away from the border."""
    net, blank = small(), torch.full((1, 3, 64, 64), 0.5)
    for parameter in (net.face_map, net.head.weight):  # zero at first
        torch.nn.init.normal_(parameter)
    with torch.no_grad():
        mapped = net(blank)[..., 96:-96, 96:-96]
        net.face_map.zero_()
        unmapped = net(blank)[..., 96:-96, 96:-96]
    pattern = unmapped[..., :16, :16].repeat(1, 1, 4, 4)
    torch.testing.assert_close(unmapped, pattern)
    assert (mapped - unmapped).abs().max() > 1e-3


def test_an_untrained_one_is_the_bilinear_enlargement():
    lq = torch.rand(1, 3, 16, 16)
    bilinear = torch.nn.functional.interpolate(lq, scale_factor=4, mode='bilinear')
    torch.testing.assert_close(small()(lq), bilinear)


@pytest.mark.parametrize('blocks', [{'encoder_blocks': (1, 1, 1)}, {'decoder_blocks': ()}])
def test_numbers_of_blocks_fit_the_sizes(blocks: dict):
    with pytest.raises(UserError, match='2 channels need 2 encoder_blocks and 1 decoder_blocks'):
        small(**blocks)
