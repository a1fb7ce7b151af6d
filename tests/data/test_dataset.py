import random
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY

from facesr.config import load_config
from facesr.data import FaceDataset, LoadFace, write_png
from facesr.errors import UserError


def test_training_sample_is_a_degraded_copy_of_its_ground_truth(faces: Path):
    config = load_config(TINY).train_dataloader.dataset
    dataset = FaceDataset(
        data_root=str(faces), data_prefix=config.data_prefix, pipeline=config.pipeline
    )
    assert [item['key'] for item in map(dataset.get_data_info, range(4))] == [
        f'{index:05d}' for index in range(4)
    ]
    random.seed(0)
    np.random.seed(0)
    sample = dataset[0]
    lq, gt = sample['inputs'], sample['data_samples'].gt_img
    assert lq.shape == (3, 128, 128) and gt.shape == (3, 512, 512)
    # A degraded copy: alike when both are shrunk to 16 pixels, not equal.
    shrunk = [
        image.float().reshape(3, 16, image.shape[1] // 16, 16, -1).mean((2, 4))
        for image in (lq, gt)
    ]
    assert 0 < (shrunk[0] - shrunk[1]).abs().mean() < 4


def test_crops_are_cut_from_the_same_place(faces: Path):
    config = load_config(TINY, ['train_dataloader.dataset.pipeline.1.gt_patch_size=64'])
    config = config.train_dataloader.dataset
    # No degradation but the shrinking: input and ground truth must then agree.
    pipeline = config.pipeline
    pipeline[1].update(chain=pipeline[1].chain[5:], on='loader')
    dataset = FaceDataset(data_root=str(faces), data_prefix=config.data_prefix, pipeline=pipeline)
    sample = dataset[0]
    lq, gt = sample['inputs'].float(), sample['data_samples'].gt_img.float()
    assert lq.shape == (3, 16, 16) and gt.shape == (3, 64, 64)
    assert (gt.reshape(3, 16, 4, 16, 4).mean((2, 4)) - lq).abs().max() <= 0.51


def test_missing_folder_names_it(tmp_path: Path):
    with pytest.raises(UserError, match=r'train/GT: no such folder; data/README\.md'):
        FaceDataset(data_root=str(tmp_path), data_prefix=dict(gt='train/GT'))


def test_other_keys_than_img_and_gt(tmp_path: Path):
    with pytest.raises(UserError, match="a folder for 'img', 'gt' or both expected"):
        FaceDataset(data_root=str(tmp_path), data_prefix=dict(lq='val/LQ'))


def test_wrong_size_names_file_and_sizes(tmp_path: Path):
    write_png(tmp_path / 'a.png', np.zeros((8, 16, 3), np.uint8))
    with pytest.raises(UserError, match=r'a\.png: 16x8 pixels, 512x512 expected'):
        LoadFace('gt', size=512)({'gt_path': str(tmp_path / 'a.png')})
