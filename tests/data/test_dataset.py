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


def test_crops_are_cut_from_the_same_place(faces: Path, degradation):
    whole, cropped = (
        BlindFaceDataset(str(faces), GT, asdict(degradation), gt_patch_size=size, flip_ratio=0)
        for size in (512, 64)
    )
    key = SampleKey(1, 0, 5)
    sample, crop = whole[key], cropped[key]
    assert crop['inputs'].shape == (3, 16, 16)
    windows = sample['data_samples'].gt_img.unfold(1, 64, 4).unfold(2, 64, 4)
    same = (windows == crop['data_samples'].gt_img[:, None, None]).all(-1).all(-1).all(0)
    [[top, left]] = same.nonzero().tolist()
    assert (sample['inputs'][:, top : top + 16, left : left + 16] == crop['inputs']).all()


def test_pairs_are_packed_as_they_are(faces: Path):
    dataset = FaceDataset(str(faces), {'img': 'val/LQ', 'gt': 'val/GT'}, indices=1)
    [sample] = [dataset[index] for index in range(len(dataset))]
    assert sample['inputs'].shape == (3, 128, 128)
    assert sample['data_samples'].gt_img.shape == (3, 512, 512)
    assert sample['data_samples'].img_path.endswith('val/LQ/00000.png')


def test_missing_folder_names_it(tmp_path: Path):
    with pytest.raises(UserError, match=r'train/GT: no such folder; data/README\.md'):
        FaceDataset(str(tmp_path), GT)


def test_other_keys_than_img_and_gt(tmp_path: Path):
    with pytest.raises(UserError, match="a folder for 'img', 'gt' or both expected"):
        FaceDataset(str(tmp_path), dict(lq='val/LQ'))


@pytest.mark.parametrize('cached', [False, True])
def test_wrong_size_names_file_and_sizes(cached: bool, tmp_path: Path, degradation):
    write_png(tmp_path / 'train/GT/a.png', np.zeros((8, 16, 3), np.uint8))
    cache = f'{tmp_path}/cache' if cached else None
    with pytest.raises(UserError, match=r'a\.png: 16x8 pixels, 512x512 expected'):
        BlindFaceDataset(str(tmp_path), GT, asdict(degradation), cache_dir=cache)[
            SampleKey(0, 0, 0)
        ]
