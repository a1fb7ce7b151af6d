import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import TINY
from mmagic.registry import MODELS

from facesr.config import load_config
from facesr.errors import UserError
from facesr.images import read_image
from facesr.restoring.export import export
from facesr.restoring.restorer import Restorer


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training checkpoint with raw and averaged weights, which differ."""
    raw, average = (MODELS.build(load_config(TINY).model) for _ in range(2))
    state = average.generator.state_dict()
    checkpoint = {
        'meta': {'iter': 7, 'cfg': 'not to be published: data_root = "/home/me"'},
        'state_dict': raw.state_dict(),
        'ema_state_dict': {
            'steps': torch.tensor(7),
            **{f'module.{name}': value for name, value in state.items()},
        },
        'optimizer': {'state': torch.zeros(100_000)},
    }
    path = tmp_path_factory.mktemp('trained') / 'iter_7.pth'
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize('ema', [False, True])
def test_weights_alone_restore_as_the_checkpoint_does(trained, faces, tmp_path: Path, ema: bool):
    config = load_config(TINY)
    said = export(config, 'tiny', trained, tmp_path / 'a.pth', ema)
    assert '8,035 parameters' in said
    exported = torch.load(tmp_path / 'a.pth')  # PyTorch's protection is on
    assert exported.keys() == {'meta', 'state_dict'}
    assert exported['meta']['generator']['num_blocks'] == 2
    assert exported['meta']['iter'] == 7 and exported['meta']['ema'] is ema
    assert exported['meta']['losses'] == {'pixel_loss': 'L1Loss'}
    assert (exported['meta']['gt_size'], exported['meta']['lq_size']) == (256, 64)
    assert 'home' not in str(exported['meta'])
    assert (tmp_path / 'a.pth').stat().st_size < 60_000 < trained.stat().st_size
    lq = read_image(faces / 'test/LQ/00000.png')
    expected = Restorer(config, trained, 'cpu', ema=ema).restore(lq)
    assert np.array_equal(Restorer(config, tmp_path / 'a.pth', 'cpu').restore(lq), expected)
    if ema:
        other = Restorer(config, trained, 'cpu').restore(lq)
        assert not np.array_equal(other, expected)
        Restorer(config, tmp_path / 'a.pth', 'cpu', ema=True)  # which it is


def test_onnx_restores_an_image_of_any_size(trained: Path, faces: Path, tmp_path: Path):
    config = load_config(TINY)
    assert 'agrees with PyTorch' in export(config, 'tiny', trained, tmp_path / 'a.onnx')
    session = onnxruntime.InferenceSession(tmp_path / 'a.onnx')
    for size in (slice(None), slice(3, 50)):
        image = read_image(faces / 'test/LQ/00000.png')[:, size]
        lq = image.astype(np.float32).transpose(2, 0, 1)[None] / 255
        [sr] = session.run(None, {'lq': lq})
        found = (sr[0].transpose(1, 2, 0).clip(0, 1) * 255).round()
        expected = Restorer(config, trained, 'cpu').restore(np.ascontiguousarray(image))
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1
    props = {prop.key: prop.value for prop in onnx.load(tmp_path / 'a.onnx').metadata_props}
    assert json.loads(props['std']) == [255, 255, 255]
    assert json.loads(props['generator'])['upscale_factor'] == 4


def test_onnx_in_float16_and_in_another_opset(trained: Path, tmp_path: Path):
    config, options = load_config(TINY), dict(half=True, opset=20)
    said = export(config, 'tiny', trained, tmp_path / 'a.onnx', **options)
    assert 'agrees with PyTorch to' in said
    graph = onnx.load(tmp_path / 'a.onnx')
    assert graph.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    assert [part.version for part in graph.opset_import if not part.domain] == [20]
    for option, value in options.items():
        with pytest.raises(UserError, match=r'a\.pth: --half and --opset are for \.onnx'):
            export(config, 'tiny', trained, tmp_path / 'a.pth', **{option: value})


def test_a_net_in_windows_is_padded_in_the_graph(tmp_path: Path):
    config = load_config(TINY, ['model.size_multiple=8'])
    model = MODELS.build(config.model)
    torch.nn.init.normal_(model.generator.conv_last.weight, 0, 0.2)  # so that a border shows
    torch.save(model.state_dict(), tmp_path / 'a.ckpt')
    export(config, 'tiny', tmp_path / 'a.ckpt', tmp_path / 'a.onnx')
    session = onnxruntime.InferenceSession(tmp_path / 'a.onnx')
    image = np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)
    [sr] = session.run(None, {'lq': image.astype(np.float32).transpose(2, 0, 1)[None] / 255})
    found = (sr[0].transpose(1, 2, 0).clip(0, 1) * 255).round()
    restorer = Restorer(config, tmp_path / 'a.ckpt', 'cpu')
    assert np.abs(found - restorer.restore(image)).max() <= 1
    restorer.multiple = 1
    assert np.abs(found - restorer.restore(image)).max() > 1, 'the padding is seen'


def test_mistakes_leave_nothing_behind(trained: Path, tmp_path: Path):
    config = load_config(TINY)
    with pytest.raises(UserError, match=r'a\.pt: a file name that ends with \.pth or \.onnx'):
        export(config, 'tiny', trained, tmp_path / 'a.pt')
    with pytest.raises(UserError, match="not this config's model"):
        export(
            load_config(TINY, ['model.generator.num_blocks=3']), 'x', trained, tmp_path / 'a.pth'
        )
    assert not list(tmp_path.iterdir())
    before = trained.read_bytes()
    with pytest.raises(UserError, match=r'iter_7\.pth: is an input; choose another place'):
        export(config, 'tiny', trained, trained)
    assert trained.read_bytes() == before
    (tmp_path / 'others.pth').write_bytes(b'of another net')
    with pytest.raises(UserError, match=r'others\.pth: was there before'):
        export(config, 'tiny', trained, tmp_path / 'others.pth')
    assert (tmp_path / 'others.pth').read_bytes() == b'of another net'
