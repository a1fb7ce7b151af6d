"""MMagic's perceptual loss with a VGG that is taken from a file, not from the network."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from mmagic.models.losses.perceptual_loss import PerceptualLoss, PerceptualVGG
from mmagic.registry import MODELS
from mmengine.logging import print_log
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from ..checkpoint import read_checkpoint
from ..errors import UserError


@MODELS.register_module()
class VGGPerceptualLoss(PerceptualLoss):
    """MMagic's ``PerceptualLoss``, its VGG loaded from a local file or left random.

    The stock class ignores ``pretrained`` and always downloads, which a compute node cannot; and it
    writes the frozen VGG (80 MB) into every checkpoint. Here the VGG is no submodule: it follows
    the loss to a device, and belongs to no checkpoint, optimiser or average.

    Args:
        layer_weights: weight by layer of torchvision's ``vgg.features``; ``{'34': 1.0}`` is
            VGG19's conv5_4 before its ReLU (Wang et al., *ESRGAN*, 2018, section 3.3).
        vgg_type: a VGG of torchvision's.
        use_input_norm: normalise by ImageNet's mean and deviation, for images in [0, 1].
        perceptual_weight: weight of the L1 or MSE distance of the features.
        style_weight: weight of their Gram matrices' distance; 0 computes none.
        norm_img: True for images in [-1, 1].
        pretrained: ``'torchvision'`` takes the published file, see
            :func:`~facesr.models.vgg_weights.find_vgg`; ``'random'`` takes fixed random layers,
            for tests and demonstrations; anything else is a file's path.
        criterion: ``'l1'`` or ``'mse'``.

    Raises:
        UserError: the weights are missing or not whole, or a layer does not exist.
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

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> VGGPerceptualLoss:
        self.vgg._apply(fn, recurse)  # what .to(), .cuda() and .float() call
        super()._apply(fn, recurse)
        return self


class FrozenVGG(PerceptualVGG):
    """The first layers of a VGG: (N, 3, H, W) -> a dictionary of features, by layer.

    Args: as :class:`VGGPerceptualLoss` has them.
    """

    def __init__(
        self, layers: Iterable[str], vgg_type: str, use_input_norm: bool, pretrained: str
    ) -> None:
        nn.Module.__init__(self)
        if vgg_type not in ('vgg11', 'vgg13', 'vgg16', 'vgg19'):  # no batch statistics in a loss
            raise UserError(f"perceptual_loss: vgg_type={vgg_type!r}: 'vgg19' expected")
        self.layer_name_list = list(layers)
        self.use_input_norm = use_input_norm
        with torch.device('meta'):  # the classifier, nine tenths of it, is never made
            features = get_model(vgg_type, weights=None).features
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
            self.vgg_layers.load_state_dict(load_vgg_weights(self.vgg_layers, vgg_type, pretrained))
        if use_input_norm:
            self.register_buffer('mean', torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
            self.register_buffer('std', torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))


def _init_random(layers: nn.Module) -> None:
    """Initialise as torchvision does, the same in every run, global generators left alone."""
    generator = torch.Generator().manual_seed(0)
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(
                layer.weight, mode='fan_out', nonlinearity='relu', generator=generator
            )
            assert layer.bias is not None, "torchvision's have one"
            nn.init.zeros_(layer.bias)


FOLDER = Path('data/pretrained')
FETCH_COMMAND = 'python tools/fetch_vgg.py'


def vgg_url(vgg_type: str) -> str:
    """Name the published file of a VGG; its name ends with the start of its SHA-256."""
    url: str = get_model_weights(vgg_type).IMAGENET1K_V1.url
    return url


def find_vgg(vgg_type: str = 'vgg19') -> Path:
    """Find the published file in ``data/pretrained`` or in PyTorch's cache.

    Raises:
        UserError: it is in neither; says how to get it.
    """
    name = vgg_url(vgg_type).rpartition('/')[2]
    cache = Path(torch.hub.get_dir(), 'checkpoints')
    for folder in (FOLDER, cache):
        if (folder / name).is_file():
            return folder / name
    remedy = f'run: {FETCH_COMMAND}' if vgg_type == 'vgg19' else f'fetch {vgg_url(vgg_type)}'
    raise UserError(
        f"{vgg_type.upper()}'s weights are missing: no {name} in {FOLDER} or {cache}; "
        f'where there is a network (a login node), {remedy}'
    )


def fetch_vgg(url: str, folder: Path = FOLDER) -> Path:
    """Download a published file, with a progress bar; it appears whole and checked, or not at all.

    Raises:
        UserError: it cannot be had, or is not what its name promises.
    """
    target = folder / url.rpartition('/')[2]
    if target.is_file():
        check_hash(target)
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(target), hash_prefix=_hash_in_name(target))
    except (URLError, OSError, RuntimeError) as error:  # RuntimeError: the hash
        reason = str(getattr(error, 'reason', error))
        raise UserError(
            f'{url}: cannot be fetched ({reason}); download it elsewhere and put it into {folder}'
        ) from error
    return target


def check_hash(path: Path) -> None:
    """Compare a file with the start of the SHA-256 in its name (``vgg19-dcbb9e9d.pth``), if any.

    Raises:
        UserError: they differ.
    """
    promised = _hash_in_name(path)
    with path.open('rb') as file:
        if promised and not hashlib.file_digest(file, 'sha256').hexdigest().startswith(promised):
            raise UserError(
                f'{path}: not whole, its SHA-256 does not start with {promised} as its name says; '
                'fetch it again, or rename it if that is no hash'
            )


def load_vgg_weights(layers: nn.Module, vgg_type: str, source: str) -> dict[str, Tensor]:
    """Read the weights of a VGG's first layers.

    Args:
        layers: the first layers of torchvision's ``vgg.features``.
        vgg_type: which VGG they are of.
        source: ``'torchvision'`` for the published file, or a file's path.

    Returns:
        A state dict for ``layers``.

    Raises:
        UserError: the file is missing, damaged, or another net's.
    """
    path = find_vgg(vgg_type) if source == 'torchvision' else Path(source)
    if not path.is_file():
        raise UserError(
            f"perceptual_loss: pretrained={source!r} is neither 'torchvision', 'random' nor a file"
        )
    check_hash(path)
    weights = read_checkpoint(path)['state_dict']
    expected = layers.state_dict()
    found = {
        name: weights[f'features.{name}']
        for name in expected
        if isinstance(weights, Mapping) and f'features.{name}' in weights
    }
    wrong = [
        name for name in expected if name not in found or found[name].shape != expected[name].shape
    ]
    if wrong:
        raise UserError(f'{path}: not the weights of {vgg_type} (features.{wrong[0]})')
    return found


def _hash_in_name(path: Path) -> str | None:
    match = re.search(r'-([0-9a-f]{8,})\.', path.name)
    return match[1] if match else None
