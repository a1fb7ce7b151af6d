"""A folder of degraded images -> restored PNGs, scores, a panel, and the leaderboard's zip."""

import json
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import torch
from rich.console import Console
from rich.progress import track

from ..drawing import draw_panel, stack_panels
from ..errors import UserError
from ..files import write_file, write_whole, writing_results
from ..images import Image8, as_grey, list_images, pair_images, read_image, write_png
from ..nets import use_tf32, use_threads
from .restorer import Restorer
from .score import (
    LEADERBOARD,
    ImageScore,
    Scoring,
    bicubic,
    format_scores,
    mean_scores,
    score_image,
    write_csv,
)

MOST_WORKERS = 8  # batches at one time, on machines with many cores
PANEL_ROWS = 3


@dataclass(frozen=True)
class Manifest:
    """How a folder of images was restored: the file ``<folder>.json`` beside it."""

    input: str  # the folder of degraded images
    gt: str | None  # the folder of their ground truths
    checkpoint: str | None
    ema: bool  # whether the average of its weights was taken
    scores: dict[str, float]  # means: psnr (dB), ssim, niqe, lpips_alex, lpips_vgg
    bicubic: dict[str, float] | None  # the same of bicubic; only with ground truth
    images: int  # how many were restored
    precision: str = 'float32'
    tta: str | None = None  # the restorer's
    y: bool = False  # how the images were scored, see Scoring
    border: int = 0
    suffix: str = ''

    def write(self, path: Path) -> None:
        """Write the manifest."""
        write_file(path, f'{json.dumps(asdict(self), indent=2)}\n')

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a manifest; None if the file is no manifest."""
        try:
            content = json.loads(path.read_text('utf-8'))
            names = [field.name for field in fields(cls) if field.name in content]
            return cls(**{name: content[name] for name in names})
        except (TypeError, ValueError):
            return None


@dataclass(frozen=True)
class Restored:
    """The result of one image."""

    path: Path  # the input
    score: ImageScore | None  # of the PNG as read back from disk, if asked for
    baseline: ImageScore | None  # of bicubic, if there is a ground truth
    tile: int | None  # side of its tiles, in pixels of the input; None if it took none
    panel: Image8 | None = None  # if asked for


def restore_and_score(
    restorer: Restorer,
    folder: Path,
    out: Path,
    gt: Path | None = None,
    zip_file: Path | None = None,
    batch_size: int = 1,
    scoring: Scoring = LEADERBOARD,
    overwrite: bool = False,
) -> None:
    """Restore a folder of images of any size into ``out``, score the PNGs, draw and pack them.

    Beside ``out`` come ``<out>.csv`` (a line for each image), ``<out>_panel.png``, and
    ``<out>.json`` (:class:`Manifest`). ``gt`` has ground truths of the same names; without them
    the score is NIQE. ``zip_file`` is the submission to write, if any.
    """
    if batch_size < 1:
        raise UserError(f'--batch-size {batch_size}: at least 1 image expected')
    out = out.resolve()  # '.' has no name
    if not out.name:
        raise UserError(f'{out}: --out takes a folder below it')
    if out.parent in [path.resolve() for path in (folder, gt) if path is not None]:
        where = f'among the images of {out.parent}'
        raise UserError(f'{out}: its panel would be {where}; choose another')
    images = list_images(folder)
    truths = None
    if gt is not None:
        pairs = [pair for _, pair in pair_images({'input': folder, 'gt': gt}, scoring.suffix)]
        images = {pair['input'].stem: pair['input'] for pair in pairs}
        truths = {pair['input'].stem: pair['gt'] for pair in pairs}
    pngs = [out / f'{stem}.png' for stem in images]
    table, manifest, panel = (
        out.with_name(f'{out.name}{end}') for end in ('.csv', '.json', '_panel.png')
    )
    targets = [*pngs, table, manifest, panel, *([zip_file] if zip_file else [])]
    inputs = [*images.values(), *(truths or {}).values(), *restorer.files]
    inputs += [scoring.lpips.path] if scoring.lpips else []
    with writing_results(targets, inputs, overwrite, folders=[out]):
        if restorer.precision != 'float32':
            print(f'computing in {restorer.precision}; for scores to compare, take float32')
        shown = spread(list(images), PANEL_ROWS)
        restored = restore_folder(
            restorer, images, out, truths, batch_size, shown=shown, scoring=scoring
        )
        scores = [result.score for result in restored if result.score]
        baseline = [result.baseline for result in restored if result.baseline]
        write_csv(table, scores)
        which = 'averaged' if restorer.ema else 'raw'
        print(f'{len(images)} images in {out}, by the {which} weights of {restorer.checkpoint}')
        print(f' output: {format_scores(scores, scoring)}')
        if baseline:
            print(f'bicubic: {format_scores(baseline, scoring)}')
        Manifest(
            input=str(folder.resolve()),
            gt=None if gt is None else str(gt.resolve()),
            checkpoint=restorer.checkpoint,
            ema=restorer.ema,
            scores=mean_scores(scores),
            bicubic=mean_scores(baseline) if baseline else None,
            images=len(images),
            precision=restorer.precision,
            tta=restorer.tta,
            y=scoring.y,
            border=scoring.border,
            suffix=scoring.suffix,
        ).write(manifest)
        print(f'scores of each image: {table}')
        write_png(panel, stack_panels([row.panel for row in restored if row.panel is not None]))
        print(f'panel: {panel}')
        if zip_file is not None:
            write_submission(zip_file, pngs)
            print(f'submission: {zip_file}')


def restore_folder(
    restorer: Restorer,
    images: Mapping[str, Path],
    out: Path,
    truths: Mapping[str, Path] | None = None,
    batch_size: int = 1,
    scored: bool = True,
    shown: Collection[str] = (),
    scoring: Scoring = LEADERBOARD,
) -> list[Restored]:
    """Restore images into ``out``, an 8-bit RGB PNG for each, and score the PNGs.

    Each worker reads, restores, writes, reads back and scores a batch. On a CPU the workers share
    PyTorch's threads: a net on each of two cores restores more images than one net on both. A GPU
    runs nets in a thread of its own, one batch at a time: in each further thread cuDNN would plan
    all convolutions anew, half a second for a net. After an error, what was written before stays.

    ``images`` and ``truths`` are files by stem; without truths the score is NIQE. ``batch_size``
    consecutive images of one size go through the net together. Panels are drawn of ``shown`` stems.
    """
    device = ThreadPoolExecutor(1) if restorer.device.type == 'cuda' else None
    if scoring.lpips is not None:
        scoring.lpips.to(restorer.device)
    job = _Job(restorer, images, out, truths or {}, scored, shown, scoring, device)
    stems = list(images)
    batches = [stems[first : first + batch_size] for first in range(0, len(stems), batch_size)]
    threads = torch.get_num_threads()
    workers = min(max(threads, 2) if device else threads, len(batches), MOST_WORKERS)
    results: list[Restored] = []
    console = Console()
    executor = ThreadPoolExecutor(workers)
    # Of the process: one for all threads.
    with use_tf32(False), use_threads(threads if device else threads // workers):
        try:
            futures = [executor.submit(job.run, batch) for batch in batches]
            for future in track(futures, 'restoring', console=console):
                for result in future.result():
                    results.append(result)
                    if result.tile is not None:
                        text = f'{result.path}: restored in tiles of {result.tile} pixels'
                        console.print(text, markup=False)  # a name may have brackets
        finally:  # also after an error or Ctrl-C: running batches end soon, waiting never start
            restorer.stop.set()
            executor.shutdown(cancel_futures=True)
            if device is not None:
                device.shutdown()
            restorer.stop.clear()
    return results


@dataclass(frozen=True)
class _Job:
    """What a worker of :func:`restore_folder`, which describes the fields, does with a batch."""

    restorer: Restorer
    images: Mapping[str, Path]
    out: Path
    truths: Mapping[str, Path]
    scored: bool
    shown: Collection[str]
    scoring: Scoring
    device: ThreadPoolExecutor | None  # in which a GPU's nets run; on a CPU each worker runs them

    def run(self, stems: Sequence[str]) -> list[Restored]:
        """Read, restore, write, read back and score a batch."""
        inputs = [(stem, read_image(self.images[stem])) for stem in stems]
        done = []
        for _, same in groupby(inputs, lambda pair: pair[1].shape):
            group = list(same)
            results = self._on_device(self._restore, group)
            for (stem, lq), result in zip(group, results, strict=True):
                done.append(self._finish(stem, lq, *result))
        return done

    def _on_device(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.device.submit(function, *args).result() if self.device else function(*args)

    def _restore(self, group: list[tuple[str, Image8]]) -> list[tuple[Image8, int | None]]:
        try:
            return self.restorer.restore_batch([lq for _, lq in group])
        except UserError as error:
            if len(group) == 1:
                raise UserError(f'{self.images[group[0][0]]}: {error}') from None
        return [result for pair in group for result in self._restore([pair])]  # which one is it?

    def _finish(self, stem: str, lq: Image8, sr: Image8, tile: int | None) -> Restored:
        """Write a restored image, score it as read back, and draw its panel."""
        png = self.out / f'{stem}.png'
        write_png(png, sr)
        if not self.scored:
            return Restored(self.images[stem], None, None, tile)
        gt = read_image(self.truths[stem]) if self.truths else None
        if self.restorer.grey:  # compared with what the net was trained for
            lq, gt = as_grey(lq), None if gt is None else as_grey(gt)
        written = read_image(png)
        compute = partial(self._on_device, score_image) if self.scoring.lpips else score_image
        score = compute(png.name, written, gt, self.scoring)
        enlarged = bicubic(lq, *written.shape[:2])
        baseline = None if gt is None else compute(png.name, enlarged, gt, self.scoring)
        panel = None
        if stem in self.shown:
            row = {} if gt is None else {'ground truth': gt}
            panel = draw_panel(row | dict(input=lq, bicubic=enlarged, output=written))
        return Restored(self.images[stem], score, baseline, tile, panel)


def write_submission(path: str | Path, images: Sequence[Path]) -> None:
    """Pack images into a zip file, in a subfolder with their folder's name."""
    # PNG is compressed already.
    with write_whole(path) as partial, zipfile.ZipFile(partial, 'w', zipfile.ZIP_STORED) as archive:
        for image in images:
            archive.write(image, f'{image.resolve().parent.name}/{image.name}')


def spread(stems: Sequence[str], count: int) -> list[str]:
    """Choose at most ``count`` images, evenly over a set."""
    return list(stems[:: max(1, len(stems) // count)][:count])
