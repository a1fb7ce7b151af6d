"""One page of HTML that holds all of one or several runs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

from ..errors import UserError
from ..images import Image8, write_png
from ..panels import stack_panels
from .comparison import DEFAULT_CROPS, Crop
from .curves import draw_comparison, draw_curves
from .result_sets import Group, choose_images, draw_group, find_result_sets, group_by_input
from .run import Run, describe_settings, has_random_vgg, read_runs

JPEG_QUALITY = 88


@dataclass(frozen=True)
class ScoreRow:
    """A line of a table of scores; the means are empty where they are not known."""

    name: str
    checkpoint: str
    images: int
    psnr: str
    ssim: str
    niqe: str


def write_report(
    folders: Sequence[Path],
    out: Path,
    images: Sequence[str] = (),
    crops: Sequence[Crop] = DEFAULT_CROPS,
) -> list[Path]:
    """Draw the curves and panels of runs, and write them as PNGs and as one page.

    Args:
        folders: work directories of tools/train.py.
        out: made if missing; pictures of the same names are replaced.
        images: stems of those in the panels; none chooses some of each set.
        crops: places shown enlarged under each picture.

    Returns:
        The files written, the page last.

    Raises:
        UserError: a folder holds no log, an image is not known, or ``out`` is a file.
    """
    runs = read_runs(folders)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'{out}: --out takes a folder ({error.strerror})') from error
    groups = group_by_input(found for run in runs for found in find_result_sets(run))
    chosen = choose_images(groups, images)
    written = []

    def save_figure(figure: Figure, name: str) -> str:
        path = out / name
        figure.savefig(path)
        written.append(path)
        return _data_uri(path.read_bytes(), 'png')

    comparison = draw_comparison(runs) if len(runs) > 1 else None
    sections: dict[str, Any] = {
        'curves': save_figure(comparison, 'curves.png') if comparison else None,
        'runs': [
            {
                'name': run.name,
                'settings': describe_settings(run),
                'curves': save_figure(draw_curves(run), f'curves_{_file_name(run.name)}.png'),
                'random_vgg': has_random_vgg(run),
                'config': run.config_text,
            }
            for run in runs
        ],
        'groups': [],
    }
    for group in groups:
        panels = draw_group(group, chosen[group.name], crops)
        if panels:
            written.append(out / f'panel_{_file_name(group.name)}.png')
            write_png(written[-1], stack_panels(panels))
        sections['groups'].append(_describe_group(group, chosen[group.name], panels))
    written.append(out / 'report.html')
    written[-1].write_text(_render(runs, sections), encoding='utf-8')
    return written


def _describe_group(group: Group, stems: Sequence[str], panels: Sequence[Image8]) -> dict[str, Any]:
    rows = [
        _score_row(
            found.run.name if caption == 'output' else caption,
            (found.checkpoint or '') + (' (average of the weights)' if found.ema else ''),
            found.images,
            found.scores,
        )
        for caption, found in zip(group.captions, group.sets, strict=True)
    ]
    baseline = next((found for found in group.sets if found.bicubic), None)
    if baseline is not None and baseline.bicubic is not None:
        rows.insert(0, _score_row('bicubic', '', baseline.images, baseline.bicubic))
    return {
        'name': group.name,
        'input': group.sets[0].input,
        'rows': rows,
        'notes': group.notes,
        'random_vgg': [found.run.name for found in group.sets if has_random_vgg(found.run)],
        'panels': [
            {'name': stem, 'uri': _jpeg_uri(panel)}
            for stem, panel in zip(stems, panels, strict=True)
        ],
    }


def _score_row(name: str, checkpoint: str, images: int, scores: dict[str, float]) -> ScoreRow:
    psnr, ssim, niqe = (
        f'{scores[key]:.{digits}f}' if key in scores else ''
        for key, digits in (('psnr', 4), ('ssim', 4), ('niqe', 3))
    )
    return ScoreRow(name, checkpoint, images, psnr, ssim, niqe)


def _render(runs: Sequence[Run], sections: dict[str, Any]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    title = ', '.join(run.name for run in runs)
    date = f'{datetime.now():%Y-%m-%d %H:%M}'
    return environment.get_template('page.html').render(title=title, date=date, **sections)


def _jpeg_uri(image: Image8) -> str:
    buffer = io.BytesIO()
    # Colour at full resolution: the crops' frames and red lips blur without it.
    Image.fromarray(image).save(buffer, 'JPEG', quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return _data_uri(buffer.getvalue(), 'jpeg')


def _data_uri(content: bytes, kind: str) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(content).decode("ascii")}'


def _file_name(name: str) -> str:
    return name.replace('/', '_')
