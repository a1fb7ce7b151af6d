"""Real-ESRGAN's degradation: what is drawn, image by image, and in a batch."""

import random
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from numpy.random import RandomState
from skimage import data

from benchmarks.degradation import degrade_batch, degrade_both, measure_agreement, without_noise
from facesr.config import load_config
from facesr.degradation.base import build_degradation
from facesr.degradation.noise import BatchNoise, PoissonNoise, poisson_noise
from facesr.degradation.second_order import SecondOrderDegradation
from facesr.errors import UserError
from facesr.restoring.score import bicubic

SETTINGS = load_config(
    ROOT / 'configs/face_unet_2024.py'
).train_dataloader.dataset.degradation.to_dict()
NOTHING = dict(blur_prob=0, resize_prob=dict(keep=1), noise_prob=0, jpeg_prob=0)


def make(**changes: Any) -> SecondOrderDegradation:
    degradation = build_degradation({**SETTINGS, **changes})
    assert isinstance(degradation, SecondOrderDegradation)
    return degradation


def with_pass(name: str, **changes: Any) -> dict[str, Any]:
    return {name: {**SETTINGS[name], **changes}}


def test_values_are_as_probable_as_the_reference_has_them():
    degradation, rng = make(), RandomState(0)
    drawn = [degradation.sample(rng) for _ in range(2000)]
    first, second = [values.first for values in drawn], [values.second for values in drawn]

    def share(condition: Callable[[Any], bool], of: list[Any]) -> float:
        return float(np.mean([condition(values) for values in of]))

    near = {'abs': 0.035}
    assert share(lambda values: values.scale > 1, first) == pytest.approx(0.2, **near)
    assert share(lambda values: values.scale < 1, first) == pytest.approx(0.7, **near)
    assert share(lambda values: values.scale > 1, second) == pytest.approx(0.3, **near)
    assert share(lambda values: values.scale < 1, second) == pytest.approx(0.4, **near)
    assert share(lambda values: values.kernel.max() == 1, second) == pytest.approx(0.2, **near)
    assert share(lambda values: values.kernel.min() < 0, first) == pytest.approx(0.1, **near)
    assert share(lambda values: values.shot > 0, first) == pytest.approx(0.5, **near)
    assert share(lambda values: values.grey, second) == pytest.approx(0.4, **near)
    assert share(lambda values: values.jpeg_first, drawn) == pytest.approx(0.5, **near)
    assert share(lambda values: values.kernel.max() == 1, drawn) == pytest.approx(0.2, **near)
    for values, size, least, most, sigma, quality in (
        (first, 512, 102, 768, 20, 50),
        (second, 128, 38, 153, 15, 70),
    ):
        lengths = [value.length for value in values]
        assert least <= min(lengths) < size / 2 and size < max(lengths) <= most
        sigmas = [value.sigma for value in values if value.sigma]
        assert min(sigmas) >= 1 and 0.95 * sigma < max(sigmas) <= sigma
        assert {value.quality for value in values} == {*range(quality, 96)}
    for values in (*first, *second, *drawn):
        assert values.kernel.shape == (21, 21) and values.kernel.sum() == pytest.approx(1)
        assert np.allclose(values.kernel, values.kernel[::-1, ::-1]), 'its own mirror image'


def test_depends_only_on_its_seed():
    portrait, degradation = data.astronaut(), make()
    np.random.seed(7), random.seed(7)
    before = np.random.get_state()[1].copy(), random.getstate()
    results = [degradation.degrade_by_seed(portrait, seed) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert random.getstate() == before[1]
    assert results[0].shape == (128, 128, 3) and results[0].dtype == np.uint8
    assert (results[0] == results[1]).all() and (results[0] != results[2]).any()


def test_a_batch_has_the_levels_of_the_transforms():
    portrait = data.astronaut()
    images = [np.roll(portrait, 37 * index, axis=1) for index in range(8)]
    agreement = measure_agreement(*degrade_both(without_noise(make()), images))
    # A half that is rounded the other way can move a coefficient by a step of its table.
    assert agreement['psnr'] > 65 and agreement['within_1'] > 0.98


@pytest.mark.parametrize('lq_size', [128, 256, 512])
def test_without_any_step_the_picture_is_only_resized(lq_size: int):
    settings = {name: {**SETTINGS[name], **NOTHING} for name in ('first_pass', 'second_pass')}
    degradation = make(
        **settings, lq_size=lq_size, final_sinc_prob=0, resize_methods=['area'], jpeg_first_prob=1
    )
    portrait, factor = data.astronaut(), 512 // lq_size
    means = portrait.reshape(lq_size, factor, lq_size, factor, 3).mean((1, 3))
    for lq in degrade_both(degradation, [portrait]):
        assert np.abs(lq[0] - means).max() <= 1
    if factor == 1:
        assert (lq[0] == portrait).all()


def test_a_picture_may_be_shrunk_and_enlarged_by_different_methods():
    quarter = dict(NOTHING, resize_prob=dict(down=1), resize_scale=(0.25, 0.25))
    degradation = make(
        **with_pass('first_pass', **quarter),
        **with_pass('second_pass', **NOTHING),
        **dict(resize_methods=['area'], enlarge_methods=['bicubic']),
        **dict(final_sinc_prob=0, lq_size=512),
    )
    portrait = data.astronaut()
    small = cv2.resize(portrait, (128, 128), interpolation=cv2.INTER_AREA)
    for lq in degrade_both(degradation, [portrait]):
        assert np.abs(lq[0].astype(int) - bicubic(small, 512, 512)).max() <= 3


def test_noise_and_jpeg_may_come_before_an_enlargement():
    degradation = make(
        lq_size=512, **with_pass('first_pass', resize_prob=dict(down=1), resize_scale=(0.05, 1))
    )
    for lq in degrade_both(degradation, [data.astronaut()] * 2):
        assert lq.shape == (2, 512, 512, 3)


@pytest.mark.parametrize('is_grey', [False, True])
def test_poisson_noise_has_basicsrs_strength(is_grey: bool):
    """Mean 0 and, of 256 levels, a variance of ``255 * level / 256`` at each level."""
    side = 256
    levels = np.arange(256, dtype=np.uint8)[:, None].repeat(side, 1)
    image = np.stack([levels, levels, levels], 2)
    np.random.seed(0)
    alone = PoissonNoise(1.0, is_grey)({'img': image})['img'] - image
    canvas = torch.from_numpy(image).float()[None].transpose(2, 3)
    grey, lengths = torch.tensor([is_grey]), torch.tensor([side])
    batch = poisson_noise(canvas, lengths, grey, BatchNoise([0], 'cpu'))[0].transpose(1, 2).numpy()
    for noise in (alone, batch):
        deviation = np.sqrt(255 * np.arange(256) / 256)
        means, found = noise.mean((1, 2)), noise.std((1, 2))
        count = side * (1 if is_grey else 3)
        assert np.abs(means / (deviation + 1e-9)).max() < 5 / count**0.5
        assert found == pytest.approx(deviation, rel=5 / (2 * count) ** 0.5)
        assert (noise[..., 0] == noise[..., 1]).all() == is_grey


def test_gaussian_noise_of_a_batch_has_its_strength():
    flat = {**NOTHING, 'noise_prob': 1, 'noise_sigma': (9, 9)}
    degradation = make(
        **with_pass('first_pass', **NOTHING),
        **with_pass('second_pass', **flat),
        **dict(poisson_prob=0, grey_prob=0, final_sinc_prob=0, lq_size=512),
    )
    image = np.full((512, 512, 3), 100, np.uint8)
    values = degradation.sample(RandomState(0))
    both = [
        degradation.degrade(image, values, 1),
        degrade_batch(degradation.make_batch(), degradation, [image], [values])[0].numpy(),
    ]
    for lq in both:
        assert lq.mean() == pytest.approx(100, abs=0.05) and lq.std() == pytest.approx(9, rel=0.01)


def test_sharpening_is_off_and_trains_on_the_sharpened_face():
    portrait = data.astronaut()
    assert make().sharpen(portrait) is portrait
    sharpened = make(gt_usm=True).sharpen(portrait)
    assert sharpened.dtype == np.uint8 and sharpened.std() > portrait.std()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(lq_size=100), 'lq_size=100: a divisor of 512'),
        (dict(kernels=dict(round=1)), r"kernels={'round': 1}: shares of \['iso'"),
        (dict(kernel_sizes=(7, 20)), r'kernel_sizes=\(7, 20\): \(least, most\), odd'),
        (with_pass('first_pass', blur_prob=2), 'first_pass.blur_prob=2: from 0 to 1'),
        (
            with_pass('first_pass', resize_prob=dict(up=1, down=1)),
            'first_pass.resize_prob=.* 1 together',
        ),
        (with_pass('second_pass', resize_scale=(0, 1)), r'second_pass.resize_scale=\(0, 1\): '),
        (with_pass('second_pass', jpeg_quality=0), 'second_pass.jpeg_quality=0: '),
    ],
)
def test_settings_out_of_range_are_refused_by_name(changes: dict[str, Any], message: str):
    with pytest.raises(UserError, match=f'^degradation.{message}.*expected$'):
        make(**changes)


def test_a_misspelt_setting_of_a_pass_is_named():
    override = 'train_dataloader.dataset.degradation.first_pass.jpeg_qualty=(3,4)'
    with pytest.raises(UserError, match="'jpeg_qualty'; did you mean 'jpeg_quality'"):
        load_config(ROOT / 'configs/face_unet_2024.py', [override])
