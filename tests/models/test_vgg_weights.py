import hashlib
from pathlib import Path

import pytest
import torch
from torchvision.models import vgg11, vgg13

from facesr.errors import UserError
from facesr.models.perceptual_loss import fetch_vgg, find_vgg, load_vgg_weights, vgg_url


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A VGG11 with one output, named like the published files: by its own hash."""
    torch.manual_seed(0)
    torch.save(vgg11(num_classes=1).features.state_dict(prefix='features.'), tmp_path / 'a.pth')
    digest = hashlib.sha256((tmp_path / 'a.pth').read_bytes()).hexdigest()
    return (tmp_path / 'a.pth').rename(tmp_path / f'vgg11-{digest[:8]}.pth')


def test_loads_exactly_the_layers_asked_for(published: Path):
    layers = vgg11(num_classes=1).features[:4]
    layers.load_state_dict(load_vgg_weights(layers, 'vgg11', str(published)))
    given = torch.load(published)
    assert torch.equal(layers[3].weight, given['features.3.weight'])


def test_altered_file_is_refused(published: Path):
    content = bytearray(published.read_bytes())
    content[len(content) // 2] ^= 1
    published.write_bytes(content)
    with pytest.raises(UserError, match=r'vgg11-\w{8}\.pth: not whole, its SHA-256 does not start'):
        load_vgg_weights(vgg11(num_classes=1).features, 'vgg11', str(published))


def test_other_nets_weights_are_refused(published: Path):
    with pytest.raises(UserError, match=r'not the weights of vgg13 \(features\.2\.weight\)'):
        load_vgg_weights(vgg13(num_classes=1).features, 'vgg13', str(published))


def test_text_is_refused(tmp_path: Path):
    (tmp_path / 'vgg.pth').write_text('hello')
    with pytest.raises(UserError, match=r'vgg\.pth: not a readable checkpoint'):
        load_vgg_weights(vgg11(num_classes=1).features, 'vgg11', str(tmp_path / 'vgg.pth'))


def test_missing_weights_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    with pytest.raises(
        UserError,
        match=r'no vgg19-dcbb9e9d\.pth in data/pretrained or .*cache/hub/checkpoints; '
        r'where there is a network .*, run: python tools/fetch_vgg\.py',
    ):
        find_vgg('vgg19')


@pytest.mark.parametrize('folder', ['data/pretrained', 'cache/hub/checkpoints'])
def test_found_in_either_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    path = tmp_path / folder / 'vgg19-dcbb9e9d.pth'
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_vgg('vgg19').samefile(path)


def test_published_name():
    assert vgg_url('vgg19').endswith('/vgg19-dcbb9e9d.pth')


def test_fetches_whole_files_only(published: Path, tmp_path: Path):
    folder = tmp_path / 'pretrained'
    assert fetch_vgg(published.as_uri(), folder).read_bytes() == published.read_bytes()
    assert fetch_vgg('file:///nowhere/' + published.name, folder).is_file(), 'there already'
    wrong = published.rename(tmp_path / 'vgg11-00000000.pth')
    with pytest.raises(UserError, match=r'vgg11-00000000\.pth: cannot be fetched \(invalid hash'):
        fetch_vgg(wrong.as_uri(), folder)
    with pytest.raises(UserError, match=r'cannot be fetched .*; download it elsewhere and put it'):
        fetch_vgg('file:///nowhere/vgg11-11111111.pth', folder)
    assert [path.name for path in folder.iterdir()] == [published.name]
