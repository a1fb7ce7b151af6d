"""One HTML page that holds the curves, panels, scores and settings of one or several runs."""

import base64
import io
from collections.abc import Sequence
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

from ..config import unknown
from ..drawing import stack_panels
from ..errors import UserError
from ..files import write_file, writing_results
from ..images import Image8, find_images, read_image
from ..restoring.score import SCORES
from .comparison import (
    DEFAULT_CROPS,
    FRAME_COLOURS,
    Crop,
    draw_group,
    find_result_sets,
    group_by_input,
    join_columns,
)
from .curves import draw_curves, draw_shared_curves
from .run import describe_settings, read_runs

JPEG_QUALITY = 88


def write_report(
    folders: Sequence[Path],
    out: Path,
    images: Sequence[str] = (),
    crops: Sequence[Crop] = DEFAULT_CROPS,
    overwrite: bool = False,
    pictures: Sequence[Path] = (),
) -> list[Path]:
    """Draw the curves and panels of runs; return the PNGs written and, last, the page.

    Of the work directories of ``tools/train.py``. ``images`` are the stems of those in the panels;
    empty chooses some of each set. ``crops`` are shown enlarged under each picture, ``pictures`` at
    the page's top.
    """
    runs = read_runs(folders)
    groups = group_by_input(found for run in runs for found in find_result_sets(run))
    known = {stem for group in groups for stem in group.stems}
    for name in images:
        if name not in known:
            raise UserError(f'--images {name}: {unknown(name, known, "image")}')
    files: dict[Path, bytes] = {}

    def save_figure(figure: Figure, name: str) -> str:
        buffer = io.BytesIO()
        figure.savefig(buffer, format='png')
        files[out / name.replace('/', '_')] = buffer.getvalue()
        return _data_uri(buffer.getvalue(), 'png')

    shared = draw_shared_curves(runs)
    curves = save_figure(shared, 'curves.png') if shared else None
    run_curves = [save_figure(draw_curves(run), f'curves_{run.name}.png') for run in runs]
    panels_of: list[dict[str, dict[str, str]]] = []
    for group in groups:
        panels = draw_group(group, images, crops)
        if panels:
            joined = [join_columns(stem, [*row.values()], crops) for stem, row in panels.items()]
            files[out / f'panel_{group.name}.png'] = _encode(stack_panels(joined), 'PNG')
        panels_of.append({})
        for stem, row in panels.items():
            panels_of[-1][stem] = {caption: _jpeg_uri(column) for caption, column in row.items()}
    templates = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=templates, autoescape=True, undefined=StrictUndefined)
    page = environment.get_template('page.html').render(
        title=', '.join(run.name for run in runs),
        date=f'{datetime.now():%Y-%m-%d %H:%M}',
        pictures=[(path.stem, _jpeg_uri(read_image(path))) for path in pictures],
        legend=[
            (crop.name, '#{:02x}{:02x}{:02x}'.format(*colour))
            for crop, colour in zip(crops, cycle(FRAME_COLOURS), strict=False)
        ],
        groups=list(zip(groups, panels_of, strict=True)),
        curves=curves,
        kinds=SCORES,
        runs=list(zip(runs, map(describe_settings, runs), run_curves, strict=True)),
    )
    files[out / 'report.html'] = page.encode()
    folders = [folder for group in groups for folder in group.folders]
    shown = [path for folder in folders for path in find_images(folder)[0].values()]
    with writing_results(files, [*pictures, *shown], overwrite, folders=[out]):
        for path, content in files.items():
            write_file(path, content)
    return list(files)


def _jpeg_uri(image: Image8) -> str:
    # Colour at full resolution, or the crops' frames and red lips blur.
    how = dict(quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return _data_uri(_encode(image, 'JPEG', **how), 'jpeg')


def _encode(image: Image8, kind: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **how)
    return buffer.getvalue()


def _data_uri(content: bytes, kind: str) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(content).decode("ascii")}'
