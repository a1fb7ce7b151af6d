"""One HTML page that holds the curves, panels, scores and settings of one or several runs."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
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
from .curves import draw_curves, draw_shared_curves
from .result_sets import Group, choose_images, draw_group, find_result_sets, group_by_input
from .run import describe_settings, read_runs

JPEG_QUALITY = 88


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
        images: stems of those in the panels; empty chooses some of each set.
        crops: places shown enlarged under each picture.

    Returns:
        The files written, the page last.

    Raises:
        UserError: a folder holds no log, an image is unknown, or ``out`` is a file.
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

    shared = draw_shared_curves(runs) if len(runs) > 1 else None
    sections: dict[str, Any] = {
        'title': ', '.join(run.name for run in runs),
        'date': f'{datetime.now():%Y-%m-%d %H:%M}',
        'curves': save_figure(shared, 'curves.png') if shared else None,
        'runs': [
            {
                'name': run.name,
                'settings': describe_settings(run),
                'curves': save_figure(draw_curves(run), f'curves_{_file_name(run.name)}.png'),
                'random_vgg': run.has_random_vgg,
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
        pictures = dict(zip(chosen[group.name], map(_jpeg_uri, panels), strict=True))
        sections['groups'].append(_describe_group(group, pictures))
    written.append(out / 'report.html')
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template('page.html').render(**sections)
    written[-1].write_text(page, encoding='utf-8')
    return written


def _describe_group(group: Group, pictures: Mapping[str, str]) -> dict[str, Any]:
    manifests = [found.manifest for found in group.sets.values()]
    rows = [_score_row('bicubic', '', it.images, it.bicubic) for it in manifests if it.bicubic][:1]
    for (caption, found), manifest in zip(group.sets.items(), manifests, strict=True):
        name = found.run.name if caption == 'output' else caption
        weights = (manifest.checkpoint or '') + (
            ' (average of the weights)' if manifest.ema else ''
        )
        rows.append(_score_row(name, weights, manifest.images, manifest.scores))
    return {
        'name': group.name,
        'input': group.input,
        'rows': rows,
        'notes': group.notes,
        'random_vgg': [found.run.name for found in group.sets.values() if found.run.has_random_vgg],
        'pictures': pictures,
    }


def _score_row(name: str, checkpoint: str, images: int, scores: dict[str, float]) -> dict[str, Any]:
    digits = {'psnr': 4, 'ssim': 4, 'niqe': 3}
    texts = {key: f'{scores[key]:.{digits[key]}f}' if key in scores else '' for key in digits}
    return {'name': name, 'checkpoint': checkpoint, 'images': images, **texts}


def _jpeg_uri(image: Image8) -> str:
    buffer = io.BytesIO()
    # Colour at full resolution, or the crops' frames and red lips blur.
    Image.fromarray(image).save(buffer, 'JPEG', quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return _data_uri(buffer.getvalue(), 'jpeg')


def _data_uri(content: bytes, kind: str) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(content).decode("ascii")}'


def _file_name(name: str) -> str:
    return name.replace('/', '_')
