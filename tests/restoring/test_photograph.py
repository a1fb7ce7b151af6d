import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from facesr.errors import UserError
from facesr.images import read_image, write_png
from facesr.restoring.alignment import place_frame, warp_mask
from facesr.restoring.detector import Face
from facesr.restoring.photograph import (
    FACE_PHOTO,
    TO_TRAIN_ON,
    Options,
    PhotographRestorer,
    cut_faces,
    restore_photographs,
)
from facesr.restoring.score import bicubic

pytest.importorskip('facenet_pytorch', reason='needs: bash scripts/setup.sh photos')

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


@pytest.fixture(scope='module')
def restorer() -> PhotographRestorer:
    return PhotographRestorer(device='cpu')


@pytest.fixture(scope='module')
def truth() -> np.ndarray:
    """Two astronauts on a table, (800, 1200, 3)."""
    table = cv2.resize(data.coffee(), (1200, 800))
    for side, top, left in ((300, 40, 40), (512, 260, 600)):
        astronaut = cv2.resize(data.astronaut(), (side, side), interpolation=cv2.INTER_AREA)
        table[top : top + side, left : left + side] = astronaut
    return table


@pytest.fixture(scope='module')
def degraded(truth: np.ndarray) -> np.ndarray:
    small = cv2.resize(truth, (600, 400), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), 0.8)
    code = cv2.imencode('.jpg', blurred, [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    return cv2.imdecode(code, cv2.IMREAD_COLOR)


def masks(faces: list[Face], scale: int, width: int, height: int) -> list[np.ndarray]:
    return [warp_mask(512, place_frame(face, scale, 512), width, height) for face in faces]


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((image.astype(float) - truth) ** 2))


def test_both_faces_are_restored_and_the_rest_is_enlarged(restorer, truth, degraded):
    done = []
    result = restorer.restore(degraded, on_progress=lambda *step: done.append(step))
    assert done == [('faces', 0, 2), ('faces', 2, 2)]
    assert len(result.faces) == 2 and result.faces[0].width > result.faces[1].width
    for images in (result.before, result.restored):
        assert [image.shape for image in images] == [(512, 512, 3)] * 2
    enlarged = bicubic(degraded, 800, 1200)
    mine = masks(result.faces, 2, 1200, 800)
    for mask in mine:
        inside = mask > 0.5
        assert psnr(result.image[inside], truth[inside]) > psnr(enlarged[inside], truth[inside]) + 1
    outside = np.max(mine, axis=0) == 0
    assert 0.5 < outside.mean() < 1
    np.testing.assert_array_equal(result.image[outside], enlarged[outside])


def test_strength_blends_with_the_enlarged_photograph(restorer, degraded):
    none, half, full = (
        restorer.restore(degraded, Options(strength=strength)).image.astype(int)
        for strength in (0, 0.5, 1)
    )
    np.testing.assert_array_equal(none, bicubic(degraded, 800, 1200))
    assert np.abs(half - (none + full) / 2).max() <= 1
    assert np.abs(full - none).max() > 20


def test_the_look_blends_a_faithful_and_a_sharp_face(restorer, truth, degraded):
    results = [restorer.restore(degraded, Options(look=look)) for look in (0, 0.5, 1)]
    faithful, half, sharp = (result.restored[1].astype(int) for result in results)
    assert np.abs(half - (faithful + sharp) / 2).max() <= 1
    detail = [cv2.Laplacian(face.astype(np.float32), -1).var() for face in (faithful, sharp)]
    assert detail[1] > 1.5 * detail[0]
    inside = masks(results[0].faces, 2, 1200, 800)[1] > 0.5
    exact = [psnr(result.image[inside], truth[inside]) for result in results]
    assert exact[0] > exact[2]
    # By default half of both; the sharp net knows nothing of weights of one's own.
    for own, like in ((restorer, results[1]), (PhotographRestorer(FACE_PHOTO, 'cpu'), results[0])):
        np.testing.assert_array_equal(own.restore(degraded).image, like.image)


@pytest.mark.parametrize('scale', [1, 4])
def test_scales(restorer, degraded, scale: int):
    result = restorer.restore(degraded, Options(scale=scale, only_largest=True))
    assert len(result.faces) == 1
    height, width = 400 * scale, 600 * scale
    enlarged = bicubic(degraded, height, width)
    assert result.image.shape == enlarged.shape
    [mask] = masks(result.faces, scale, width, height)
    np.testing.assert_array_equal(result.image[mask == 0], enlarged[mask == 0])
    # In its place: shifted by a pixel of the photograph, it fits less well.
    inside = mask == 1
    near = [
        psnr(np.roll(result.image, shift, (0, 1))[inside], enlarged[inside])
        for shift in ((0, 0), (scale, 0), (-scale, 0), (0, scale), (0, -scale))
    ]
    assert near[0] == max(near)


def test_the_background_by_the_net(restorer, truth, degraded):
    """Noise goes there too; tiles show no seam; the faces are the same."""
    noise = np.random.default_rng(0).normal(0, 12, degraded.shape)
    noisy = np.clip(degraded + noise, 0, 255).astype(np.uint8)
    plain = restorer.restore(noisy)
    by_net = restorer.restore(noisy, Options(background='net'))
    *inside, outside = *masks(plain.faces, 2, 1200, 800), np.ones((800, 1200))
    for mask in inside:
        np.testing.assert_array_equal(by_net.image[mask == 1], plain.image[mask == 1])
        outside[mask > 0] = 0
    table = outside == 1
    assert psnr(by_net.image[table], truth[table]) > psnr(plain.image[table], truth[table]) + 2
    steps, expected = (
        np.abs(np.diff(image.astype(int), axis=1)).mean((0, 2)) for image in (by_net.image, truth)
    )
    for end in (448, 511, 688, 751):  # of what two tiles share
        assert max(steps[end - 1 : end + 1] - expected[end - 1 : end + 1]) < 0.4


def test_a_result_of_too_many_pixels_is_refused(restorer):
    photograph = np.zeros((5000, 3000, 3), np.uint8)
    with pytest.raises(UserError, match=r'^3000x5000 pixels .* 240 million, 200 million is the'):
        restorer.restore(photograph, Options(scale=4))


@pytest.mark.parametrize('quarters', [1, 2, 3])
def test_a_turned_photograph_is_restored_as_an_upright_one(restorer, truth, quarters: int):
    upright = restorer.restore(truth[200:, 500:])
    turned = restorer.restore(np.rot90(truth[200:, 500:], quarters).copy())
    assert len(turned.faces) == 1
    back = np.rot90(turned.image, -quarters).astype(int)
    assert np.abs(back - upright.image).mean() < 0.2


def test_a_face_that_is_too_small_is_told(restorer, degraded):
    result = restorer.restore(degraded, Options(min_face=90))
    assert re.fullmatch(r'no face found; --min-face \d\d would find 2', result.summary)


def test_a_sharp_large_face_keeps_its_detail(restorer):
    """The net sees a quarter of its pixels; what it does not change stays."""
    photograph = cv2.resize(data.astronaut()[:240, 100:340], (720, 720))
    result = restorer.restore(photograph, Options(scale=1))
    [mask] = masks(result.faces, 1, 720, 720)
    assert psnr(result.image[mask > 0.5], photograph[mask > 0.5]) > 33


def test_files(restorer, degraded, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A folder with a bad file, a photograph without a face, a sideways one."""
    folder, out = tmp_path / 'in', tmp_path / 'out'
    write_png(folder / 'below/coffee.png', data.coffee()[:100, :120].copy())
    (folder / 'notes.txt').touch()
    (folder / 'broken.jpg').write_bytes(b'no image')
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees to the right
    Image.fromarray(np.rot90(degraded).copy()).save(
        folder / 'sideways.jpg', exif=exif, icc_profile=PROFILE
    )
    Image.fromarray(data.astronaut()[..., 0].copy()).save(folder / 'grey.png')
    with pytest.raises(UserError, match=r'^1 of 4 photographs failed; they are named above'):
        restore_photographs(restorer, [folder], out, Options(), tmp_path / 'faces')
    said = capsys.readouterr().out
    assert f'error: {folder}/broken.jpg: not a readable image' in said
    assert f'left out, no photographs: 1 files: {folder}/notes.txt' in said
    assert f'{out}/below/coffee.png: no face found' in said
    assert f'{out}/sideways.jpg: 2 faces' in said
    assert f'{out}/grey.png: 1 face' in said
    made = {str(path.relative_to(out)) for path in out.rglob('*.*g')}
    assert made == {'below/coffee.png', 'grey.png', 'sideways.jpg'}
    np.testing.assert_array_equal(
        read_image(out / 'below/coffee.png'), bicubic(data.coffee()[:100, :120].copy(), 200, 240)
    )
    assert read_image(out / 'sideways.jpg').shape == (800, 1200, 3)
    with Image.open(out / 'sideways.jpg') as image:
        assert image.info['icc_profile'] == PROFILE
    with Image.open(out / 'grey.png') as image:
        assert image.mode == 'L' and image.size == (1024, 1024)
    faces = {path.name for path in (tmp_path / 'faces').glob('*.png')}
    assert faces == {'grey.png', 'sideways.png', 'sideways_2.png'}


def test_what_was_done_with_the_same_options_is_left_out(restorer, tmp_path: Path, capsys):
    for name in ('a', 'b', 'c'):
        write_png(tmp_path / f'in/{name}.png', data.coffee()[:40, :60].copy())
    out, photographs = tmp_path / 'out', [tmp_path / 'in']
    restore_photographs(restorer, photographs[:1], out)
    (out / 'a.png').unlink()
    write_png(tmp_path / 'in/b.png', data.coffee()[:40, :80].copy())
    capsys.readouterr()
    restore_photographs(restorer, photographs, out, resume=True)
    said = capsys.readouterr().out
    assert '1 of 3 photographs done before' in said and 'c.png' not in said
    assert read_image(out / 'a.png').shape == (80, 120, 3)
    assert read_image(out / 'b.png').shape == (80, 160, 3)
    restore_photographs(restorer, photographs, out, Options(scale=1), resume=True)
    assert '0 of 3 photographs done before' in capsys.readouterr().out


def test_no_photograph_is_replaced(restorer, tmp_path: Path):
    pixels = data.coffee()[:40, :60].copy()
    for name in ('a.png', 'b.png', 'other/a.png', 'b.jpg', 'c.bmp'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob('*.*')}
    for _ in range(2):  # earlier results are no photographs
        restore_photographs(restorer, [tmp_path])
    restore_photographs(restorer, [tmp_path / 'a.png'], tmp_path, Options(scale=1))
    assert all(path.read_bytes() == content for path, content in before.items())
    made = {str(path.relative_to(tmp_path)) for path in {*tmp_path.rglob('[!.]*.*g')} - set(before)}
    assert made == {
        *('a_restored.png', 'b_restored.jpg', 'b_png_restored.png', 'c_restored.png'),
        'other/a_restored.png',
    }
    alike = [tmp_path / 'a.png', tmp_path / 'other/a.png']
    restore_photographs(restorer, alike, tmp_path / 'out', suffix='.webp')
    assert {path.name for path in (tmp_path / 'out').glob('a*')} == {'a.webp', 'a_png.webp'}
    for folder in (tmp_path, tmp_path / 'out'):
        with pytest.raises(UserError, match=r'^--faces .*: holds photographs or results; choose'):
            restore_photographs(restorer, [tmp_path / 'a.png'], tmp_path / 'out', faces=folder)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match=r'empty: no photograph in it$'):
        restore_photographs(restorer, [tmp_path / 'empty'])


def test_cut_faces(degraded, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_png(tmp_path / 'two.png', degraded)
    write_png(tmp_path / 'none.png', data.coffee())
    cut_faces([tmp_path], tmp_path / 'all', size=512, device='cpu')
    assert {path.name for path in (tmp_path / 'all').glob('*.png')} == {'two.png', 'two_2.png'}
    assert read_image(tmp_path / 'all/two.png').shape == (512, 512, 3)
    assert f'{tmp_path}/none.png: no face found' in capsys.readouterr().out
    cut_faces([tmp_path / 'two.png'], tmp_path / 'one', only_largest=True, device='cpu')
    [path] = (tmp_path / 'one').glob('*.png')
    assert read_image(path).shape == (128, 128, 3)
    with pytest.raises(UserError, match=r'^no face found$'):
        cut_faces([tmp_path / 'none.png'], tmp_path / 'one', device='cpu')
    assert capsys.readouterr().out.endswith('0 faces written, 0 left out\n')
    with pytest.raises(UserError, match=r'^1 of 1 photographs failed'):
        cut_faces([tmp_path / 'two.png'], tmp_path, device='cpu')
    assert f'{tmp_path}/two.png: is an input; choose' in capsys.readouterr().out


def test_faces_to_train_on_are_large_and_sharp(tmp_path, capsys):
    head = data.astronaut()[:240, 100:340]
    large, small = (cv2.resize(head, (side, side)) for side in (720, 400))
    both = np.hstack([large, np.pad(small, ((0, 320), (0, 0), (0, 0)))])
    write_png(tmp_path / 'blurred.png', cv2.GaussianBlur(both, (0, 0), 4))
    with pytest.raises(UserError, match=r'^no face is large and sharp enough$'):
        cut_faces([tmp_path / 'blurred.png'], tmp_path / 'out', 512, **TO_TRAIN_ON, device='cpu')
    said = capsys.readouterr().out
    assert re.search(r'blurred.png: face 1 left out, blurred: \d+ \(--min-sharpness 40\)', said)
    assert re.search(r'blurred.png: face 2 left out, 1\d\d pixels wide \(--min-face 200\)', said)
    assert not (tmp_path / 'out').exists()

    cut_faces([tmp_path / 'blurred.png'], tmp_path / 'out', 512, 200, 1, device='cpu')
    assert [path.name for path in (tmp_path / 'out').glob('*.png')] == ['blurred.png']
    for value in (math.nan, math.inf, -1):
        with pytest.raises(UserError, match=f'--min-sharpness {value}: a number, at least 0, exp'):
            cut_faces([Path('a.png')], Path('out'), min_sharpness=value)
