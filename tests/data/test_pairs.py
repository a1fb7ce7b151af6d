from pathlib import Path

import numpy as np
import pytest

from facesr.data.pairs import degrade_folder
from facesr.degradation.settings import DegradationSettings
from facesr.errors import UserError
from facesr.images import read_image, write_png


def test_pairs_are_the_same_every_time(
    faces: Path, degradation: DegradationSettings, tmp_path: Path
):
    for name in 'ab':
        degrade_folder(faces / 'val/GT', tmp_path / name, degradation)
    # conftest's pairs have the seeds 0 and 1 too
    for stem in ('00000', '00001'):
        expected = read_image(faces / f'val/LQ/{stem}.png')
        for name in 'ab':
            np.testing.assert_array_equal(read_image(tmp_path / f'{name}/{stem}.png'), expected)


def test_nothing_is_replaced_and_every_size_is_checked(
    faces: Path, degradation: DegradationSettings, tmp_path: Path
):
    with pytest.raises(UserError, match=r'val/LQ/00000.png: was there before'):
        degrade_folder(faces / 'val/GT', faces / 'val/LQ', degradation)
    write_png(tmp_path / 'GT/a.png', np.zeros((512, 512, 3), np.uint8))
    write_png(tmp_path / 'GT/b.png', np.zeros((100, 90, 3), np.uint8))
    with pytest.raises(UserError, match=r'GT/b.png: 90x100 pixels, 512x512 expected'):
        degrade_folder(tmp_path / 'GT', tmp_path / 'LQ', degradation)
    assert not (tmp_path / 'LQ').exists()
