"""tools/report.py, as a user types it, after a real training and test of the tiny net."""

import json
import re
from pathlib import Path

import pytest
from conftest import TINY
from PIL import Image


def test_report_of_a_real_run(tool_here, tiny_options: list[str], faces: Path, tmp_path: Path):
    work = tmp_path / 'work'
    result = tool_here('train', TINY, '--work-dir', work, '--cfg-options', *tiny_options)
    assert result.returncode == 0, result.stderr
    folders = ['--input', faces / 'val/LQ', '--gt', faces / 'val/GT']
    result = tool_here('test', TINY, work / 'iter_4.pth', *folders, '--out', work / 'results')
    assert result.returncode == 0, result.stderr
    manifest = json.loads((work / 'results.json').read_text())
    assert manifest['input'] == str(faces / 'val/LQ') and manifest['images'] == 2
    assert f'PSNR {manifest["scores"]["psnr"]:.4f} dB' in result.stdout
    assert f'bicubic: PSNR {manifest["bicubic"]["psnr"]:.4f} dB' in result.stdout

    result = tool_here('report', work, '--crop', 'all=0,0,512,512', '--images', '00001')
    assert result.returncode == 0, result.stderr
    out = work / 'report'
    names = ['curves_work.png', 'panel_results.png', 'report.html']
    assert result.stdout.splitlines() == [str(out / name) for name in names]
    page = (out / 'report.html').read_text()
    for text in (
        '4 of 4',
        '2 images',
        f'{manifest["scores"]["psnr"]:.4f}',
        'SRResNet(',
        'L1Loss',
    ):
        assert text in page
    # The whole face twice, and lines of text.
    assert 2 * 512 < Image.open(out / 'panel_results.png').height < 2 * 512 + 200


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere'], 'error: .*nowhere: no such folder'),
        (['tests', '--crop', 'eyes=600,0,1,1'], 'error: --crop eyes=600,0,1,1: not inside'),
    ],
)
def test_a_mistake_is_one_line(tool_here, tmp_path: Path, arguments: list[str], message: str):
    result = tool_here('report', *arguments, '--out', tmp_path / 'out')
    assert result.returncode == 1 and 'Traceback' not in result.stderr
    assert re.search(message, result.stderr) and not (tmp_path / 'out').exists()
