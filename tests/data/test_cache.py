import errno
import fcntl
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY
from mmengine.logging import MMLogger

from facesr.config import load_config
from facesr.data.cache import ImageCache, make_cache
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


def pixels(cache: ImageCache) -> list[np.ndarray | None]:
    return [cache.read(index) for index in range(cache.shape[0])]


def in_a_process(work: Callable[..., object], *args: object) -> Any:
    """As a start of its own: its caches are closed when it ends."""
    with ProcessPoolExecutor(1, mp_context=get_context('fork')) as pool:
        return pool.submit(work, *args).result()


def test_changed_data_makes_a_new_cache_and_the_old_one_goes(images: list[Path], tmp_path: Path):
    first = in_a_process(make_cache, images, tmp_path / 'cache')
    assert in_a_process(make_cache, images, tmp_path / 'cache') == first
    write_png(images[1], np.zeros((SIDE, SIDE, 3), np.uint8))
    first.path.with_suffix('.killed.partial').write_bytes(b'')
    second = make_cache(images, tmp_path / 'cache')
    assert second != first and not pixels(second)[1].any()
    assert list((tmp_path / 'cache').glob('*-*')) == [second.path]


def test_a_cache_in_use_stays(images: list[Path], tmp_path: Path):
    caches = [make_cache(images[:count], tmp_path / 'cache') for count in (1, 2, 3)]
    for cache in caches:
        for image, path in zip(pixels(cache), images, strict=False):
            assert np.array_equal(image, read_image(path))
    assert sorted((tmp_path / 'cache').glob('*-*')) == sorted(cache.path for cache in caches)


def test_processes_that_start_together_decode_once(images: list[Path], tmp_path: Path):
    with ProcessPoolExecutor(4, mp_context=get_context('fork')) as pool:
        jobs = [pool.submit(make_cache, images, tmp_path / 'cache') for _ in range(4)]
        [cache] = {job.result() for job in jobs}
    for image, path in zip(pixels(cache), images, strict=True):
        assert np.array_equal(image, read_image(path))
    assert not list((tmp_path / 'cache').glob('*.partial'))


@pytest.mark.parametrize('length', [0, 100, -1])
def test_a_cut_off_cache_is_made_again(images: list[Path], tmp_path: Path, length: int):
    cache = in_a_process(make_cache, images, tmp_path / 'cache')
    content = cache.path.read_bytes()
    cache.path.write_bytes(content[:length])
    assert make_cache(images, tmp_path / 'cache') == cache
    assert cache.path.read_bytes() == content


def test_a_damaged_cache_trains_on_the_files_and_is_removed(
    images: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    MMLogger.get_current_instance().addHandler(caplog.handler)
    cache = in_a_process(make_cache, images, tmp_path / 'cache')
    content = bytearray(cache.path.read_bytes())
    content[SIDE * SIDE * 3 + 5] ^= 1  # in the second image
    cache.path.write_bytes(content)
    data = dataset(images, tmp_path / 'cache')
    for index, path in enumerate(images):
        assert np.array_equal(face(data, index), read_image(path))
    assert caplog.text.count('damaged, and removed') == 1
    assert not cache.path.exists()


def test_a_ready_cache_on_a_read_only_disk_is_used(images: list[Path], tmp_path: Path):
    cache = in_a_process(make_cache, images, tmp_path / 'cache')
    (tmp_path / 'cache').chmod(0o555)
    for path in (tmp_path / 'cache').glob('*.lock'):
        path.unlink()
        path.mkdir()  # root may write anywhere, but not open a folder as a file
    assert make_cache(images, tmp_path / 'cache') == cache
    (tmp_path / 'cache').chmod(0o755)


def test_its_size_is_said_before_it_is_made(
    images: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    MMLogger.get_current_instance().addHandler(caplog.handler)
    cache = make_cache(images, tmp_path / 'cache')
    assert f'decoding 3 images into {cache.path}, 0 MB' in caplog.text


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


def test_a_cache_that_is_cut_off_while_in_use_trains_on_the_files(
    images: list[Path], tmp_path: Path
):
    data = dataset(images, tmp_path / 'cache')
    before = face(data, 1)
    [cache] = (tmp_path / 'cache').glob('*.u8')
    os.truncate(cache, 10)  # mapped pages beyond the end would kill the process
    assert (face(data, 1) == before).all()


def test_what_is_no_cache_of_ours_stays(images: list[Path], tmp_path: Path):
    folder = tmp_path / 'cache'
    assert make_cache(images, folder) is not None
    [lock] = folder.glob('*.lock')
    notes, mine = folder / f'{lock.stem}-notes.txt', tmp_path / 'mine.txt'
    for path in (notes, mine):
        path.write_text('mine')
    lock.unlink()
    lock.symlink_to(mine)
    assert make_cache(images[1:], folder) is None, 'a link is not followed'
    lock.unlink()
    os.mkfifo(lock)
    assert make_cache(images[1:], folder) is None, 'a pipe is not waited for'
    lock.unlink()
    os.mkfifo(folder / f'{lock.stem}-{"0" * 16}.u8')
    assert make_cache(images[1:], folder) is not None
    assert notes.read_text() == mine.read_text() == 'mine'
