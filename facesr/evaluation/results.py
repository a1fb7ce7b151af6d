"""A folder of degraded images -> restored PNGs, their scores, a panel, the leaderboard's zip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..data.images import Image8, find_images, list_images, pair_images, read_image, write_png
from ..errors import UserError
from ..report import draw_panel, stack_panels
from .pipeline import restore_folder
from .restore import Restorer
from .score import bicubic, format_scores, mean_scores, write_csv
from .submission import write_submission

PANEL_ROWS = 3


def check_folders(folder: Path, out: Path, gt: Path | None) -> dict[str, Path]:
    """Look for what would go wrong after hours, before anything is computed or written.

    Returns:
        The input images by stem.

    Raises:
        UserError: no input, no matching ground truth, or ``out`` holds images of something else.
    """
    images = list_images(folder)
    if gt is not None:
        pair_images({'input': folder, 'gt': gt})
    if out.exists() and not out.is_dir():
        raise UserError(f'{out}: is a file; --out takes a folder')
    if out.resolve() == folder.resolve():
        raise UserError(f'{out}: is the input folder; choose another with --out')
    foreign = [
        path.name
        for path in find_images(out)[0].values()
        if f'{path.stem}.png' != path.name or path.stem not in images
    ]
    if foreign:
        raise UserError(f'{out}: holds other images ({foreign[0]}); choose another with --out')
    return images


def test(
    restorer: Restorer,
    folder: Path,
    out: Path,
    gt: Path | None = None,
    zip_file: Path | None = None,
    checkpoint: str | None = None,
    ema: bool = False,
    batch_size: int = 1,
) -> None:
    """Restore a folder, then score what was written, draw it, and pack it.

    Beside ``out`` appear ``<out>.csv`` (a line per image), ``<out>_panel.png``, and ``<out>.json``:
    what was restored with what, and the mean scores, for tools/report.py.

    Args:
        restorer: the trained net.
        folder: degraded images of any size.
        out: where the PNGs go.
        gt: ground truths of the same names; without them the score is NIQE.
        zip_file: where the leaderboard's zip goes; None makes none.
        checkpoint, ema: where the net's weights are from, to be kept with the scores.
        batch_size: how many images of one size go through the net together.

    Raises:
        UserError: see :func:`check_folders` and :func:`.pipeline.restore_folder`.
    """
    if batch_size < 1:
        raise UserError(f'--batch-size {batch_size}: at least 1 image expected')
    out = out.resolve()  # a name, also for '.'
    images = check_folders(folder, out, gt)
    if restorer.precision != 'float32':
        print(f'computing in {restorer.precision}; for a score to compare, take float32')
    truths = None if gt is None else list_images(gt)
    restored = restore_folder(restorer, images, out, truths, batch_size)
    scores = [result.score for result in restored if result.score]
    baseline = [result.baseline for result in restored if result.baseline]
    write_csv(out.with_name(f'{out.name}.csv'), scores)
    print(f'{len(images)} images in {out}')
    print(f' output: {format_scores(scores)}')
    if baseline:
        print(f'bicubic: {format_scores(baseline)}')
    manifest = {
        'input': str(folder.resolve()),
        'gt': None if gt is None else str(gt.resolve()),
        'checkpoint': checkpoint,
        'ema': ema,
        'precision': restorer.precision,
        'tta': 'flip' if restorer.flip else None,
        'scores': mean_scores(scores),
        'bicubic': mean_scores(baseline) if baseline else None,
        'images': len(images),
    }
    path = out.with_name(f'{out.name}.json')
    path.write_text(json.dumps(manifest, indent=2) + '\n', encoding='utf-8')
    print(f'scores of each image: {out.with_name(f"{out.name}.csv")}')
    panel = out.with_name(f'{out.name}_panel.png')
    write_png(panel, _draw_panels(images, out, gt))
    print(f'panel: {panel}')
    if zip_file is not None:
        write_submission(zip_file, out)
        print(f'submission: {zip_file}')


def spread(stems: Sequence[str], count: int) -> list[str]:
    """Choose at most ``count`` images, evenly over a set."""
    return list(stems[:: max(1, len(stems) // count)][:count])


def _draw_panels(images: dict[str, Path], out: Path, gt: Path | None) -> Image8:
    truths = list_images(gt) if gt is not None else {}
    rows = []
    for stem in spread(list(images), PANEL_ROWS):
        lq, output = read_image(images[stem]), read_image(out / f'{stem}.png')
        row = {'ground truth': read_image(truths[stem])} if truths else {}
        row |= {'input': lq, 'bicubic': bicubic(lq, *output.shape[:2]), 'output': output}
        rows.append(draw_panel(row))
    return stack_panels(rows)
