import shutil
from pathlib import Path

import numpy as np
from conftest import ROOT

from facesr.data.check import check_data
from facesr.images import write_png


def test_all_problems_are_listed_at_once(faces: Path, tmp_path: Path):
    root = tmp_path / 'faces'
    assert check_data(faces) == ({'train/GT': 4, 'val/GT': 2, 'val/LQ': 2, 'test/LQ': 2}, [])
    shutil.copytree(faces, root)
    (root / 'train/GT/00001.png').write_bytes(b'not a picture')
    write_png(root / 'train/GT/00002.png', np.zeros((64, 64, 3), np.uint8))
    (root / 'val/GT/00001.png').unlink()
    shutil.copy(root / 'val/GT/00000.png', root / 'val/GT/00000.jpg')
    shutil.copy(root / 'val/GT/00000.png', root / 'val/GT/00002.png')
    shutil.rmtree(root / 'test')  # no training needs it
    write_png(root / 'train/GT/below/large.png', np.zeros((600, 700, 3), np.uint8))
    write_png(root / 'train/GT/below/small.png', np.zeros((600, 64, 3), np.uint8))
    _, problems = check_data(root)
    text = '\n'.join(problems)
    assert len(problems) == 6, text
    assert 'train/GT/below/small.png: 64x600 pixels, 512x512 expected' in text
    assert 'train/GT/00001.png: not a readable image' in text
    assert 'train/GT/00002.png: 64x64 pixels, 512x512 expected' in text
    assert 'val/LQ/00001.png: no ground truth in val/GT' in text
    assert 'val/GT/00002.png: no input in val/LQ' in text
    assert 'val/GT/00000.png: same name as 00000.jpg' in text


def test_a_config_has_the_sizes(faces: Path, tool_here):
    config = faces / 'small.py'
    config.write_text(
        f"_base_ = ['{ROOT}/configs/face_unet.py']\n"
        'train_dataloader = dict(dataset=dict(degradation=dict(lq_size=64)))\n'
    )
    done = tool_here('check_data', faces, '--config', config)
    config.unlink()
    assert f'{faces}/val/LQ/00000.png: 128x128 pixels, 64x64 expected' in done.stdout
    assert 'val/GT/00000.png' not in done.stdout and done.returncode == 1
    assert tool_here('check_data', faces).stdout.endswith('all well\n')


def test_a_config_that_makes_its_inputs_needs_none(faces: Path, tmp_path: Path, tool_here):
    root = shutil.copytree(faces, tmp_path / 'faces', ignore=shutil.ignore_patterns('LQ'))
    done = tool_here('check_data', root, '--config', ROOT / 'configs/face_photo.py')
    assert done.stdout.endswith('all well\n'), done.stdout
    assert f'{root}/val/LQ: no such folder' in tool_here('check_data', root).stdout
