"""A folder of degraded images -> restored PNGs and their scores, several images at a time.

MMEngine's test loop reads ahead, but decodes, writes and scores between two passes of the net.
"""

from __future__ import annotations

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

from ..data.images import Image8, read_image, write_png
from .memory import free_memory
from .restore import Restorer
from .score import ImageScore, bicubic, score_image

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
