"""MMagic's perceptual loss with a VGG from a local file."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import torch
from mmagic.models.losses.perceptual_loss import PerceptualLoss, PerceptualVGG
from mmagic.registry import MODELS
from mmengine.logging import print_log
from torch import nn

from ..errors import UserError
from .features import find_features, make_layers, read_features


@MODELS.register_module()
class VGGPerceptualLoss(PerceptualLoss):
    """MMagic's ``PerceptualLoss``, its VGG loaded from a local file or left random.

    The stock class ignores ``pretrained`` and always downloads, which a compute node cannot; and it
    writes the frozen VGG (80 MB) into every checkpoint. Here the VGG is no submodule: it moves to a
    device with the loss, but is not saved, optimised or averaged.

    Args:
        layer_weights: weight by layer of torchvision's ``vgg.features``; ``{'34': 1.0}`` is
            VGG19's conv5_4 before its ReLU (Wang et al., *ESRGAN*, 2018, section 3.3), ``{'28':
            1.0}`` VGG16's conv5_3.
        use_input_norm: normalise by ImageNet's mean and deviation, for images in [0, 1].
        perceptual_weight: weight of the L1 or MSE distance of the features.
        style_weight: weight of their Gram matrices' distance; 0 computes none.
        norm_img: True for images in [-1, 1].
        pretrained: ``'torchvision'`` for its weights (:func:`.features.find_features`),
            ``'random'`` for fixed random layers (tests and demonstrations), or a file's path.
    """

    def __init__(
        self,
        layer_weights: Mapping[str, float],
        vgg_type: str = 'vgg19',
        use_input_norm: bool = True,
        perceptual_weight: float = 1.0,
        style_weight: float = 0.0,
        norm_img: bool = False,
        pretrained: str = 'torchvision',
        criterion: str = 'l1',
    ) -> None:
        nn.Module.__init__(self)  # PerceptualLoss's own would build the stock VGG
        criteria = {'l1': nn.L1Loss, 'mse': nn.MSELoss}
        if criterion not in criteria:
            raise UserError(f"perceptual_loss: criterion={criterion!r}: 'l1' or 'mse' expected")
        self.criterion = criteria[criterion]()
        layer_weights = {str(layer): weight for layer, weight in layer_weights.items()}
        self.layer_weights = self.layer_weights_style = layer_weights
        self.perceptual_weight, self.style_weight = perceptual_weight, style_weight
        self.norm_img = norm_img
        self.vgg_style = None
        # Past nn.Module's own bookkeeping, which would make it a submodule.
        self.__dict__['vgg'] = FrozenVGG(layer_weights, vgg_type, use_input_norm, pretrained)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        self.vgg._apply(fn, recurse)  # what .to(), .cuda() and .float() call
        super()._apply(fn, recurse)
        return self


class FrozenVGG(PerceptualVGG):
    """The first layers of a VGG: (N, 3, H, W) -> a dictionary of features, by layer."""

    def __init__(
        self, layers: Iterable[str], vgg_type: str, use_input_norm: bool, pretrained: str
    ) -> None:
        nn.Module.__init__(self)
        if vgg_type not in ('vgg11', 'vgg13', 'vgg16', 'vgg19'):  # no batch statistics in a loss
            raise UserError(f"perceptual_loss: vgg_type={vgg_type!r}: 'vgg19' expected")
        self.layer_name_list = list(layers)
        self.use_input_norm = use_input_norm
        features = make_layers(vgg_type)
        depth = max(map(int, self.layer_name_list)) + 1
        if depth > len(features):
            raise UserError(
                f"perceptual_loss: {vgg_type} has no layer '{depth - 1}', its last is "
                f"'{len(features) - 1}'"
            )
        self.vgg_layers = features[:depth].to_empty(device='cpu').requires_grad_(False)
        if pretrained == 'random':
            _init_random(self.vgg_layers)
            print_log(
                f'{vgg_type.upper()} layers are random, not trained: '
                'loss_perceptual says nothing of what people see',
                'current',
                logging.WARNING,
            )
        else:
            path = find_features(vgg_type) if pretrained == 'torchvision' else Path(pretrained)
            if not path.is_file():
                raise UserError(
                    f"perceptual_loss: pretrained={pretrained!r} is neither 'torchvision', "
                    "'random' nor a file"
                )
            self.vgg_layers.load_state_dict(read_features(path, self.vgg_layers, vgg_type))
        if use_input_norm:
            self.register_buffer('mean', torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
            self.register_buffer('std', torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))


def _init_random(layers: nn.Module) -> None:
    """Initialise as torchvision does, the same in every run, without the global generators."""
    generator = torch.Generator().manual_seed(0)
    for weight in layers.parameters():
        if weight.ndim > 1:
            nn.init.kaiming_normal_(
                weight, mode='fan_out', nonlinearity='relu', generator=generator
            )
        else:
            nn.init.zeros_(weight)
