"""Plots over one axis of iterations, one below the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, MaxNLocator

from .run import Curve

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
            title=_plain(title),
            title_fontproperties={'weight': 'bold', 'size': 14},
            alignment='left',
        )
        return figure


def _draw_plot(axes: Axes, plot: Plot, last_step: int) -> None:
    axes.set_title(_plain(plot.title), loc='left')
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
            text = f'{_plain(line.label)}, after {end:,} iterations: {value:.4g}'
            place, above = ('axes fraction', 'data'), 'offset points'
            axes.annotate(text, (1, value), (0, 3), place, above, ha='right', size=10, color=DARK)


def _draw_line(axes: Axes, line: Line, raw: bool) -> None:
    smoothed = line.curve if raw else smooth(line.curve)
    steps, style = list(line.curve), dict[str, Any](color=line.colour)
    if smoothed is not line.curve:
        axes.plot(steps, list(line.curve.values()), alpha=0.3, linewidth=1, label=RAW, **style)
    if len(smoothed) < FEWEST_SMOOTHED:
        style |= {'marker': 'o', 'markersize': 4}
    label = _plain(line.label)
    axes.plot(steps, list(smoothed.values()), line.style, linewidth=2, label=label, **style)


def _plain(text: str) -> str:
    """Text that matplotlib does not take for mathematics or for a hidden label."""
    text = text.replace('$', r'\$')
    return f' {text}' if text.startswith('_') else text
