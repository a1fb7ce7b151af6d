"""Training pairs made on the device, here the CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, TINY_GAN
from fake_cuda import fake_cuda
from mmagic.registry import MODELS, TRANSFORMS
from mmengine.runner import Runner
from skimage import data

from facesr.config import load_config
from facesr.degradation.transform import collate_faces
from facesr.engine import read_checkpoint, train
from facesr.errors import UserError

CONFIG = dict(type='FacePreprocessor', mean=[0, 0, 0], std=[255, 255, 255])


@pytest.fixture(scope='module')
def batch() -> dict:
    portrait = data.astronaut()
    return {'inputs': torch.from_numpy(np.stack([portrait, portrait[:, ::-1], portrait]))}


def make(degradation: list[dict], device: str = 'cpu', **options: object):
    transform = TRANSFORMS.build(
        dict(type='BlindDegradation', chain=degradation, on='device', **options)
    )
    preprocessor = MODELS.build(CONFIG).to(device)
    preprocessor.prepare(transform, seed=3)
    return preprocessor


def pairs(preprocessor, batch: dict, iteration: int) -> tuple[torch.Tensor, torch.Tensor]:
    preprocessor.iteration = iteration
    made = preprocessor(batch, True)
    return made['inputs'], made['data_samples'].gt_img


def test_draws_depend_on_the_iteration_and_the_place_alone(degradation, batch: dict):
    preprocessor = make(degradation)
    first = pairs(preprocessor, batch, 7)
    other = pairs(preprocessor, batch, 8)
    torch.rand(5), np.random.rand(5)
    again = pairs(make(degradation), batch, 7)
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0][0], first[0][2]), 'the same face at another place'


def test_pairs_are_what_the_net_expects(degradation, batch: dict):
    lq, gt = pairs(make(degradation), batch, 0)
    assert lq.shape == (3, 3, 128, 128) and gt.shape == (3, 3, 512, 512)
    for images in (lq, gt):
        assert images.dtype == torch.float32 and 0 <= images.min() < images.max() <= 1
        assert torch.equal((images * 255).round() / 255, images), '8-bit levels'
    shrunk = torch.nn.functional.avg_pool2d(gt, 4)
    assert (shrunk - lq).abs().mean() < 0.1 < (shrunk.flip(-1) - lq).abs().mean()


def test_crops_and_flips_keep_the_pair_together(degradation, batch: dict):
    whole = make(degradation, flip_ratio=0.0)
    cropped = make(degradation, gt_patch_size=64, flip_ratio=1.0)
    places = set()
    for iteration in range(4):
        lq, gt = pairs(whole, batch, iteration)
        lq_crop, gt_crop = (images.flip(-1) for images in pairs(cropped, batch, iteration))
        for index in range(3):
            windows = lq[index].unfold(1, 16, 1).unfold(2, 16, 1)
            same = (windows == lq_crop[index][:, None, None]).all(-1).all(-1).all(0)
            [[top, left]] = same.nonzero().tolist()
            found = gt[index, :, 4 * top : 4 * top + 64, 4 * left : 4 * left + 64]
            assert torch.equal(found, gt_crop[index])
            places.add((top, left))
    assert len(places) > 6


def test_what_a_gpu_has_to_do(degradation):
    counted = []
    for count in (2, 12):
        with fake_cuda() as gpu:
            preprocessor = make(degradation, device='cuda')
            faces = torch.empty(count, 512, 512, 3, dtype=torch.uint8).pin_memory()
            with gpu.count() as counts:
                made = preprocessor({'inputs': faces}, True)
        assert made['inputs'].device.type == 'cuda'
        assert made['inputs'].shape == (count, 3, 128, 128)
        assert not counts.waits
        counted.append(counts)
    kernels = [counts.kernels.total() for counts in counted]
    assert kernels[0] == kernels[1] <= 166
    assert counted[1].bytes.total() < 4.6e9


def test_mixed_precision_does_not_reach_the_degradation(degradation, batch: dict):
    preprocessor = make(degradation)
    expected = pairs(preprocessor, batch, 1)[0]
    with torch.autocast('cpu', torch.bfloat16):
        found = pairs(preprocessor, batch, 1)[0]
    assert torch.equal(found, expected)


@pytest.mark.parametrize('config', [TINY, TINY_GAN], ids=lambda path: path.stem)
def test_a_run_cut_and_resumed_draws_the_same(config: Path, tiny_options, tmp_path: Path):
    options = [
        *tiny_options,
        'train_dataloader.dataset.pipeline.1.on=device',
        'train_dataloader.dataset.pipeline.1.gt_patch_size=128',
        *('val_cfg=None', 'val_dataloader=None', 'val_evaluator=None'),
    ]
    train(config, options, work_dir=str(tmp_path / 'a'))
    train(config, options, work_dir=str(tmp_path / 'a'), resume=str(tmp_path / 'a/iter_2.pth'))
    train(config, options, work_dir=str(tmp_path / 'b'))
    a, b = (read_checkpoint(tmp_path / name / 'iter_4.pth')['state_dict'] for name in 'ab')
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_mistakes(degradation, batch: dict, tiny_options: list[str]):
    with pytest.raises(UserError, match="on='gpu': 'auto', 'device' or 'loader' expected"):
        TRANSFORMS.build(dict(type='BlindDegradation', chain=degradation, on='gpu'))
    with pytest.raises(UserError, match='gt_patch_size=63: a multiple of 4 expected'):
        make(degradation, gt_patch_size=63)
    with pytest.raises(UserError, match=r"not degraded; add dict\(type='DeviceDegradationHook'\)"):
        MODELS.build(CONFIG)(batch, True)
    with pytest.raises(UserError, match=r'faces of 512x512 pixels expected, not \(256, 512\)'):
        make(degradation)({'inputs': batch['inputs'][:, :256]}, True)
    config = load_config(TINY, [*tiny_options, 'train_dataloader.dataset.pipeline.1.on=device'])
    config.model.data_preprocessor.type = 'DataPreprocessor'
    with pytest.raises(UserError, match='of type FacePreprocessor, not DataPreprocessor'):
        Runner.from_cfg(config).train()


def test_loader_hands_over_one_tensor(degradation):
    transform = TRANSFORMS.build(dict(type='BlindDegradation', chain=degradation, on='device'))
    faces = [transform({'gt': data.astronaut()}) for _ in range(2)]
    batch = collate_faces(faces)
    assert batch['inputs'].shape == (2, 512, 512, 3) and batch['inputs'].dtype == torch.uint8
    stock = TRANSFORMS.build(dict(type='BlindDegradation', chain=degradation, on='loader'))
    batch = collate_faces([stock({'gt': data.astronaut()}) for _ in range(2)])
    assert [image.shape for image in batch['inputs']] == [(3, 128, 128)] * 2
