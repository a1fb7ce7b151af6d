"""What scoring a validation's images costs the CPU: MMagic's metrics against the config's."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import cv2
import torch
from mmagic.evaluation import Evaluator
from mmagic.registry import DATASETS, EVALUATORS
from mmengine.config import Config
from torch.nn.functional import interpolate

from facesr.errors import UserError
from facesr.nets import find_device

from .measure import Figures, run_benchmark, take_turns, time_call

Samples = Sequence[dict[str, Any]]


def time_scoring(config: Config, images: int, rounds: int, device: str | None = None) -> Figures:
    """Measure the metrics on validation images enlarged by bicubic, and compare their scores.

    Returns:
        ``seconds`` of CPU time per image; ``difference``: the largest between an image's scores,
        by metric, PSNR's in dB, and how many ``images`` there are.

    Raises:
        UserError: no validation set.
    """
    if not config.get('val_dataloader'):
        raise UserError(f'{config.filename}: no validation set in it')
    cv2.setNumThreads(0)  # as in a run
    samples = load_samples(config, images, find_device(device))
    batch_size: int = config.val_dataloader.batch_size
    one = [build_evaluator(config, stock, 1) for stock in (True, False)]
    pairs = [[score_samples(evaluator, [sample], 1) for evaluator in one] for sample in samples]
    difference = {'images': float(len(samples))} | {
        name: max(abs(float(stock[name] - ours[name])) for stock, ours in pairs)
        for name in pairs[0][0]
    }
    sides = {}
    for name, stock, size in (
        ("MMagic's metrics", True, 1),
        ('ours, one at a time', False, 1),
        (f'ours, batches of {batch_size}', False, batch_size),
    ):
        evaluator = build_evaluator(config, stock, len(samples))
        work = partial(score_samples, evaluator, samples, size)
        sides[name] = partial(time_call, work, len(samples), time.process_time)
    return {'difference': difference, 'seconds': take_turns(sides, rounds)}


def load_samples(config: Config, images: int, device: torch.device) -> Samples:
    """The first images of a validation set, as a model gives them to the metrics."""
    dataset = DATASETS.build({**config.val_dataloader.dataset, 'indices': images})
    samples = []
    for item in dataset:
        gt = item['data_samples'].gt_img
        enlarged = interpolate(item['inputs'][None].float(), gt.shape[1:], mode='bicubic')
        output = {'pred_img': enlarged[0].clamp(0, 255).to(device)}
        samples.append({'gt_img': gt.to(device), 'output': output})
    return samples


def build_evaluator(config: Config, stock: bool, images: int) -> Evaluator:
    """An evaluator of the config's PSNR and SSIM; ``stock`` takes MMagic's metrics instead."""
    settings = copy.deepcopy(config.val_evaluator)
    settings.metrics = [one for one in settings.metrics if one.type in ('BatchPSNR', 'BatchSSIM')]
    for metric in settings.metrics if stock else ():
        metric.type = metric.type.removeprefix('Batch')
    evaluator = EVALUATORS.build(settings)
    evaluator.prepare_metrics(
        SimpleNamespace(data_preprocessor=None), SimpleNamespace(dataset=range(images))
    )
    return evaluator


def score_samples(evaluator: Evaluator, samples: Samples, batch_size: int) -> dict[str, float]:
    """The mean scores, as a validation gets them."""
    for first in range(0, len(samples), batch_size):
        evaluator.process(samples[first : first + batch_size], None, evaluator.metrics)
    scores: dict[str, float] = evaluator.evaluate()
    return scores


if __name__ == '__main__':
    run_benchmark(time_scoring, __doc__, 'images', 'rounds', 'device')
