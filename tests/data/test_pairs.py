from pathlib import Path

import numpy as np
import pytest
from conftest import TINY

from facesr.data.pairs import degrade_folder
from facesr.degradation.base import Degradation
from facesr.errors import UserError
from facesr.images import read_image, write_png


def test_pairs_are_the_same_every_time(tool_here, small_faces: Path, tmp_path: Path):
    """Both ground truths are one portrait, and conftest's pairs have the seeds 0 and 1 too."""
    result = tool_here(
        'degrade', TINY, small_faces / 'val/GT', '--out', tmp_path / 'LQ', '--seed', '1'
    )
    assert result.returncode == 0, result.stderr
    made = (read_image(tmp_path / f'LQ/0000{number}.png') for number in range(2))
    expected = read_image(small_faces / 'val/LQ/00001.png')
    assert [bool((lq == expected).all()) for lq in made] == [True, False]


def test_nothing_is_replaced_and_every_size_is_checked(
    faces: Path, degradation: Degradation, tmp_path: Path
):
    with pytest.raises(UserError, match=r'val/LQ/00000.png: was there before'):
        degrade_folder(faces / 'val/GT', faces / 'val/LQ', degradation)
    write_png(tmp_path / 'GT/a.png', np.zeros((512, 512, 3), np.uint8))
    write_png(tmp_path / 'GT/b.png', np.zeros((100, 90, 3), np.uint8))
    with pytest.raises(UserError, match=r'GT/b.png: 90x100 pixels, 512x512 expected'):
        degrade_folder(tmp_path / 'GT', tmp_path / 'LQ', degradation)
    assert not (tmp_path / 'LQ').exists()
