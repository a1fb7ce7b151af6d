"""Photographs of every format, read and written again; the stack's own portrait."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from facesr.errors import UserError
from facesr.restoring.formats import (
    list_photographs,
    read_photograph,
    readable_formats,
    write_photograph,
)

PORTRAIT = data.astronaut()[:160, 140:260].copy()
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
TAKEN, MAKER, SETTINGS, PLACE = 0x9003, 0x010F, 0x8769, 0x8825


def camera() -> bytes:
    exif = Image.Exif()
    exif[MAKER], exif[0x0112] = 'Maker', 6  # turn it by 90 degrees to the right
    exif[SETTINGS] = {TAKEN: '2020:01:02 03:04:05', 0x927C: b'its own notes', 0xA002: 160}
    exif[PLACE] = {1: 'N', 2: (1.0, 2.0, 3.0)}
    return exif.tobytes()


@pytest.mark.parametrize('kept', ['jpg', 'png', 'tif', 'webp'])
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp', 'avif', 'heic'])
def test_date_camera_and_profile_are_kept_and_the_orientation_is_applied(
    suffix: str, kept: str, tmp_path: Path
):
    readable_formats()  # registers HEIC
    if suffix == 'heic':
        pytest.importorskip('pillow_heif', reason='needs: bash scripts/setup.sh photos')
    lying = Image.fromarray(np.rot90(PORTRAIT).copy())
    lying.save(tmp_path / f'a.{suffix}', exif=camera(), icc_profile=PROFILE, quality=95)
    photograph = read_photograph(tmp_path / f'a.{suffix}')
    assert photograph.pixels.shape == PORTRAIT.shape and not photograph.notes
    assert np.abs(photograph.pixels.astype(int) - PORTRAIT).mean() < 3
    write_photograph(tmp_path / f'b.{kept}', photograph.pixels, photograph)
    with Image.open(tmp_path / f'b.{kept}') as image:
        assert image.size == PORTRAIT.shape[1::-1] and image.info['icc_profile'] == PROFILE
        exif = image.getexif()
        assert exif[MAKER] == 'Maker' and exif.get(0x0112, 1) == 1
        assert dict(exif.get_ifd(SETTINGS)) == {TAKEN: '2020:01:02 03:04:05'}
        assert exif.get_ifd(PLACE)[2] == (1.0, 2.0, 3.0)
        written = np.asarray(image.convert('RGB')).astype(int)
    assert np.abs(written - photograph.pixels).mean() < (3 if kept in ('jpg', 'webp') else 1e-9)


def test_what_is_converted_is_said(tmp_path: Path):
    grey = cv2.cvtColor(PORTRAIT, cv2.COLOR_RGB2GRAY)
    deep = PORTRAIT.astype(np.uint16) * 256 + 255
    cv2.imwrite(str(tmp_path / 'deep.tif'), deep[..., ::-1])
    Image.fromarray(deep[..., 0].copy()).save(tmp_path / 'deep.png')
    Image.fromarray(grey).save(tmp_path / 'grey.bmp')
    Image.fromarray(PORTRAIT).convert('CMYK').save(tmp_path / 'cmyk.jpg', quality=95)
    pictures = [Image.fromarray(PORTRAIT[..., way]) for way in ([0, 1, 2], [2, 1, 0])]
    pictures[0].save(tmp_path / 'two.tif', save_all=True, append_images=pictures[1:])
    sixteen = ('16 bits a channel, read as 8',)
    for name, expected, notes in (
        ('deep.tif', PORTRAIT, sixteen),
        ('deep.png', np.dstack([PORTRAIT[..., 0]] * 3), sixteen),
        ('grey.bmp', np.dstack([grey] * 3), ()),
        ('two.tif', PORTRAIT, ('only its first picture',)),
        ('cmyk.jpg', PORTRAIT, ('CMYK, read as RGB',)),
    ):
        photograph = read_photograph(tmp_path / name)
        assert photograph.notes == notes, name
        difference = np.abs(photograph.pixels.astype(int) - expected).mean()
        assert difference < (3 if name == 'cmyk.jpg' else 1e-9), name
    Image.fromarray(grey.astype(np.float32)).save(tmp_path / 'float.tif')
    with pytest.raises(UserError, match=r'float\.tif: floating-point pixels; convert it$'):
        read_photograph(tmp_path / 'float.tif')


@pytest.mark.parametrize('kept', ['png', 'tif', 'webp', 'jpg'])
def test_transparency_is_kept_or_put_on_white(kept: str, tmp_path: Path):
    alpha = np.full(PORTRAIT.shape[:2], 255, np.uint8)
    alpha[:40] = 0
    Image.fromarray(np.dstack([PORTRAIT, alpha])).save(tmp_path / 'a.png')
    photograph = read_photograph(tmp_path / 'a.png')
    np.testing.assert_array_equal(photograph.alpha, alpha)
    larger = np.repeat(np.repeat(photograph.pixels, 2, 0), 2, 1)
    write_photograph(tmp_path / f'b.{kept}', larger, photograph)
    again = read_photograph(tmp_path / f'b.{kept}')
    if kept == 'jpg':
        assert again.alpha is None and again.pixels[:70].min() > 240
    else:
        assert again.alpha[:70].max() == 0 and again.alpha[90:].min() == 255


def test_folders_are_listed_with_their_sub_folders_and_every_name_is_another(tmp_path: Path):
    for name in ('b.jpg', 'a.PNG', 'a.jpg', 'd/a.b.heic', '.hidden.png', 'notes.txt', 'out/a.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names, left_out = list_photographs([tmp_path, tmp_path / 'd/a.b.heic'], [tmp_path / 'out'])
    assert {str(path.relative_to(tmp_path)): str(name) for path, name in names.items()} == {
        'a.PNG': 'a',
        'a.jpg': 'a_jpg',
        'b.jpg': 'b',
        'd/a.b.heic': 'd/a.b',
    }
    assert left_out == [tmp_path / 'notes.txt']
