"""A folder of degraded images -> restored PNGs, their scores, a panel, the leaderboard's zip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from ..data.images import Image8, find_images, list_images, pair_images, read_image, write_png
from ..errors import UserError
from ..report import draw_panel, stack_panels
from .restore import Restorer
from .score import (
    ImageScore,
    format_scores,
    mean_scores,
    score_folder,
    score_image,
    write_csv,
)
from .submission import write_submission

PANEL_ROWS = 3


def bicubic(lq: Image8, height: int, width: int) -> Image8:
    """Enlarge with OpenCV's bicubic: the baseline (27.257 dB on the challenge's validation set)."""
    return np.asarray(cv2.resize(lq, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


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


def restore_folder(restorer: Restorer, images: dict[str, Path], out: Path) -> None:
    """Restore images into ``out``, one 8-bit RGB PNG per input under the same name.

    Args:
        restorer: the trained net.
        images: input files by stem.
        out: made if missing; files of earlier runs are replaced.
    """
    console = Console()
    for stem, path in track(images.items(), 'restoring', console=console):
        write_png(out / f'{stem}.png', restorer.restore(read_image(path)))
        if restorer.last_tile is not None:
            console.print(f'{path}: done in overlapping tiles of {restorer.last_tile} pixels')


def test(
    restorer: Restorer,
    folder: Path,
    out: Path,
    gt: Path | None = None,
    zip_file: Path | None = None,
    checkpoint: str | None = None,
    ema: bool = False,
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

    Raises:
        UserError: see :func:`check_folders`.
    """
    out = out.resolve()  # a name, also for '.'
    images = check_folders(folder, out, gt)
    restore_folder(restorer, images, out)
    scores = score_folder(out, gt)
    write_csv(out.with_name(f'{out.name}.csv'), scores)
    print(f'{len(images)} images in {out}')
    print(f' output: {format_scores(scores)}')
    baseline = _score_bicubic(images, gt) if gt is not None else None
    if baseline is not None:
        print(f'bicubic: {format_scores(baseline)}')
    manifest = {
        'input': str(folder.resolve()),
        'gt': None if gt is None else str(gt.resolve()),
        'checkpoint': checkpoint,
        'ema': ema,
        'scores': mean_scores(scores),
        'bicubic': None if baseline is None else mean_scores(baseline),
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


def _score_bicubic(images: dict[str, Path], gt: Path) -> list[ImageScore]:
    truths = list_images(gt)
    scores = []
    for stem, path in track(images.items(), 'bicubic', transient=True):
        truth = read_image(truths[stem])
        enlarged = bicubic(read_image(path), *truth.shape[:2])
        scores.append(score_image(path.name, enlarged, truth))
    return scores


def _draw_panels(images: dict[str, Path], out: Path, gt: Path | None) -> Image8:
    truths = list_images(gt) if gt is not None else {}
    rows = []
    for stem in spread(list(images), PANEL_ROWS):
        lq, output = read_image(images[stem]), read_image(out / f'{stem}.png')
        row = {'ground truth': read_image(truths[stem])} if truths else {}
        row |= {'input': lq, 'bicubic': bicubic(lq, *output.shape[:2]), 'output': output}
        rows.append(draw_panel(row))
    return stack_panels(rows)
