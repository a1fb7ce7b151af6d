from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from facesr.data.dataset import BlindFaceDataset, FaceDataset
from facesr.errors import UserError
from facesr.images import write_png

GT = {'gt': 'train/GT'}


def test_pairs_are_packed_as_they_are(faces: Path):
    dataset = FaceDataset(str(faces), {'img': 'val/LQ', 'gt': 'val/GT'}, indices=1)
    [sample] = [dataset[index] for index in range(len(dataset))]
    assert sample['inputs'].shape == (3, 128, 128)
    assert sample['data_samples'].gt_img.shape == (3, 512, 512)
    assert sample['data_samples'].img_path.endswith('val/LQ/00000.png')


def test_other_keys_than_img_and_gt(tmp_path: Path):
    with pytest.raises(UserError, match="a folder for 'img', 'gt' or both expected"):
        FaceDataset(str(tmp_path), dict(lq='val/LQ'))


def test_wrong_size_names_file_and_sizes(tmp_path: Path, degradation):
    write_png(tmp_path / 'train/GT/a.png', np.zeros((8, 16, 3), np.uint8))
    with pytest.raises(UserError, match=r'a\.png: 16x8 pixels, 512x512 expected'):
        BlindFaceDataset(str(tmp_path), GT, asdict(degradation))[0]
