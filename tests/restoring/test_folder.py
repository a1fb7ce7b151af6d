import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, TINY

from facesr.config import load_config
from facesr.errors import UserError
from facesr.images import list_images, read_image, write_png
from facesr.restoring.export import export
from facesr.restoring.folder import Manifest, restore_and_score, restore_folder
from facesr.restoring.restorer import Restorer, open_exported
from facesr.restoring.score import score_folder


@pytest.fixture
def restorer(tiny_checkpoint: Path) -> Iterator[Restorer]:
    torch.set_num_threads(2)  # each restores an image
    yield Restorer(load_config(TINY), tiny_checkpoint, device='cpu')
    torch.set_num_threads(1)


@pytest.fixture
def images(faces: Path, tmp_path: Path) -> dict[str, Path]:
    """Six images of three sizes, in turn and not."""
    lq = read_image(faces / 'val/LQ/00000.png')
    sizes = [(32, 32), (32, 32), (24, 40), (32, 32), (64, 48), (64, 48)]
    for index, (height, width) in enumerate(sizes):
        write_png(tmp_path / f'lq/{index}.png', lq[index : index + height, :width].copy())
    return list_images(tmp_path / 'lq')


@pytest.mark.parametrize('batch_size', [1, 4])
def test_order_names_and_pixels(restorer: Restorer, images, tmp_path: Path, batch_size: int):
    results = restore_folder(restorer, images, tmp_path / 'out', batch_size=batch_size)
    assert [result.path for result in results] == list(images.values())
    assert [result.score.name for result in results] == [f'{stem}.png' for stem in images]
    for stem, path in images.items():
        expected = restorer.restore(read_image(path)).astype(int)
        assert np.abs(read_image(tmp_path / f'out/{stem}.png') - expected).max() <= 1
    assert torch.get_num_threads() == 2


def test_scores_are_those_of_the_files(restorer: Restorer, faces: Path, tmp_path: Path):
    images, truths = (list_images(faces / f'val/{name}') for name in ('LQ', 'GT'))
    results = restore_folder(restorer, images, tmp_path / 'out', truths)
    assert [result.score for result in results] == score_folder(tmp_path / 'out', faces / 'val/GT')
    assert all(result.baseline.psnr > 20 for result in results)
    results = restore_folder(restorer, images, tmp_path / 'out', scored=False)
    assert {result.score for result in results} == {None}


def test_a_mistake_in_a_worker_is_the_users(restorer: Restorer, images, tmp_path: Path):
    images['3'].write_bytes(images['3'].read_bytes()[:100])
    with pytest.raises(UserError, match=r'3\.png: not a readable image \(.*\); replace'):
        restore_folder(restorer, images, tmp_path / 'out')
    for path in (tmp_path / 'out').iterdir():
        assert path.suffix == '.png' and read_image(path).shape[2] == 3
    with pytest.raises(UserError, match=r'0\.png: 128x128 pixels, 32x32 expected'):
        restore_folder(restorer, {'0': images['0']}, tmp_path / 'out', images)
    assert not restorer.stop.is_set(), 'another folder can be restored'


def test_ctrl_c_ends_what_is_in_flight(restorer: Restorer, tmp_path: Path):
    write_png(tmp_path / 'lq/0.png', np.zeros((700, 700, 3), np.uint8))
    images = list_images(tmp_path / 'lq')
    restorer.tile = 8  # minutes
    begun = threading.Event()
    restorer.generator.register_forward_hook(lambda *_: begun.set())

    def press() -> None:
        begun.wait()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        restore_folder(restorer, images, tmp_path / 'out')
    assert time.monotonic() - start < 20
    thread.join()
    assert not (tmp_path / 'out').exists()


def test_an_older_manifest_and_other_files(tmp_path: Path):
    older = {'input': 'LQ', 'gt': None, 'checkpoint': None, 'ema': False, 'scores': {'niqe': 9.0}}
    older |= {'bicubic': None, 'images': 2}
    (tmp_path / 'out.json').write_text(json.dumps({**older, 'unknown': 1}))
    assert Manifest.read(tmp_path / 'out.json') == Manifest(**older)
    for text in ('{"input":', '[1]', 'null', '{"input": "LQ"}'):
        (tmp_path / 'out.json').write_text(text)
        assert Manifest.read(tmp_path / 'out.json') is None


def test_nothing_that_is_not_ours_is_replaced(restorer: Restorer, faces: Path, tmp_path: Path):
    shutil.copytree(faces / 'val', tmp_path / 'val')
    lq, gt = tmp_path / 'val/LQ', tmp_path / 'val/GT'
    for name in ('package.json', 'table.csv', 'face_panel.png'):
        (tmp_path / name).write_text('{}')
    before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
    for out, truths, zip_file, said in (
        (gt, gt, None, 'GT/00000.png: is an input'),
        (gt, None, None, 'GT/00000.png: was there before'),
        (lq, None, None, 'LQ/00000.png: is an input'),
        (tmp_path / 'package', None, None, 'package.json: was there before'),
        (tmp_path / 'table', None, None, 'table.csv: was there before'),
        (tmp_path / 'face', None, None, 'face_panel.png: was there before'),
        (tmp_path / 'new', None, tmp_path / 'new.csv', 'new.csv: two results would have this name'),
        (tmp_path / 'new', None, gt / '00000.png', '00000.png: was there before'),
        (Path('/'), None, None, '/: --out takes a folder below it'),
        (lq / 'new', None, None, f'LQ/new: its panel would be among the images of {lq}; choose'),
        (gt / 'new', gt, None, f'GT/new: its panel would be among the images of {gt}; choose'),
        (tmp_path / 'new', None, tmp_path / 'new', 'new: other results would be in it; choose'),
    ):
        with pytest.raises(UserError, match=said):
            restore_and_score(restorer, lq, out, truths, zip_file)
    assert {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()} == before


@pytest.mark.parametrize('size', [(5000, 10), (8, 8)])
def test_one_net_is_for_aligned_faces_only(size: tuple[int, int], tmp_path: Path):
    net = open_exported(ROOT / 'weights/face_unet.pth', 'cpu')
    width, height = size
    write_png(tmp_path / 'in/a.png', np.zeros((height, width, 3), np.uint8))
    with pytest.raises(UserError, match=f'a {width}x{height} image: FaceUNet needs .*: tools/cut_'):
        restore_and_score(net, tmp_path / 'in', tmp_path / 'out')


def test_a_checkpoint_of_ours_and_its_config_are_not_replaced(restorer, faces, tmp_path: Path):
    exported = tmp_path / 'net.pth'
    export(load_config(TINY), 'tiny', restorer.checkpoint, exported)
    net = Restorer(load_config(TINY), exported, device='cpu')
    for path in (exported, TINY):
        before = path.read_bytes()
        with pytest.raises(UserError, match=f'{path.name}: is an input; choose another place'):
            restore_and_score(net, faces / 'val/LQ', tmp_path / 'out', None, path, overwrite=True)
        assert path.read_bytes() == before


@pytest.mark.parametrize('batch_size', [1, 2])
def test_a_net_that_gives_no_numbers_is_not_scored(restorer, faces, tmp_path, batch_size: int):
    shutil.copytree(faces / 'val/LQ', tmp_path / 'lq')
    write_png(tmp_path / 'lq/00000.png', np.zeros((128, 128, 3), np.uint8))
    with torch.no_grad():  # all are finite, and so is what they make of black
        for weight in restorer.generator.parameters():
            weight.mul_(1e9 if weight.ndim > 1 else 0)
    with pytest.raises(UserError, match=r'lq/00001\.png: SRResNet gives values that are not finit'):
        restore_and_score(restorer, tmp_path / 'lq', tmp_path / 'out', batch_size=batch_size)
    assert sorted(tmp_path.glob('out*')) == [tmp_path / 'out']
