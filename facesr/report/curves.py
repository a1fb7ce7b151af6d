"""The curves of one run, and of several runs together, over one axis of iterations."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, MaxNLocator

from ..errors import UserError
from ..restoring.score import SCORES
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

DPI = 160
#: The colours of the curves: of runs in their order, or of a run, its average, its discriminator.
COLOURS = ('#1f5fa8', '#d9640d', '#2b8a4b', '#8c3fa0', '#b3263a', '#3a3a3a')
GREY, DARK = '#808080', '#555555'
RAW = 'pale: as logged'
FEWEST_SMOOTHED = 20  # points; a shorter curve is drawn as logged
_STYLE: Any = {
    'font.size': 11,
    'axes.titlesize': 12,
    'axes.grid': True,
    'axes.ymargin': 0.12,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'grid.color': '#e4e4e4',
    'legend.frameon': False,
    'legend.fontsize': 11,
    'text.parse_math': False,  # a folder may have any name
}


@dataclass(frozen=True)
class Line:
    """A curve and how it is drawn; one label has one look in all plots of a figure."""

    label: str
    curve: Curve
    colour: str = COLOURS[0]
    style: str = '-'


@dataclass(frozen=True)
class Plot:
    """A pair of axes: lines of runs, and published ones to compare with, in a unit."""

    title: str
    unit: str
    lines: Sequence[Line]
    published: Sequence[Line] = field(default_factory=list)
    log: bool = False
    height: float = 2.4  # inches


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
        scored = [run for run in runs if any(_validation_lines(run, metric, '', '', ''))]
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
    own = name.removeprefix('loss_')
    _, key = LOSSES.get(name, ('', f'{own}_loss'))
    return run.entry(f'model.losses.{own}') or run.entry(f'model.{key}')


def _loss_title(run: Run, name: str) -> str:
    if name == 'loss_perceptual' and run.has_random_vgg:
        return 'perceptual loss, VGG random: means nothing'
    title, _ = LOSSES.get(name, (name, ''))
    kind = (_loss_settings(run, name) or {}).get('type') if name == 'loss' else None
    return f'{title}, {kind}' if kind else title


def _validation_lines(
    run: Run, metric: str, label: str, colour: str, average: str
) -> Iterator[Line]:
    colours = [chain([first], cycle(COLOURS[2:])) for first in (colour, average)]
    for name, curve in run.validation.items():
        *parts, kind = name.split('/')  # 'ema', of the average; the set's, if there are several
        if kind == metric:
            of_average = parts[:1] == ['ema']
            notes = [label] + ['average of the weights'] * of_average + parts[of_average:]
            style = '-.' if of_average else '-'
            yield Line(', '.join(notes), curve, next(colours[of_average]), style)


def smooth(curve: Curve) -> Curve:
    """A centred moving average of the finite values, over a twentieth of the curve.

    At the start, where a loss falls fast, it is over fewer. A curve of fewer than 20 values is
    returned unchanged.
    """
    count = len(curve)
    if count < FEWEST_SMOOTHED:
        return curve
    values = np.array(list(curve.values()))
    finite = np.isfinite(values)
    index = np.arange(count)
    reach = np.minimum(index // 3, max(1, count // 40))
    first, end = index - reach, np.minimum(index + reach + 1, count)
    sums = np.cumsum([0.0, *np.where(finite, values, 0)])
    counts = np.cumsum([0, *finite])
    with np.errstate(invalid='ignore'):  # nothing finite: 0 / 0 gives nan
        means = (sums[end] - sums[first]) / (counts[end] - counts[first])
    return dict(zip(curve, means.tolist(), strict=True))


def draw_figure(plots: Sequence[Plot], title: str, last_step: int, columns: int = 1) -> Figure:
    """Draw plots in rows of ``columns``, with one legend; ``last_step`` ended the longest run."""
    rows = [plots[start : start + columns] for start in range(0, len(plots), columns)]
    heights = [max(plot.height for plot in row) for row in rows]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(10 if columns == 1 else 12, sum(heights) + 1.4), dpi=DPI)
        figure.set_layout_engine('constrained', h_pad=0.08, w_pad=0.08)
        grid = figure.add_gridspec(len(rows), columns, height_ratios=heights)
        by_label: dict[str, Artist] = {}
        for index, plot in enumerate(plots):
            row, column = divmod(index, columns)
            axes = figure.add_subplot(grid[row, column], sharex=figure.axes[0] if index else None)
            _draw_plot(axes, plot, last_step)
            bottom = index + columns >= len(plots)  # of its column
            axes.tick_params(labelbottom=bottom)
            axes.set_xlabel('iteration' if bottom else '')
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                by_label.setdefault(label, handle)
        figure.legend(
            list(by_label.values()),
            list(by_label),
            loc='outside upper left',
            ncols=max(1, int(figure.get_figwidth() / (0.6 + 0.085 * max(map(len, by_label))))),
            title=title,
            title_fontproperties={'weight': 'bold', 'size': 14},
            alignment='left',
        )
        return figure


def _draw_plot(axes: Axes, plot: Plot, last_step: int) -> None:
    axes.set_title(plot.title, loc='left')
    axes.set_ylabel(plot.unit)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f'{x:,.0f}'))
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    if plot.log:
        axes.set_yscale('log')
        axes.yaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(1.5, 0.5)))
    for line in plot.lines:
        _draw_line(axes, line, raw=plot.log)
    for line in plot.published:
        end = max(line.curve)
        if last_step >= end / 2:
            _draw_line(axes, line, raw=plot.log)
        elif not plot.log:
            # Its many iterations would squeeze a short run into the corner.
            value = line.curve[end]
            axes.axhline(value, color=line.colour, linestyle=line.style)
            text = f'{line.label}, after {end:,} iterations: {value:.4g}'
            place, above = ('axes fraction', 'data'), 'offset points'
            axes.annotate(text, (1, value), (0, 3), place, above, ha='right', size=10, color=DARK)


def _draw_line(axes: Axes, line: Line, raw: bool) -> None:
    smoothed = line.curve if raw else smooth(line.curve)
    steps, style = list(line.curve), dict[str, Any](color=line.colour)
    if smoothed is not line.curve:
        axes.plot(steps, list(line.curve.values()), alpha=0.3, linewidth=1, label=RAW, **style)
    if len(smoothed) < FEWEST_SMOOTHED:
        style |= {'marker': 'o', 'markersize': 4}
    label = f' {line.label}' if line.label.startswith('_') else line.label  # else hidden
    axes.plot(steps, list(smoothed.values()), line.style, linewidth=2, label=label, **style)
