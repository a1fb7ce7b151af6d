import shutil
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from facesr.data.dataset import BlindFaceDataset, FaceDataset
from facesr.data.loader import SampleKey, SeededDataset
from facesr.data.pairs import degrade_folder
from facesr.errors import UserError
from facesr.images import read_image, write_png

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


def test_inputs_made_of_the_ground_truth_are_those_of_the_tool(
    faces: Path, tmp_path: Path, degradation
):
    degrade_folder(faces / 'val/GT', tmp_path, degradation)
    dataset = FaceDataset(str(faces), {'gt': 'val/GT'}, degradation=asdict(degradation))
    assert len(dataset) == len(list(tmp_path.glob('*.png'))) > 1
    for sample, path in zip(dataset, sorted(tmp_path.glob('*.png')), strict=True):
        lq = sample['inputs'].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(lq, read_image(path))
        assert sample['data_samples'].gt_img.shape == (3, 512, 512)
    with pytest.raises(UserError, match="a folder for 'gt' only, as inputs are made of it, expect"):
        FaceDataset(str(faces), {'img': 'LQ', 'gt': 'GT'}, degradation=asdict(degradation))


def test_wrong_size_names_file_and_sizes(tmp_path: Path, degradation):
    write_png(tmp_path / 'train/GT/a.png', np.zeros((8, 16, 3), np.uint8))
    with pytest.raises(UserError, match=r'a\.png: 16x8 pixels, 512x512 expected'):
        BlindFaceDataset(str(tmp_path), GT, asdict(degradation))[0]


def test_several_folders_and_folders_below(faces: Path, tmp_path: Path, degradation):
    for number, place in enumerate(('a/00000/1.png', 'a/00001/1.png', 'a/2.png', 'b/1.jpg')):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(faces / f'train/GT/0000{number}.png', path)
    (tmp_path / 'a/.hidden').mkdir()
    shutil.copy(tmp_path / 'a/2.png', tmp_path / 'a/.hidden/3.png')
    dataset = BlindFaceDataset(str(tmp_path), dict(gt=['a', 'b']), asdict(degradation))
    names = [dataset.get_data_info(index)['gt_path'] for index in range(len(dataset))]
    wanted = ['a/2.png', 'a/00000/1.png', 'a/00001/1.png', 'b/1.jpg']
    assert names == [str(tmp_path / name) for name in wanted]
    with pytest.raises(UserError, match=r'none: no such folder'):
        BlindFaceDataset(str(tmp_path), dict(gt=['a', 'none']), asdict(degradation))


def test_of_a_larger_image_a_random_part_is_taken(tmp_path: Path, degradation):
    image = np.arange(600 * 700 * 3).reshape(600, 700, 3) // 5000
    write_png(tmp_path / 'train/GT/a.png', image.astype(np.uint8))
    dataset = BlindFaceDataset(str(tmp_path), GT, asdict(degradation), degrade_on='device')
    parts = [SeededDataset(dataset)[SampleKey(0, 0, number)].gt for number in (1, 1, 2)]
    assert parts[0].shape == (512, 512, 3)
    assert (parts[0] == parts[1]).all() and (parts[0] != parts[2]).any()


def test_pairs_of_ones_own_are_cropped_and_flipped_together(faces: Path):
    folders = {'img': 'val/LQ', 'gt': 'val/GT'}
    pairs = FaceDataset(str(faces), folders, gt_patch_size=64, flip_ratio=0.5)
    samples = [SeededDataset(pairs)[SampleKey(0, 0, number)] for number in range(12)]
    lq, gt = (read_image(faces / f'val/{role}/00000.png') for role in ('LQ', 'GT'))
    flipped = 0
    for sample in samples:
        shown = [sample['inputs'], sample['data_samples'].gt_img]
        small, large = (image.permute(1, 2, 0).numpy().astype(np.uint8) for image in shown)
        assert (small.shape, large.shape) == ((16, 16, 3), (64, 64, 3))
        for mirrored in (False, True):
            wanted = small[:, :: -1 if mirrored else 1]
            distance = cv2.matchTemplate(lq, np.ascontiguousarray(wanted), cv2.TM_SQDIFF)
            top, left = np.unravel_index(distance.argmin(), distance.shape)
            if (lq[top : top + 16, left : left + 16] == wanted).all():
                part = gt[4 * top : 4 * top + 64, 4 * left : 4 * left + 64]
                assert (part[:, :: -1 if mirrored else 1] == large).all()
                flipped += mirrored
                break
        else:
            pytest.fail('no part of the input')
    assert 2 < flipped < 10
    with pytest.raises(UserError, match=r'512x512 pixels, gt_patch_size=600; take less, a mul'):
        FaceDataset(str(faces), folders, gt_patch_size=600)[0]
