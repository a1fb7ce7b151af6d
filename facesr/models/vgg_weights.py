"""The published weights of torchvision's VGGs: found, checked and fetched as files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

from ..engine.checkpoint import read_checkpoint
from ..errors import UserError

FOLDER = Path('data/pretrained')
FETCH_COMMAND = 'python tools/prepare_data.py --vgg19'


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
