"""A folder of degraded images -> restored PNGs, their scores, a panel, the leaderboard's zip."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from threading import Lock

import torch
from rich.console import Console
from rich.progress import track

from ..errors import UserError
from ..files import write_whole
from ..images import Image8, find_images, list_images, pair_images, read_image, write_png
from ..panels import draw_panel, stack_panels
from .restorer import Restorer, free_memory
from .score import ImageScore, bicubic, format_scores, mean_scores, score_image, write_csv

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


# Batches in flight, on machines of many cores.
MOST_WORKERS = 8


@dataclass(frozen=True)
class Restored:
    """What became of an image.

    Attributes:
        path: the input.
        score: of the PNG as read back from disk; None unless asked for.
        baseline: bicubic's against the same ground truth, if there is one.
        tile: pixels of the input on a tile's side; None if it was done whole.
    """

    path: Path
    score: ImageScore | None
    baseline: ImageScore | None
    tile: int | None


def restore_folder(
    restorer: Restorer,
    images: Mapping[str, Path],
    out: Path,
    truths: Mapping[str, Path] | None = None,
    batch_size: int = 1,
    scored: bool = True,
) -> list[Restored]:
    """Restore images into ``out``, one 8-bit RGB PNG per input under the same name, and score them.

    Every worker takes a batch through all of it: read, restore, write, read back, score. On a CPU
    the workers share PyTorch's threads, for one net on each of two cores passes more images than
    one net on both; a GPU does one batch at a time.

    Args:
        restorer: the trained net.
        images: input files by stem.
        out: made if missing; files of earlier runs are replaced.
        truths: ground truths by stem; without them the score is NIQE.
        batch_size: how many consecutive images of one size go through the net together.
        scored: whether to score at all.

    Returns:
        A result for each image, in their order.

    Raises:
        UserError: a file cannot be read, an image does not fit into the memory, or it has not its
            ground truth's size. What was done until then stays, whole files alone.
    """
    gpu = restorer.device.type == 'cuda'
    net = Lock() if gpu else nullcontext()

    def work(stems: Sequence[str]) -> list[Restored]:
        inputs = [(stem, read_image(images[stem])) for stem in stems]
        done = []
        for _, same in groupby(inputs, lambda pair: pair[1].shape):
            group = list(same)
            with net:
                restored = restorer.restore_batch([lq for _, lq in group])
            for (stem, lq), (sr, tile) in zip(group, restored, strict=True):
                png = out / f'{stem}.png'
                write_png(png, sr)
                truth = None if truths is None else truths[stem]
                score, baseline = _score(png, lq, truth) if scored else (None, None)
                done.append(Restored(images[stem], score, baseline, tile))
        return done

    stems = list(images)
    batches = [stems[first : first + batch_size] for first in range(0, len(stems), batch_size)]
    threads = torch.get_num_threads()
    workers = min(max(threads, 2) if gpu else threads, len(batches), MOST_WORKERS)
    results: list[Restored] = []
    console = Console()
    executor = ThreadPoolExecutor(workers)
    try:
        if not gpu:
            torch.set_num_threads(threads // workers)
            restorer.memory = free_memory(restorer.device) // workers
        futures = [executor.submit(work, batch) for batch in batches]
        for future in track(futures, 'restoring', console=console):
            for result in future.result():
                results.append(result)
                if result.tile is not None:
                    console.print(
                        f'{result.path}: done in overlapping tiles of {result.tile} pixels'
                    )
    finally:  # also after a mistake or Ctrl-C: what is in flight ends soon, the rest never starts
        restorer.stop.set()
        executor.shutdown(cancel_futures=True)
        restorer.stop.clear()
        restorer.memory = None
        torch.set_num_threads(threads)
    return results


def _score(png: Path, lq: Image8, truth: Path | None) -> tuple[ImageScore, ImageScore | None]:
    sr = read_image(png)
    if truth is None:
        return score_image(png.name, sr, None), None
    gt = read_image(truth)
    baseline = score_image(png.name, bicubic(lq, *gt.shape[:2]), gt)
    return score_image(png.name, sr, gt), baseline


def write_submission(path: str | Path, folder: str | Path) -> None:
    """Pack a folder's images: one subfolder, named like the folder, same file names.

    Args:
        path: the zip file to write; it appears whole or not at all.
        folder: the restored images.
    """
    folder = Path(folder)
    # PNG is compressed already.
    with write_whole(path) as partial, zipfile.ZipFile(partial, 'w', zipfile.ZIP_STORED) as archive:
        for image in list_images(folder).values():
            archive.write(image, f'{folder.resolve().name}/{image.name}')
