"""The curves of a run, and of several beside each other, over the iterations."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..errors import UserError
from .plots import COLOURS, GREY, Line, Plot, draw_figure
from .run import Curve, Run, border, call, has_random_vgg

LOSSES = {
    'loss': 'training loss',
    'loss_pix': 'pixel loss',
    'loss_perceptual': 'perceptual loss',
    'loss_style': 'style loss',
    'loss_gan': "generator's adversarial loss",
    'loss_d_real': "discriminator's loss, real faces",
    'loss_d_fake': "discriminator's loss, restored faces",
}
UNITS = {'PSNR': 'dB', 'SSIM': 'SSIM (no unit)'}
LOSS_UNIT = 'loss (no unit)'


def draw_curves(run: Run) -> Figure:
    """Draw all that a run logged: losses, validation scores, learning rates."""
    published = {
        name: [Line('published', curve, GREY, '--')]
        for name, curve in published_curves(run.config_name).items()
    }
    if has_random_vgg(run):  # another quantity than the published one
        published.pop('loss_perceptual', None)
    losses = loss_names(run)
    plots = [
        Plot(
            _loss_title(run, name),
            LOSS_UNIT,
            [Line('this run', run.training[name])],
            published.get(name, []),
        )
        for name in losses
    ]
    for metric, unit in UNITS.items():
        lines = list(_validation_lines(run, metric, 'this run', *COLOURS[:2]))
        if lines:
            title = f'validation {metric}{border(run, metric)}'
            plots.append(Plot(title, unit, lines, published.get(metric, [])))
    rates = [
        # The two of a GAN are mostly the same: one must show through the other.
        Line('discriminator', curve, COLOURS[2], ':')
        if name.startswith('discriminator')
        else Line('this run', curve)
        for name, curve in run.training.items()
        if name == 'lr' or name.endswith('.lr')
    ]
    if rates:
        reference = published.get('lr', [])
        plots.append(Plot('learning rate', 'log scale', rates, reference, log=True, height=1.7))
    if not plots:
        raise UserError(f'{run.folder}: its logs hold nothing that is drawn here')
    # Many losses: two columns, so that the page stays one page.
    return draw_figure(plots, run.name, run.last_step, columns=2 if len(losses) > 2 else 1)


def draw_comparison(runs: Sequence[Run]) -> Figure | None:
    """Draw what at least two runs logged alike; None where there is nothing."""
    colours = {run.name: COLOURS[index % len(COLOURS)] for index, run in enumerate(runs)}
    published = {run.config_name: published_curves(run.config_name) for run in runs}
    published = {name: curves for name, curves in published.items() if curves}
    plots = []
    for name in dict.fromkeys(name for run in runs for name in loss_names(run)):
        alike = [run for run in runs if name in loss_names(run)]
        # Of one name but of other settings, they would be different quantities on one axis.
        if len(alike) > 1 and len({call(_loss_settings(run, name)) for run in alike}) == 1:
            lines = [Line(run.name, run.training[name], colours[run.name]) for run in alike]
            plots.append(Plot(_loss_title(alike[0], name), LOSS_UNIT, lines))
    for metric, unit in UNITS.items():
        scored = [run for run in runs if metric in run.validation]
        if len(scored) < 2:
            continue
        lines, reference = [], []
        for run in scored:
            label = f'{run.name}{border(run, metric)}'
            lines += _validation_lines(run, metric, label, colours[run.name], colours[run.name])
        for name, style in zip(published, ('--', ':'), strict=False):
            if metric in published[name]:
                label = (
                    f'published: {name}{PUBLISHED_NOTES.get((published_name(name), metric), "")}'
                )
                reference.append(Line(label, published[name][metric], GREY, style))
        plots.append(Plot(f'validation {metric}', unit, lines, reference, height=3))
    if not plots:
        return None
    return draw_figure(plots, 'all runs', max(run.last_step for run in runs))


def loss_names(run: Run) -> list[str]:
    """The losses a run logged, in a fixed order; their sum only where it is all there is."""
    names = [name for name in run.training if name.startswith('loss')]
    order = list(LOSSES)
    names.sort(key=lambda name: order.index(name) if name in order else len(order))
    # A sum beside its parts is no figure of its own.
    return names[1:] if len(names) > 1 and names[0] == 'loss' else names


def _validation_lines(
    run: Run, metric: str, label: str, colour: str, average: str
) -> Iterator[Line]:
    if metric in run.validation:
        yield Line(label, run.validation[metric], colour)
    name = f'ema/{metric}'
    if name in run.validation:
        yield Line(f'{label}, average of the weights', run.validation[name], average, '-.')


def _loss_settings(run: Run, name: str) -> Any:
    model = run.config.get('model') or {}
    keys = {
        'loss': 'pixel_loss',
        'loss_pix': 'pixel_loss',
        'loss_perceptual': 'perceptual_loss',
        'loss_style': 'perceptual_loss',
    }
    return model.get(keys.get(name, 'gan_loss'))


def _loss_title(run: Run, name: str) -> str:
    if name == 'loss_perceptual' and has_random_vgg(run):
        return 'perceptual loss, VGG19 random: means nothing'
    kind = (_loss_settings(run, name) or {}).get('type') if name == 'loss' else None
    return LOSSES.get(name, name) + (f', {kind}' if kind else '')


_FOLDER = Path(__file__).parent / 'published'
#: By config: the files, and what to add to their iterations.
_FILES = {
    'srresnet_24b': (('srresnet_24b_cycle5_train.csv', 'srresnet_24b_cycle5_val.csv'), 120_000),
    'srgan_26b': (('srgan_26b_train.csv', 'srgan_26b_val.csv'), 0),
}
#: Columns that our logs call otherwise.
_NAMES = {'loss_l1': 'loss', 'psnr_db': 'PSNR', 'psnr_db_crop4': 'PSNR', 'ssim': 'SSIM'}
_NO_CURVES = frozenset({'iter', 'iter_time_s', 'data_time_s', 'gpu_memory_mib'})

#: What a published score was measured with, where it was not with the whole image.
PUBLISHED_NOTES = {('srgan_26b', 'PSNR'): ', without a border of 4 pixels'}


def published_name(config_name: str) -> str:
    """What a config's run was published as: its fast variant is the same recipe."""
    return config_name.removesuffix('_fast')


def published_curves(config_name: str) -> dict[str, Curve]:
    """The curves that were published for a config, by our logs' names; empty for any other."""
    files, offset = _FILES.get(published_name(config_name), ((), 0))
    curves: dict[str, Curve] = {}
    for name in files:
        with (_FOLDER / name).open(newline='', encoding='utf-8') as file:
            for row in csv.DictReader(file):
                step = offset + int(row['iter'])
                for column in row.keys() - _NO_CURVES:
                    curve = curves.setdefault(_NAMES.get(column, column), {})
                    curve[step] = float(row[column])
    return curves
