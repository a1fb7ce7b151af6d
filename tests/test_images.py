import os

import cv2
import numpy as np
import pytest
from PIL import Image

from facesr import images
from facesr.errors import UserError
from facesr.images import list_images, pair_images, read_image, write_png

RED = np.full((4, 6, 3), (255, 0, 0), np.uint8)


def test_a_folder_is_listed_and_read_as_rgb(tmp_path):
    write_png(tmp_path / 'new/Ä b.png', RED)
    np.testing.assert_array_equal(read_image(tmp_path / 'new/Ä b.png'), RED)
    for name in ('b.png', 'a.JPG', 'c.jpeg'):
        Image.fromarray(RED).save(tmp_path / f'new/{name}')
    (tmp_path / 'new/notes.txt').write_text('x')
    assert list(list_images(tmp_path / 'new')) == ['a', 'b', 'c', 'Ä b']


def test_pairs_match_by_stem_whatever_the_format(tmp_path):
    write_png(tmp_path / 'lq/1.png', RED)
    (tmp_path / 'gt').mkdir()
    Image.fromarray(RED).save(tmp_path / 'gt/1.jpg')
    [(stem, paths)] = pair_images({'img': tmp_path / 'lq', 'gt': tmp_path / 'gt'})
    assert (stem, paths['gt'].name) == ('1', '1.jpg')


def test_a_partner_that_is_missing_is_named(tmp_path):
    for name in ('lq/1.png', 'lq/2.png', 'gt/1.png', 'others/01.png'):
        write_png(tmp_path / name, RED)
    with pytest.raises(UserError, match=r"gt: 1 of 2 images are missing, the first is '2'"):
        pair_images({'img': tmp_path / 'lq', 'gt': tmp_path / 'gt'})
    with pytest.raises(UserError, match=r'lq and \S*others: no name is in both'):
        pair_images({'img': tmp_path / 'lq', 'gt': tmp_path / 'others'})


def test_missing_empty_and_doubled_folders(tmp_path):
    with pytest.raises(UserError, match='nowhere: no such folder'):
        list_images(tmp_path / 'nowhere')
    with pytest.raises(UserError, match='no PNG or JPEG file'):
        list_images(tmp_path)
    Image.fromarray(RED).save(tmp_path / 'a.png')
    Image.fromarray(RED).save(tmp_path / 'a.jpg')
    with pytest.raises(UserError, match=r'a\.png: same name as a\.jpg'):
        list_images(tmp_path)


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_truncated_file_is_refused_by_name(tmp_path, suffix: str):
    path = tmp_path / f'half.{suffix}'
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=rf'half\.{suffix}: not a readable image \(.*\); replace'):
        read_image(path)


def test_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / 'deep.png')
    cv2.imwrite(str(tmp_path / 'colour.png'), np.zeros((4, 4, 3), np.uint16))
    for name in ('deep', 'colour'):
        with pytest.raises(UserError, match=rf'{name}\.png: more than 8 bits a channel'):
            read_image(tmp_path / f'{name}.png')


@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'RGBA'])
def test_what_converts_without_loss_is_converted_and_said_once(tmp_path, mode: str, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(images, 'print_log', lambda text, *rest: said.append(text))
    monkeypatch.setattr(images, '_warned', set())
    white = np.full((4, 6, 3), 255, np.uint8)
    for name in ('a', 'b'):
        Image.fromarray(white).convert(mode).save(tmp_path / f'{name}.png')
        np.testing.assert_array_equal(read_image(tmp_path / f'{name}.png'), white)
    [line] = said
    assert line == f'{tmp_path}/a.png: {images.KINDS[mode]}, read as RGB, like all such files'


def test_grey_levels_and_palette_colours_are_kept(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(levels).save(tmp_path / 'grey.png')
    assert (read_image(tmp_path / 'grey.png') == levels[..., None]).all()
    Image.fromarray(RED).quantize(4).save(tmp_path / 'palette.png')
    np.testing.assert_array_equal(read_image(tmp_path / 'palette.png'), RED)


def test_what_has_no_one_rgb_is_refused(tmp_path):
    Image.new('RGBA', (4, 4), (9, 9, 9, 128)).save(tmp_path / 'alpha.png')
    Image.new('P', (4, 4)).save(tmp_path / 'palette.png', transparency=0)
    for name in ('alpha', 'palette'):
        with pytest.raises(UserError, match=rf'{name}\.png: is transparent somewhere; put it on'):
            read_image(tmp_path / f'{name}.png')
    Image.new('CMYK', (4, 4)).save(tmp_path / 'inks.jpg')
    with pytest.raises(UserError, match=r'inks\.jpg: CMYK pixels, RGB expected; convert it'):
        read_image(tmp_path / 'inks.jpg')


def test_without_permission_to_read(tmp_path, forbid):
    write_png(tmp_path / 'faces/a.png', RED)
    forbid(tmp_path / 'faces')
    with pytest.raises(UserError, match=r'faces/a\.png: may not be read; give yourself the perm'):
        read_image(tmp_path / 'faces/a.png')
    with pytest.raises(UserError, match='faces: may not be read; give yourself the permission'):
        list_images(tmp_path / 'faces')


def test_a_photograph_taken_sideways_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn clockwise
    Image.fromarray(RED).save(tmp_path / 'a.jpg', exif=exif)
    assert read_image(tmp_path / 'a.jpg').shape == cv2.imread(str(tmp_path / 'a.jpg')).shape
    assert read_image(tmp_path / 'a.jpg').shape == (6, 4, 3)


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='needs named pipes')
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'a.png')
    with pytest.raises(UserError, match=r'a\.png: not a regular file'):
        read_image(tmp_path / 'a.png')
    (tmp_path / 'b.png').mkdir()
    with pytest.raises(UserError, match=r'b\.png: not a regular file'):
        read_image(tmp_path / 'b.png')


@pytest.mark.parametrize('kind', ['EPS', 'WEBP', 'TIFF'])
def test_only_png_and_jpeg_are_opened_whatever_the_name(tmp_path, kind: str):
    Image.fromarray(RED).save(tmp_path / 'a.png', format=kind)
    with pytest.raises(UserError, match=r'a\.png: not a readable image \(none of PNG, JPEG\)'):
        read_image(tmp_path / 'a.png')


def test_a_telephones_jpeg_of_two_pictures_is_read(tmp_path):
    pictures = [Image.fromarray(RED)] * 2
    pictures[0].save(tmp_path / 'a.jpg', format='MPO', save_all=True, append_images=pictures[1:])
    assert read_image(tmp_path / 'a.jpg').shape == RED.shape
