"""LPIPS: how different two images look, as the features of a net trained on ImageNet tell."""

import torch
from torch import Tensor, nn

from ..checkpoint import read_checkpoint
from ..models.features import LPIPS_NETS, find_lpips, make_layers, read_features
from ..nets import use_tf32

#: The ReLUs of torchvision's ``features`` whose output is compared.
_LAYERS = {'alex': (1, 4, 7, 9, 11), 'vgg': (3, 8, 15, 22, 29)}
#: The least side of an image in pixels that leaves a pixel in the last layer.
LEAST_SIDE = {'alex': 31, 'vgg': 16}


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity, version 0.1: 0 for equal images, else more.

    Zhang et al., *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric*, CVPR
    2018: the squared differences of the normalised features of five layers, summed over the
    channels with learned weights, averaged over the pixels, and added. Within 1e-5 of the package
    ``lpips`` 0.1.4, which downloads its nets from a server of torchvision's.

    Args:
        net: ``'alex'`` (AlexNet, the authors' choice for scores) or ``'vgg'`` (VGG16, 20 times the
            operations). Scores of the two do not compare.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: str = 'alex') -> None:
        super().__init__()
        self.net, self.path = net, find_lpips(net)
        stock, _ = LPIPS_NETS[net]
        self.features = make_layers(stock)[: _LAYERS[net][-1] + 1].to_empty(device='cpu')
        self.features.load_state_dict(read_features(self.path, self.features, stock))
        weights = read_checkpoint(self.path)['state_dict']
        self.heads = nn.ParameterList(weights[f'heads.{index}'] for index in range(5))
        # ImageNet's mean and deviation for levels of -1 to 1, as the authors rounded them.
        for name, values in (('mean', (-0.030, -0.088, -0.188)), ('std', (0.458, 0.448, 0.450))):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1))
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor, truths: Tensor) -> Tensor:
        """Compare images with their ground truths, in float32 where the net is.

        Of (N, 3, H, W), RGB, levels of 0-255, uint8 or float, at least :data:`LEAST_SIDE` pixels a
        side -> (N,).
        """
        with use_tf32(False):
            x = torch.cat([images, truths]).to(self.mean.device, torch.float32)
            x = (x / 127.5 - 1 - self.mean) / self.std
            heads = iter(self.heads)
            distance = x.new_zeros(len(images))
            for index, layer in enumerate(self.features):
                x = layer(x)
                if index in _LAYERS[self.net]:
                    unit = x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10)
                    image, truth = unit.chunk(2)
                    squares = (image - truth).square_().mean((2, 3))
                    distance += squares @ next(heads)
        return distance
