"""One HTML page that holds the curves, panels, scores and settings of one or several runs."""

import base64
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

from ..errors import UserError
from ..images import Image8, write_png
from ..panels import stack_panels
from .comparison import DEFAULT_CROPS, Crop
from .curves import draw_curves, draw_shared_curves
from .result_sets import check_names, draw_group, find_result_sets, group_by_input
from .run import describe_settings, read_runs

JPEG_QUALITY = 88


def write_report(
    folders: Sequence[Path],
    out: Path,
    images: Sequence[str] = (),
    crops: Sequence[Crop] = DEFAULT_CROPS,
) -> list[Path]:
    """Draw the curves and panels of runs; return the PNGs written and, last, the page.

    Args:
        folders: work directories of tools/train.py.
        out: made if missing; files of the same names are replaced.
        images: stems of those in the panels; empty chooses some of each set.
        crops: places shown enlarged under each picture.

    Raises:
        UserError: a folder holds no log, an image is unknown, or ``out`` is a file.
    """
    runs = read_runs(folders)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'{out}: --out takes a folder ({error.strerror})') from error
    groups = group_by_input(found for run in runs for found in find_result_sets(run))
    check_names(groups, images)
    written = []

    def save_figure(figure: Figure, name: str) -> str:
        written.append(out / name.replace('/', '_'))
        figure.savefig(written[-1])
        return _data_uri(written[-1].read_bytes(), 'png')

    shared = draw_shared_curves(runs)
    curves = save_figure(shared, 'curves.png') if shared else None
    run_curves = [save_figure(draw_curves(run), f'curves_{run.name}.png') for run in runs]
    pictures = []
    for group in groups:
        panels = draw_group(group, images, crops)
        if panels:
            written.append(out / f'panel_{group.name}.png')
            write_png(written[-1], stack_panels(list(panels.values())))
        pictures.append({stem: _jpeg_uri(panel) for stem, panel in panels.items()})
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template('page.html').render(
        title=', '.join(run.name for run in runs),
        date=f'{datetime.now():%Y-%m-%d %H:%M}',
        groups=list(zip(groups, pictures, strict=True)),
        curves=curves,
        runs=list(zip(runs, map(describe_settings, runs), run_curves, strict=True)),
    )
    written.append(out / 'report.html')
    written[-1].write_text(page, encoding='utf-8')
    return written


def _jpeg_uri(image: Image8) -> str:
    buffer = io.BytesIO()
    # Colour at full resolution, or the crops' frames and red lips blur.
    Image.fromarray(image).save(buffer, 'JPEG', quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return _data_uri(buffer.getvalue(), 'jpeg')


def _data_uri(content: bytes, kind: str) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(content).decode("ascii")}'
