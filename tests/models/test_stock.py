import torch
from mmagic.models import MSRResNet

from facesr.models.stock import SRResNet


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
