from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import mmagic.evaluation
import numpy as np
import pytest
import torch
from conftest import TINY
from mmagic.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import Tensor

from facesr.config import load_config
from facesr.errors import UserError
from facesr.images import read_image
from facesr.restoring.metrics import LPIPS, BatchLPIPS, BatchPSNR, BatchSSIM, psnr, ssim

TOLERANCE = {'PSNR': 1e-4, 'SSIM': 1e-6}  # dB, and none


@pytest.fixture(scope='module')
def pairs(faces: Path) -> tuple[Tensor, Tensor]:
    """What is like a photograph, what is not, and bright noise: (N, 3, 300, 512), and its truth."""
    gt = read_image(faces / 'val/GT/00000.png')
    lq = read_image(faces / 'val/LQ/00000.png').astype(np.float32)
    enlarged = cv2.resize(lq, (512, 512), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    bright = np.random.default_rng(0).normal(250, 2, (2, *gt.shape)).clip(0, 255)
    images = np.stack([enlarged, gt[:, ::-1], np.zeros_like(gt), bright[0]])
    truths = np.stack([gt, gt, gt, bright[1]])
    images, truths = (side[:, 100:400].transpose(0, 3, 1, 2) for side in (images, truths))
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(truths.astype(np.uint8))


@pytest.mark.parametrize('dtype', [torch.float32, torch.uint8])
def test_a_batch_has_mmagics_scores(pairs: tuple[Tensor, Tensor], dtype: torch.dtype):
    images, truths = pairs[0].to(dtype), pairs[1]
    for name, ours in {'PSNR': psnr, 'SSIM': ssim}.items():
        stock = getattr(mmagic.evaluation, name.lower())
        expected = [stock(*pair, input_order='CHW') for pair in zip(images, truths, strict=True)]
        found = ours(images, truths)
        assert found.dtype == torch.float64
        assert found.tolist() == pytest.approx(expected, abs=TOLERANCE[name])
        # The same of strided images, which a channels-last net gives.
        strided = images.contiguous(memory_format=torch.channels_last)
        assert ours(strided, truths).tolist() == pytest.approx(expected, abs=TOLERANCE[name])


def mean_score(metric: Any, samples: list[dict]) -> float:
    metric.prepare(SimpleNamespace(data_preprocessor=None), SimpleNamespace(dataset=samples))
    metric.process(None, samples[:3])
    metric.process(None, samples[3:])
    return float(metric.evaluate()[f'face/{metric.metric}'])


@pytest.mark.parametrize('settings', [{'crop_border': 4}, {'convert_to': 'Y'}])
def test_settings_are_mmagics(pairs: tuple[Tensor, Tensor], settings: dict[str, Any]):
    samples = [
        {'gt_img': truth, 'output': {'pred_img': image}}
        for image, truth in zip(*pairs, strict=True)
    ]
    for ours in BatchPSNR, BatchSSIM:
        stock = getattr(mmagic.evaluation, ours.metric)
        expected = mean_score(stock(prefix='face', **settings), samples)
        found = mean_score(ours(prefix='face', **settings), samples)
        assert found == pytest.approx(expected, abs=TOLERANCE[ours.metric])


def test_lpips_is_of_rgb(pairs: tuple[Tensor, Tensor], lpips_weights: Path):
    samples = [
        {'gt_img': truth, 'output': {'pred_img': image}}
        for image, truth in zip(*pairs, strict=True)
    ]
    expected = LPIPS()(*(side.flip(1) for side in pairs)).mean().item()
    assert expected != pytest.approx(LPIPS()(*pairs).mean().item(), abs=1e-3), 'order matters'
    assert mean_score(BatchLPIPS(prefix='face'), samples) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(UserError, match="BatchLPIPS: convert_to='Y': it needs all channels"):
        BatchLPIPS(convert_to='Y')


def test_without_weights_lpips_is_nan(tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setattr('facesr.models.features.FOLDER', tmp_path)
    MMLogger.get_current_instance().addHandler(caplog.handler)
    metric = BatchLPIPS()
    assert 'LPIPS will be nan: ' in caplog.text and 'fetch_features.py lpips' in caplog.text
    assert metric.score(torch.zeros(2, 3, 64, 64), torch.ones(2, 3, 64, 64)).isnan().all()


def test_a_runs_validation_gives_the_stock_scores(tiny_options: list[str]):
    options = [*tiny_options, 'train_cfg.max_iters=1', 'val_dataloader.batch_size=2']
    config = load_config(TINY, options)
    stock = [dict(type=name, prefix='stock') for name in TOLERANCE]
    config.val_evaluator.metrics.extend(stock)
    config.default_hooks.ema = dict(type='GeneratorEMAHook')
    runner = Runner.from_cfg(config)
    runner.train()
    scores = {
        name: buffer.current()
        for name, buffer in runner.message_hub.log_scalars.items()
        if name.endswith(tuple(TOLERANCE))
    }
    assert len(scores) == 8
    for average in '', 'ema/':
        for name, tolerance in TOLERANCE.items():
            expected = scores[f'val/{average}stock/{name}']
            assert scores[f'val/{average}{name}'] == pytest.approx(expected, abs=tolerance)


def test_what_is_not_finite_has_no_score(tiny_options: list[str]):
    config = load_config(TINY, tiny_options)
    model = MODELS.build(config.model).eval()
    model.generator.conv_last.register_forward_hook(
        lambda module, inputs, output: output.index_fill(2, torch.tensor([5]), torch.inf)
    )
    batch = pseudo_collate([DATASETS.build(config.val_dataloader.dataset)[0]])
    with torch.no_grad():
        [sample] = model.val_step(batch)
    image, truth = (part[None] for part in (sample.output.pred_img, sample.gt_img))
    assert psnr(image, truth).isnan().all() and ssim(image, truth).isnan().all()
