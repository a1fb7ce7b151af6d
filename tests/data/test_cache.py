from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from mmengine.logging import MMLogger

from facesr.config import load_config
from facesr.data.cache import ImageCache, make_cache
from facesr.data.dataset import BlindFaceDataset
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
    return data[index].gt.numpy()


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


def make(images: list[Path], folder: Path) -> ImageCache | None:
    return make_cache(images, folder, read_image)


def test_changed_data_makes_a_new_cache(images: list[Path], tmp_path: Path):
    first = make(images, tmp_path / 'cache')
    assert make(images, tmp_path / 'cache') == first
    write_png(images[1], np.zeros((SIDE, SIDE, 3), np.uint8))
    second = make(images, tmp_path / 'cache')
    assert second != first and not second.read(1).any()
    assert np.array_equal(first.read(2), second.read(2))


def test_images_of_several_sizes(images: list[Path], tmp_path: Path):
    write_png(images[1], np.full((8, 16, 3), 7, np.uint8))
    cache = make(images, tmp_path / 'cache')
    for index, path in enumerate(images):
        assert np.array_equal(cache.read(index), read_image(path))


def test_an_interrupted_one_is_made_again(images: list[Path], tmp_path: Path):
    def interrupt(path: Path) -> np.ndarray:
        if path == images[2]:
            raise KeyboardInterrupt
        return read_image(path)

    with pytest.raises(KeyboardInterrupt):
        make_cache(images, tmp_path / 'cache', interrupt)
    assert not list((tmp_path / 'cache').iterdir())
    assert np.array_equal(make(images, tmp_path / 'cache').read(2), read_image(images[2]))


def test_a_folder_that_cannot_be_written_falls_back_to_decoding(
    images: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    MMLogger.get_current_instance().addHandler(caplog.handler)
    folder = tmp_path / 'cache'
    folder.write_text('')  # a file where the folder would be made
    faces = dataset(images, folder)
    assert np.array_equal(face(faces, 2), read_image(images[2]))
    assert 'each is decoded again for every sample' in caplog.text


def test_another_size_is_named_and_nothing_is_left(images: list[Path], tmp_path: Path):
    write_png(images[2], np.zeros((8, 16, 3), np.uint8))
    with pytest.raises(UserError, match=r'c\.png: 16x8 pixels, 48x48 expected'):
        dataset(images, tmp_path / 'cache')
    assert not list((tmp_path / 'cache').iterdir())
