from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from facesr.data.dataset import BlindFaceDataset, FaceDataset
from facesr.data.loader import SampleKey
from facesr.errors import UserError
from facesr.images import write_png

GT = {'gt': 'train/GT'}


def test_training_sample_is_a_degraded_copy_of_its_ground_truth(faces: Path, degradation):
    dataset = BlindFaceDataset(str(faces), GT, asdict(degradation))
    assert [item['key'] for item in map(dataset.get_data_info, range(4))] == [
        f'{index:05d}' for index in range(4)
    ]
    sample = dataset[SampleKey(0, 0, 0)]
    lq, gt = sample['inputs'], sample['data_samples'].gt_img
    assert lq.shape == (3, 128, 128) and gt.shape == (3, 512, 512)
    # A degraded copy: alike when both are shrunk to 16 pixels, not equal.
    shrunk = [
        image.float().reshape(3, 16, image.shape[1] // 16, 16, -1).mean((2, 4))
        for image in (lq, gt)
    ]
    assert 0 < (shrunk[0] - shrunk[1]).abs().mean() < 4


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
        BlindFaceDataset(str(tmp_path), GT, asdict(degradation))[SampleKey(0, 0, 0)]
