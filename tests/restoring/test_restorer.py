from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, TINY
from mmagic.registry import MODELS
from PIL import Image

from facesr import nets
from facesr.config import load_config
from facesr.data.dataset import FaceDataset
from facesr.errors import UserError
from facesr.images import read_image
from facesr.restoring import restorer as module
from facesr.restoring.export import export
from facesr.restoring.restorer import Restorer, open_exported


@pytest.fixture
def restorer(tiny_checkpoint: Path) -> Restorer:
    return Restorer(load_config(TINY), tiny_checkpoint, device='cpu')


def test_agrees_with_the_validation_path(restorer: Restorer, faces: Path):
    """The same 8-bit picture as MMagic's own val_step gives."""
    lq = read_image(faces / 'val/LQ/00000.png')
    config = load_config(TINY).val_dataloader.dataset
    sample = FaceDataset(data_root=str(faces), data_prefix=config.data_prefix)[0]
    batch = {'inputs': [sample['inputs']], 'data_samples': [sample['data_samples']]}
    model = MODELS.build(load_config(TINY).model).eval()
    model.generator.load_state_dict(restorer.generator.state_dict())
    with torch.no_grad():
        [output] = model.val_step(batch)
    expected = output.output.pred_img.numpy()[::-1].transpose(1, 2, 0).round()
    result = restorer.restore(lq)
    assert result.dtype == np.uint8
    assert np.abs(result - expected).max() <= 1 and (result == expected).mean() > 0.999


@pytest.mark.parametrize('size', [(1, 1), (7, 33), (40, 24)])
def test_any_size(restorer: Restorer, size: tuple[int, int]):
    assert restorer.restore(np.zeros((*size, 3), np.uint8)).shape == (4 * size[0], 4 * size[1], 3)


@pytest.mark.parametrize(
    'image', [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8)], ids=['float', 'grey']
)
def test_what_is_no_8_bit_rgb_is_refused(restorer: Restorer, image: np.ndarray):
    with pytest.raises(UserError, match=r'of shape .*: 8-bit RGB expected, \(H, W, 3\) uint8'):
        restorer.restore(image)


@pytest.mark.parametrize('scale', [1, 2, 3])
def test_a_net_of_another_scale_and_one_channel(scale: int, faces: Path, tmp_path: Path):
    options = [f'model.generator.{way}_channels=1' for way in ('in', 'out')]
    options += [f'model.generator.upscale_factor={scale}', 'model.data_preprocessor.grey=True']
    config = load_config(TINY, options if scale > 1 else options[2:])
    if scale == 1:
        config.model.generator = dict(type='AddNothing')
    torch.save(MODELS.build(config.model).state_dict(), tmp_path / 'net.ckpt')
    said = export(config, 'tiny', tmp_path / 'net.ckpt', tmp_path / 'net.pth')
    assert 'parameters' in said
    lq = read_image(faces / 'val/LQ/00000.png')
    restored = open_exported(tmp_path / 'net.pth', 'cpu').restore(lq)
    assert restored.shape == (128 * scale, 128 * scale)
    restorer = Restorer(config, tmp_path / 'net.ckpt', 'cpu', tile=40)
    assert np.abs(restorer.restore(lq).astype(int) - restored).max() <= 1
    if scale == 1:
        grey = np.asarray(Image.fromarray(lq).convert('L'))
        assert np.abs(restored.astype(int) - grey).max() <= 1


@pytest.mark.parametrize(
    'generator',
    [
        dict(type='subprocess.Popen', args=['touch', 'run']),
        dict(type='FaceEditModel', generator=dict(type='subprocess.Popen', args=['touch', 'run'])),
        dict(type='MyNet'),
        'SRResNet',
    ],
)
def test_a_file_of_weights_runs_nothing(generator: object, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    meta = dict(generator=generator, mean=[0], std=[255])
    torch.save({'meta': meta, 'state_dict': {}}, 'a.pth')
    with pytest.raises(
        UserError, match=r"a\.pth: .* is no net of facesr's; name its config: --con"
    ):
        open_exported('a.pth', 'cpu')
    assert not Path('run').exists()


@MODELS.register_module()
class AddNothing(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * self.weight


def test_tiles_show_no_seams(restorer: Restorer, faces: Path):
    lq = read_image(faces / 'val/LQ/00000.png')[:120, :90]
    [(whole, tile)] = restorer.restore_batch([lq])
    assert tile is None
    restorer.tile = 32
    [(tiled, tile)] = restorer.restore_batch([lq])
    assert tile == 32
    assert np.abs(tiled.astype(int) - whole).max() <= 1 and (tiled == whole).mean() > 0.999


def limit_memory(restorer: Restorer, axes: slice, most: int) -> list[int]:
    """Let no input be larger along some axes; gives the sizes that are tried."""
    forward, tried = Restorer._forward, []

    def small_memory(lq: np.ndarray) -> np.ndarray:
        tried.append(max(lq.shape[axes]))
        if tried[-1] > most:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return forward(restorer, lq)

    restorer._forward = small_memory
    return tried


def test_out_of_memory_halves_the_tile_then_gives_up(restorer: Restorer):
    limit_memory(restorer, slice(None), 193)
    image = np.random.default_rng(0).integers(0, 256, (260, 140, 3), dtype=np.uint8)
    [(restored, tile)] = restorer.restore_batch([image])
    assert restored.shape == (1040, 560, 3) and tile == 65
    limit_memory(restorer, slice(None), 1)
    message = r'140x260 image does not fit into memory \(not even in tiles\)'
    with pytest.raises(UserError, match=message):
        restorer.restore(image)


@pytest.fixture
def whole_faces(tmp_path: Path):
    config = load_config(ROOT / 'configs/face_unet.py')
    config.model.generator.update(channels=[8, 16], encoder_blocks=[1, 1], decoder_blocks=[1])
    checkpoint = tmp_path / 'face_unet.pth'
    torch.save(nets.build_part(config, 'generator').state_dict(), checkpoint)
    return config, checkpoint


def test_a_net_for_whole_faces_is_never_tiled(whole_faces, monkeypatch):
    restorer = Restorer(*whole_faces, device='cpu')
    monkeypatch.setattr(module, 'MOST_PIXELS', 32 * 32)
    [(restored, tile)] = restorer.restore_batch([np.zeros((128, 128, 3), np.uint8)])
    assert restored.shape == (512, 512, 3) and tile is None
    limit_memory(restorer, slice(None), 1)
    message = r'does not fit into memory \(FaceUNet needs the whole face\)'
    with pytest.raises(UserError, match=message):
        restorer.restore(np.zeros((128, 128, 3), np.uint8))
    with pytest.raises(UserError, match='--tile 64: FaceUNet needs the whole face; leave --til'):
        Restorer(*whole_faces, device='cpu', tile=64)


def test_a_batch_that_does_not_fit_is_halved(restorer: Restorer, faces: Path, monkeypatch):
    monkeypatch.setattr(module, 'MOST_PIXELS', 4 * 128 * 128)
    lqs = [read_image(faces / f'val/LQ/0000{index % 2}.png') for index in range(4)]
    expected = restorer.restore_batch(lqs)
    sizes = limit_memory(restorer, slice(1), 2)
    for found, whole in zip(restorer.restore_batch(lqs), expected, strict=True):
        assert np.abs(found[0].astype(int) - whole[0]).max() <= 1
    assert sizes == [4, 2, 2]
    monkeypatch.setattr(module, 'MOST_PIXELS', 128 * 128)
    restorer.restore_batch(lqs)
    assert sizes[3:] == [1] * 4, 'what cannot fit is not tried'


def test_bf16_is_a_few_levels_off(restorer: Restorer, tiny_checkpoint: Path, faces: Path):
    lq = read_image(faces / 'val/LQ/00000.png')
    fast = Restorer(load_config(TINY), tiny_checkpoint, device='cpu', precision='bf16')
    difference = np.abs(fast.restore(lq).astype(int) - restorer.restore(lq))
    assert 0 < difference.max() <= 4


def test_only_the_net_computes_without_tf32(restorer: Restorer):
    seen = []
    restorer.generator.register_forward_hook(
        lambda *args: seen.append(torch.backends.cudnn.allow_tf32)
    )
    assert torch.backends.cudnn.allow_tf32, "PyTorch's default"
    restorer.restore(np.zeros((8, 8, 3), np.uint8))
    assert seen == [False] and torch.backends.cudnn.allow_tf32
    restorer.stop.set()
    with pytest.raises(CancelledError):
        restorer.restore(np.zeros((8, 8, 3), np.uint8))
    assert torch.backends.cudnn.allow_tf32


def test_flip_is_the_mean_of_both_before_rounding(restorer: Restorer, tiny_checkpoint, faces: Path):
    lq = read_image(faces / 'val/LQ/00000.png')
    mirrored = lq[:, ::-1].copy()
    both = Restorer(load_config(TINY), tiny_checkpoint, device='cpu', tta='flip')
    single = [restorer.restore(lq), restorer.restore(mirrored)[:, ::-1]]
    assert (single[0] != single[1]).any(), 'the net itself is not symmetric'
    mean = (single[0].astype(float) + single[1]) / 2  # each rounded before: at most 0.5 off
    assert np.abs(both.restore(lq) - mean).max() <= 1
    difference = np.abs(both.restore(mirrored)[:, ::-1].astype(int) - both.restore(lq))
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


def test_shift_is_the_mean_of_six_moved_back(restorer: Restorer, tiny_checkpoint, faces: Path):
    shift = Restorer(load_config(TINY), tiny_checkpoint, device='cpu', tta='shift')
    for net in (restorer, shift):  # so that a mirrored image shows
        torch.nn.init.normal_(
            net.generator.conv_last.weight, 0, 0.2, torch.Generator().manual_seed(0)
        )
    lq = read_image(faces / 'val/LQ/00000.png')[:40, :48]
    wide = np.pad(lq, ((1, 1), (1, 1), (0, 0)), 'edge')
    every, first, last = slice(None), slice(-4), slice(4, None)
    total, weight = np.zeros((160, 192, 3)), np.zeros((160, 192, 1))
    for moved, place, origin, step in (
        (lq, (every, every), (every, every), 1),
        (lq, (every, every), (every, every), -1),  # mirrored
        (wide[1:-1, :-2], (every, first), (every, last), 1),  # to the right
        (wide[1:-1, 2:], (every, last), (every, first), -1),
        (wide[:-2, 1:-1], (first, every), (last, every), 1),  # down
        (wide[2:, 1:-1], (last, every), (first, every), -1),
    ):
        total[place] += restorer.restore(moved[:, ::step].copy())[:, ::step][origin]
        weight[place] += 1
    assert np.abs(shift.restore(lq) - total / weight).max() <= 1
    assert shift.restore(lq[:1, :1]).shape == (4, 4, 3)


def test_a_precision_that_the_device_cannot_compute_in_is_refused(tiny_checkpoint, monkeypatch):
    def cannot(*inputs: object) -> None:
        raise RuntimeError('"conv" not implemented for Half')

    monkeypatch.setattr('facesr.models.stock.SRResNet.forward', cannot)
    with pytest.raises(UserError, match=r'--precision fp16: .* on cpu \(.*\); take float32'):
        Restorer(load_config(TINY), tiny_checkpoint, device='cpu', precision='fp16')
