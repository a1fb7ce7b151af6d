import base64
import html
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from logged_runs import train_line, val_line, write_run
from PIL import Image

from facesr.errors import UserError
from facesr.images import list_images, read_image, write_png
from facesr.report.page import write_report
from facesr.restoring.score import bicubic

LINES = [train_line(10), val_line(10), train_line(20)]


def write_results(
    run: Path, name: str, folder: Path, truth: Path | None, **manifest: object
) -> None:
    """Results as tools/test.py leaves them, of a net that does what bicubic does."""
    for stem, path in list_images(folder).items():
        write_png(run / f'{name}/{stem}.png', bicubic(read_image(path), 512, 512))
    lines = ''.join(f'{stem}.png,,,9.5\n' for stem in list_images(folder))
    (run / f'{name}.csv').write_text(f'name,psnr,ssim,niqe\n{lines}')
    scores = {'psnr': 21.5, 'ssim': 0.6} if truth else {'niqe': 9.0}
    whole = dict(input=str(folder), gt=truth and str(truth), checkpoint='work/iter_20.pth')
    whole |= dict(bicubic={'psnr': 20.25, 'ssim': 0.5} if truth else None, images=2, ema=False)
    (run / f'{name}.json').write_text(json.dumps(whole | dict(scores=scores) | manifest))


@pytest.fixture
def run(tmp_path: Path, faces: Path) -> Path:
    folder = write_run(tmp_path / 'run', 'demo', LINES)
    write_results(folder, 'val', faces / 'val/LQ', faces / 'val/GT')
    return folder


def report(tmp_path: Path, *runs: Path, **options) -> str:
    files = write_report(runs, tmp_path / 'report', **options)
    assert all(path.is_file() for path in files) and files[-1].name == 'report.html'
    return files[-1].read_text('utf-8')


def pictures(page: str) -> list[Image.Image]:
    """Every picture of a page, which must hold them all itself."""
    assert not re.search(r'https?:|<script|<link|url\(|@import', page)
    sources = re.findall(r'<img src="([^"]*)"', page)
    assert len(sources) == page.count('<img') == page.count('src=')
    assert all(re.match(r'data:image/(png|jpeg);base64,', source) for source in sources)
    contents = [base64.b64decode(source.partition(',')[2]) for source in sources]
    return [Image.open(io.BytesIO(content)) for content in contents]


def test_a_page_holds_settings_curves_panels_and_scores(tmp_path: Path, run: Path):
    page = report(tmp_path, run)
    *columns, curves = pictures(page)
    assert len(columns) == 2 * 4 and len({column.size for column in columns}) == 1
    assert columns[0].format == 'JPEG'
    assert columns[0].width == 520 and 900 < columns[0].height < 1200
    alts = re.findall(r'alt="00000: (.*?)"', page)
    assert alts == ['input', 'output', 'ground truth', 'bicubic']  # on a telephone two in a row
    assert curves.format == 'PNG' and curves.width == 1600
    for text in ('Adam(', 'lr=0.002', '20 of 500', '0.4 s an iteration, 25.0% of it', 'seed'):
        assert text in page
    assert re.search(r'<td>bicubic</td>.*?20\.2500.*?0\.5000', page, re.DOTALL)
    assert re.search(r'<td>run</td>.*?21\.5000.*?0\.6000.*?iter_20\.pth', page, re.DOTALL)
    written = page.partition('<details>')[0]
    assert 'NIQE' not in written and 'random' not in written
    assert html.unescape(page.partition('<pre>')[2].partition('</pre>')[0]) == (
        run / 'demo.py'
    ).read_text('utf-8')
    panel = Image.open(tmp_path / 'report/panel_val.png')
    assert panel.width == 4 * 520 and 0 < panel.height - 2 * columns[0].height < 300


def test_runs_stand_side_by_side_where_they_restored_the_same(tmp_path: Path, run, faces):
    other = write_run(tmp_path / 'other', 'demo', LINES)
    write_results(other, 'val', faces / 'val/LQ', None)
    write_results(other, 'test', faces / 'test/LQ', None, ema=True, tta='flip', precision='bf16')
    page = report(tmp_path, run, other)
    *columns, _, _, _ = pictures(page)  # the curves: both, run, other
    # Input, two outputs, ground truth, bicubic; then input and output; of two images each.
    assert len(columns) == 2 * 5 + 2 * 2
    assert 'iter_20.pth (average of the weights) --tta flip --precision bf16' in page
    assert 'NIQE, lower is better' in page
    names = {path.name for path in (tmp_path / 'report').glob('[!.]*')}
    assert names == {
        'report.html',
        *(f'curves{run}.png' for run in ('', '_run', '_other')),
        *(f'panel_{name}.png' for name in ('val', 'test')),
    }


def test_lpips_is_in_the_table(tmp_path: Path, run: Path, faces: Path):
    scores, bicubic = {'psnr': 21.5, 'lpips_alex': 0.25}, {'psnr': 20.25, 'lpips_alex': 0.5}
    write_results(run, 'val', faces / 'val/LQ', faces / 'val/GT', scores=scores, bicubic=bicubic)
    page = report(tmp_path, run)
    assert 'LPIPS (AlexNet), lower is better' in page and 'VGG16' not in page
    assert re.search(r'<td>bicubic</td>.*?0\.5000.*?<td>run</td>.*?0\.2500', page, re.DOTALL)


def test_chosen_images_or_three_of_all(tmp_path: Path, run: Path):
    page = report(tmp_path, run, images=['00001'])
    assert len(pictures(page)) == 4 + 1 and 'alt="00001: output"' in page
    with pytest.raises(UserError, match=r"--images 0001: .*did you mean '00001'"):
        report(tmp_path, run, images=['0001'])
    folder = tmp_path / 'many'
    for index in range(10):
        write_png(folder / f'{index}.png', np.full((16, 16, 3), index, np.uint8))
    write_results(run, 'many', folder, None)
    assert re.findall(r'alt="(.): output"', report(tmp_path, run)) == ['0', '3', '6']


def test_a_name_is_text_wherever_it_stands(tmp_path: Path, faces: Path):
    name = '<b>bold'
    runs = [write_run(tmp_path / place, None, LINES) for place in ('x/y', f'z/{name}')]
    for folder in runs:
        write_results(folder, 'val', faces / 'val/LQ', faces / 'val/GT')
    page = report(tmp_path, *runs)
    assert len(pictures(page)) == 2 * 5 + 3, 'no column replaces another'
    assert f'<td>{html.escape(name)}</td>' in page
    assert '<b>' not in page


def test_a_run_without_results_and_without_validation(tmp_path: Path):
    folder = write_run(tmp_path / 'run', None, [train_line(10)])
    page = report(tmp_path, folder)
    assert len(pictures(page)) == 1 and 'No results yet' in page
    assert {path.name for path in (tmp_path / 'report').glob('[!.]*')} == {
        'report.html',
        'curves_run.png',
    }


def test_what_is_gone_is_said(tmp_path: Path, run: Path, faces: Path):
    write_results(run, 'moved', faces / 'val/LQ', faces / 'val/GT', input='/gone/LQ')
    write_results(run, 'truths', faces / 'test/LQ', None, gt='/gone/GT')
    (run / 'broken.json').write_text('{"input":')
    (run / 'foreign.json').write_text('[1]')
    page = report(tmp_path, run)
    assert 'The input folder /gone/LQ is no longer there' in page
    assert 'The ground truths are no longer where they were' in page
    assert not (tmp_path / 'report/panel_moved.png').exists()
    assert Image.open(tmp_path / 'report/panel_truths.png').width == 2 * 520


def test_random_vgg_layers_are_named_beside_pictures_and_losses(tmp_path: Path, faces: Path):
    options = {'model.perceptual_loss.pretrained': 'random'}
    gan = write_run(tmp_path / 'gan', 'srgan_26b', LINES, options=options)
    write_results(gan, 'val', faces / 'val/LQ', None)
    page = report(tmp_path, gan).replace('\n', ' ')
    warning = 'The perceptual loss of gan means nothing about perception'
    results, _, run = page.partition('Run: gan')
    assert warning in results and warning in run


def test_a_picture_stands_at_the_top(tmp_path: Path, run: Path, faces: Path):
    paths = [faces / 'val/GT/00000.png', faces / 'val/LQ/00000.png']  # of one stem
    page = report(tmp_path, run, pictures=paths)
    assert [picture.size for picture in pictures(page)[:2]] == [(512, 512), (128, 128)]
    assert page.index('alt="00000"') < page.index('Results: val')


def test_a_report_replaces_nothing_that_it_shows(tmp_path: Path, run: Path, faces: Path):
    picture = Path(shutil.copy(faces / 'val/GT/00000.png', tmp_path / 'curves_run.png'))
    lq = shutil.copytree(faces / 'val/LQ', tmp_path / 'lq')
    (lq / '00001.png').rename(lq / 'panel_val.png')
    write_results(run, 'val', lq, None)
    for out, shown in ((tmp_path, [picture]), (lq, []), (run / 'val', [])):
        with pytest.raises(UserError, match=r'(curves_run|panel_val)\.png: is an input'):
            write_report([run], out, overwrite=True, pictures=shown)
