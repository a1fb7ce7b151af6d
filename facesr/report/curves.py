"""The curves of one run, and of several runs together, over the iterations."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..errors import UserError
from ..scores import SCORES
from .plots import COLOURS, GREY, Line, Plot, draw_figure
from .run import Curve, Run, as_call, border_note

#: A logged loss's title, and the key of its settings in the config's ``model``, in the order of the
#: plots. A further loss gets its title here; without one, ``loss_x`` comes last under that name.
LOSSES = {
    'loss': ('training loss', 'pixel_loss'),
    'loss_pix': ('pixel loss', 'pixel_loss'),
    'loss_perceptual': ('perceptual loss', 'perceptual_loss'),
    'loss_style': ('style loss', 'perceptual_loss'),
    'loss_gan': ("generator's adversarial loss", 'gan_loss'),
    'loss_d_real': ("discriminator's loss, real faces", 'gan_loss'),
    'loss_d_fake': ("discriminator's loss, restored faces", 'gan_loss'),
}
LOSS_UNIT = 'loss (no unit)'
#: What the axes of logged scores are called.
SCORE_HEADINGS = {score.logged: score.heading for score in SCORES.values() if score.logged}

PUBLISHED = Path(__file__).parent / 'published'
#: A recipe's published logs, and what to add to their iterations; ``_fast`` is the same recipe.
PUBLISHED_FILES = {
    'srresnet_24b': (('srresnet_24b_cycle5_train.csv', 'srresnet_24b_cycle5_val.csv'), 120_000),
    'srgan_26b': (('srgan_26b_train.csv', 'srgan_26b_val.csv'), 0),
}
#: Our logs' names for their columns, where they differ.
PUBLISHED_NAMES = {'loss_l1': 'loss', 'psnr_db': 'PSNR', 'psnr_db_crop4': 'PSNR', 'ssim': 'SSIM'}
#: How a published score was measured, if not over the entire image.
PUBLISHED_NOTES = {('srgan_26b', 'PSNR'): ', without a border of 4 pixels'}
NO_CURVES = frozenset({'iter', 'iter_time_s', 'data_time_s', 'gpu_memory_mib'})


def draw_curves(run: Run) -> Figure:
    """Draw all that a run logged: losses, validation scores, learning rates, or a UserError."""
    published = {
        name: [Line('published', curve, GREY, '--')]
        for name, curve in published_curves(run).items()
    }
    if run.has_random_vgg:  # not the quantity that was published
        published.pop('loss_perceptual', None)
    losses = _loss_names(run)
    plots = []
    for name in losses:
        line = Line('this run', run.training[name])
        plots.append(Plot(_loss_title(run, name), LOSS_UNIT, [line], published.get(name, [])))
    for metric, unit in SCORE_HEADINGS.items():
        lines = list(_validation_lines(run, metric, 'this run', *COLOURS[:2]))
        if lines:
            title = f'validation {metric}{border_note(run, metric)}'
            plots.append(Plot(title, unit, lines, published.get(metric, [])))
    rates = [
        # Those of a GAN are often equal: dots let the other line show through.
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
        raise UserError(f'{run.folder}: its logs hold no loss, score or learning rate')
    # Many losses in two columns, to fit on a page.
    return draw_figure(plots, run.name, run.last_step, columns=2 if len(losses) > 2 else 1)


def draw_shared_curves(runs: Sequence[Run]) -> Figure | None:
    """Draw the losses and scores that at least two runs have in common; None if there are none.

    A run that began with another's generator begins where that one ended.
    """
    published = {
        run.config_name: _shift(run, curves) for run in runs if (curves := published_curves(run))
    }
    runs = [
        replace(run, training=_shift(run, run.training), validation=_shift(run, run.validation))
        for run in runs
    ]
    colours = {run.name: COLOURS[index % len(COLOURS)] for index, run in enumerate(runs)}
    plots = []
    for name in dict.fromkeys(name for run in runs for name in _loss_names(run)):
        alike = [run for run in runs if name in _loss_names(run)]
        # With other settings, a loss of the same name is another quantity.
        if len(alike) > 1 and len({as_call(_loss_settings(run, name)) for run in alike}) == 1:
            lines = [Line(run.name, run.training[name], colours[run.name]) for run in alike]
            plots.append(Plot(_loss_title(alike[0], name), LOSS_UNIT, lines))
    for metric, unit in SCORE_HEADINGS.items():
        scored = [run for run in runs if metric in run.validation]
        if len(scored) < 2:
            continue
        lines, reference = [], []
        for run in scored:
            label = f'{run.name}{border_note(run, metric)}'
            lines += _validation_lines(run, metric, label, colours[run.name], colours[run.name])
        for (config, curves), style in zip(published.items(), ('--', ':'), strict=False):
            if metric in curves:
                note = PUBLISHED_NOTES.get((config.removesuffix('_fast'), metric), '')
                reference.append(Line(f'published: {config}{note}', curves[metric], GREY, style))
        plots.append(Plot(f'validation {metric}', unit, lines, reference, height=3))
    return draw_figure(plots, 'all runs', max(run.last_step for run in runs)) if plots else None


def _shift(run: Run, curves: dict[str, Curve]) -> dict[str, Curve]:
    """Begin curves after the iterations of the generator that the run began with."""
    by = run.facts.get('generator_iterations', 0)
    return {name: {by + step: curve[step] for step in curve} for name, curve in curves.items()}


def published_curves(run: Run) -> dict[str, Curve]:
    """Read the curves that were published for a run's config, by our logs' names.

    Empty for other configs, and where the run had another degradation.
    """
    files, offset = PUBLISHED_FILES.get(run.config_name.removesuffix('_fast'), ((), 0))
    curves: dict[str, Curve] = {}
    degradation = run.entry('train_dataloader.dataset.degradation.type')
    if degradation not in (None, 'FirstOrderDegradation'):
        return curves
    for name in files:
        with (PUBLISHED / name).open(newline='', encoding='utf-8') as file:
            for row in csv.DictReader(file):
                step = offset + int(row['iter'])
                for column in row.keys() - NO_CURVES:
                    curve = curves.setdefault(PUBLISHED_NAMES.get(column, column), {})
                    curve[step] = float(row[column])
    return curves


def _loss_names(run: Run) -> list[str]:
    """The losses a run logged, in the order of ``LOSSES``; their sum only if it is the only one."""
    logged = [name for name in run.training if name.startswith('loss')]
    names = list(dict.fromkeys([*(name for name in LOSSES if name in logged), *logged]))
    return names[1:] if len(names) > 1 and names[0] == 'loss' else names


def _loss_settings(run: Run, name: str) -> Any:
    _, key = LOSSES.get(name, ('', f'{name.removeprefix("loss_")}_loss'))
    return run.entry(f'model.{key}')


def _loss_title(run: Run, name: str) -> str:
    if name == 'loss_perceptual' and run.has_random_vgg:
        return 'perceptual loss, VGG random: means nothing'
    title, _ = LOSSES.get(name, (name, ''))
    kind = (_loss_settings(run, name) or {}).get('type') if name == 'loss' else None
    return f'{title}, {kind}' if kind else title


def _validation_lines(
    run: Run, metric: str, label: str, colour: str, average: str
) -> Iterator[Line]:
    if metric in run.validation:
        yield Line(label, run.validation[metric], colour)
    name = f'ema/{metric}'
    if name in run.validation:
        yield Line(f'{label}, average of the weights', run.validation[name], average, '-.')
