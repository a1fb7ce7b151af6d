from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, TINY
from fake_cuda import fake_cuda
from mmagic.registry import MODELS
from torch.utils.data._utils.pin_memory import pin_memory

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.data.dataset import BlindFaceDataset
from facesr.data.loader import SampleKey, SeededDataset, collate_faces
from facesr.errors import UserError
from facesr.training.train import train

CONFIG = dict(type='FacePreprocessor', mean=[0, 0, 0], std=[255, 255, 255])
GT = {'gt': 'train/GT'}


@pytest.fixture
def make(faces: Path, degradation):
    """Make the pairs of the first face's samples with these numbers."""

    def make(numbers, **options) -> tuple[torch.Tensor, torch.Tensor]:
        options = {'degradation': asdict(degradation), 'degrade_on': 'device', **options}
        dataset = SeededDataset(BlindFaceDataset(str(faces), GT, **options))
        batch = collate_faces([dataset[SampleKey(0, 3, number)] for number in numbers])
        pair = MODELS.build(CONFIG)(batch, True)
        return pair['inputs'], pair['data_samples'].gt_img

    return make


def test_a_sample_depends_only_on_seed_and_number(make):
    lq, gt = make([7, 8, 9])
    torch.rand(5), np.random.rand(5)
    again, _ = make([9, 7])
    assert torch.equal(again[0], lq[2]) and torch.equal(again[1], lq[0])
    assert not torch.equal(lq[0], lq[1])
    assert len(gt) == 3


def test_both_ways_give_the_same_samples(make, degradation):
    """But for the noise: other normal numbers of the same seed."""
    quiet = asdict(degradation) | {'noise_sigma': (0, 0)}
    (lq, gt), (stock_lq, stock_gt) = (
        make(range(6), degradation=quiet, degrade_on=way, gt_patch_size=128)
        for way in ('device', 'loader')
    )
    assert torch.equal(gt, stock_gt)
    assert ((lq - stock_lq).abs() * 255 > 0.5).float().mean() < 0.01


def test_pairs_are_what_the_net_expects(make):
    lq, gt = make([0, 1, 2])
    assert lq.shape == (3, 3, 128, 128) and gt.shape == (3, 3, 512, 512)
    for images in (lq, gt):
        assert images.dtype == torch.float32 and 0 <= images.min() < images.max() <= 1
        assert torch.equal((images * 255).round() / 255, images), '8-bit levels'
    shrunk = torch.nn.functional.avg_pool2d(gt, 4)
    for lq_one, gt_one in zip(lq, shrunk, strict=True):
        assert (gt_one - lq_one).abs().mean() < 0.1 < (gt_one.flip(-1) - lq_one).abs().mean()


def test_crops_and_flips_keep_the_pair_together(make):
    numbers = range(12)
    lq, gt = make(numbers, flip_ratio=0.0)
    lq_crop, gt_crop = (
        images.flip(-1) for images in make(numbers, gt_patch_size=64, flip_ratio=1.0)
    )
    places = set()
    for index in numbers:
        windows = lq[index].unfold(1, 16, 1).unfold(2, 16, 1)
        same = (windows == lq_crop[index][:, None, None]).all(-1).all(-1).all(0)
        [[top, left]] = same.nonzero().tolist()
        found = gt[index, :, 4 * top : 4 * top + 64, 4 * left : 4 * left + 64]
        assert torch.equal(found, gt_crop[index])
        places.add((top, left))
    assert len(places) > 6


@pytest.mark.parametrize(
    ('config', 'kernels', 'gigabytes'), [('face_unet', 160, 4.6), ('face_unet_2024', 383, 12.3)]
)
def test_what_a_gpu_has_to_do(faces: Path, config: str, kernels: int, gigabytes: float):
    settings = load_config(ROOT / f'configs/{config}.py').train_dataloader.dataset.degradation
    dataset = SeededDataset(BlindFaceDataset(str(faces), GT, settings, degrade_on='device'))
    counted = []
    for count in (2, 12):
        batch = collate_faces([dataset[SampleKey(0, 0, number)] for number in range(count)])
        with fake_cuda() as gpu:
            preprocessor = MODELS.build(CONFIG).to('cuda')
            pinned = pin_memory(batch)
            with gpu.count() as first:  # it copies the tables
                preprocessor(pinned, True)
            with gpu.count() as counts:
                made = preprocessor(pinned, True)
        assert made['inputs'].device.type == 'cuda'
        assert made['inputs'].shape == (count, 3, 128, 128)
        assert not first.waits and not counts.waits
        noise = counts.kernels['normal_'] + counts.kernels['poisson']
        counted.append(counts.kernels.total() - noise)
    assert counted[0] == counted[1] <= kernels, 'those of the noise apart, they are for the batch'
    assert counts.bytes.total() < gigabytes * 1e9


def test_mixed_precision_does_not_reach_the_degradation(make):
    expected, _ = make([1, 2])
    with torch.autocast('cpu', torch.bfloat16):
        found, _ = make([1, 2])
    assert torch.equal(found, expected)


def test_a_run_cut_and_resumed_draws_the_same(tiny_options, tmp_path: Path):
    options = [
        *tiny_options,
        'train_dataloader.dataset.degrade_on=device',
        *('val_cfg=None', 'val_dataloader=None', 'val_evaluator=None'),
    ]
    train(TINY, options, work_dir=str(tmp_path / 'a'))
    train(TINY, options, work_dir=str(tmp_path / 'b'), resume=str(tmp_path / 'a/iter_2.pth'))
    a, b = (read_checkpoint(tmp_path / name / 'iter_4.pth')['state_dict'] for name in 'ab')
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_mistakes(make):
    with pytest.raises(UserError, match="degrade_on='gpu': 'auto', 'device' or 'loader' expected"):
        make([0], degrade_on='gpu')
    with pytest.raises(UserError, match='gt_patch_size=63: a multiple of 4, at most 512, expected'):
        make([0], gt_patch_size=63)
