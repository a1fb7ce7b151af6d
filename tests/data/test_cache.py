import errno
import fcntl
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY

from facesr.config import load_config
from facesr.data.cache import make_cache, open_cache
from facesr.data.dataset import BlindFaceDataset
from facesr.data.loader import SampleKey
from facesr.errors import UserError
from facesr.images import read_image, write_png

SIDE = 48


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f'faces/{name}.png' for name in 'abc']
    for path in paths:
        write_png(path, rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
    return paths


def dataset(images: list[Path], cache_dir: Path | None) -> BlindFaceDataset:
    folder = images[0].parent
    return BlindFaceDataset(
        str(folder.parent),
        dict(gt=folder.name),
        load_config(TINY).degradation
        | dict(gt_size=SIDE, lq_size=SIDE // 4, resize_scale=(0.5, 1)),
        degrade_on='device',
        gt_patch_size=SIDE,
        cache_dir=cache_dir and str(cache_dir),
    )


def face(data: BlindFaceDataset, index: int) -> np.ndarray:
    return data[SampleKey(index, 0, 0)].gt.numpy()


def test_pixels_are_the_files(images: list[Path], tmp_path: Path):
    cached, plain = dataset(images, tmp_path / 'cache'), dataset(images, None)
    before = {path: path.read_bytes() for path in images}
    for path in images:
        path.write_bytes(b'not read any more')
    for index, path in enumerate(images):
        sample = face(cached, index)
        sample += 1  # MMagic's transforms write in place; the cache stays
        with pytest.raises(UserError, match='not a readable image'):
            face(plain, index)
        path.write_bytes(before[path])
        assert np.array_equal(face(cached, index), read_image(path))
        assert np.array_equal(face(plain, index), read_image(path))


def test_changed_data_makes_a_new_cache_and_the_old_one_goes(images: list[Path], tmp_path: Path):
    first = make_cache(images, tmp_path / 'cache')
    assert make_cache(images, tmp_path / 'cache') == first
    write_png(images[1], np.zeros((SIDE, SIDE, 3), np.uint8))
    first.with_suffix('.killed.partial').write_bytes(b'')
    second = make_cache(images, tmp_path / 'cache')
    assert second != first and not open_cache(second)[1].any()
    assert list((tmp_path / 'cache').glob('*-*')) == [second]


def test_processes_that_start_together_decode_once(images: list[Path], tmp_path: Path):
    with ProcessPoolExecutor(4, mp_context=get_context('fork')) as pool:
        jobs = [pool.submit(make_cache, images, tmp_path / 'cache') for _ in range(4)]
        [target] = {job.result() for job in jobs}
    for pixels, path in zip(open_cache(target), images, strict=True):
        assert np.array_equal(pixels, read_image(path))
    assert not list((tmp_path / 'cache').glob('*.partial'))


def test_a_file_system_without_locks(
    images: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    def refuse(*args: object) -> None:
        raise OSError(errno.ENOSYS, 'Function not implemented')

    monkeypatch.setattr(fcntl, 'flock', refuse)
    test_processes_that_start_together_decode_once(images, tmp_path)
    said = capfd.readouterr().out
    assert '.lock: this file system has no locks (Function not implemented); ' in said


def test_full_disk_falls_back_to_decoding(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'posix_fallocate', full)
    faces = dataset(images, tmp_path / 'cache')
    assert np.array_equal(face(faces, 2), read_image(images[2]))
    assert not [path for path in (tmp_path / 'cache').iterdir() if path.suffix != '.lock']


def test_other_size_is_named_and_nothing_is_left(images: list[Path], tmp_path: Path):
    write_png(images[2], np.zeros((8, 16, 3), np.uint8))
    with pytest.raises(UserError, match=r'c\.png: 16x8 pixels, 48x48 expected'):
        make_cache(images, tmp_path / 'cache')
    assert not [path for path in (tmp_path / 'cache').iterdir() if path.suffix != '.lock']
