from pathlib import Path

import numpy as np
import pytest

from facesr.data.check import check_data
from facesr.data.demo import make_demo_set
from facesr.errors import UserError
from facesr.images import write_png


def test_demo_set_is_complete_and_holds_the_portrait_out(tmp_path, degradation):
    make_demo_set(tmp_path, degradation)
    counts, problems = check_data(tmp_path)
    assert problems == []
    assert counts['train/GT'] == 14 and counts['val/LQ'] == 16
    assert not list((tmp_path / 'train/GT').glob('astronaut*'))


def test_the_demo_set_never_goes_among_other_faces(tmp_path: Path, degradation):
    write_png(tmp_path / 'train/GT/mine.png', np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UserError, match=r'train/GT/mine\.png: was there before'):
        make_demo_set(tmp_path, degradation)
    assert [path.name for path in tmp_path.rglob('*.png')] == ['mine.png']
