"""The leaderboard's score: files on disk against ground truth, as 8-bit RGB; all scores' names."""

import csv
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmagic.evaluation import niqe
from rich.progress import track

from ..errors import UserError
from ..files import write_whole, writing_results
from ..images import Image8, check_size, list_images, pair_images, read_image
from .metrics import LEAST_SIDE, LPIPS, WINDOW, compared, psnr, ssim

# MMagic's NIQE fits a covariance over blocks of 96 pixels, and needs at least two blocks a side.
NIQE_MIN_PIXELS = 192


@dataclass(frozen=True)
class Score:
    """A kind of score."""

    name: str  # for people
    unit: str = ''
    logged: str = ''  # the name in a validation's log; empty if no validation computes it
    lower_is_better: bool = False
    digits: int = 3  # after the point, under a picture

    @property
    def heading(self) -> str:
        """The name with what belongs to it, for a column or an axis: ``PSNR (dB)``."""
        unit = f' ({self.unit})' if self.unit else ''
        return f'{self.name}{unit}{", lower is better" if self.lower_is_better else ""}'

    def format(self, value: float, digits: int | None = None) -> str:
        """A value with its name and unit: ``PSNR 29.44 dB``."""
        unit = f' {self.unit}' if self.unit else ''
        return f'{self.name} {value:.{self.digits if digits is None else digits}f}{unit}'


def _score(name: str, unit: str = '', **how: Any) -> Any:
    return field(default=math.nan, metadata={'score': Score(name, unit, **how)})


@dataclass(frozen=True)
class ImageScore:
    """The scores of one image; ``nan`` where there is none."""

    name: str  # of its file
    psnr: float = _score('PSNR', 'dB', logged='PSNR', digits=2)  # against the ground truth
    ssim: float = _score('SSIM', logged='SSIM')  # on 8-bit RGB, at most 1
    #: MMagic's no-reference quality, without ground truth.
    niqe: float = _score('NIQE', logged='NIQE', lower_is_better=True, digits=2)
    lpips_alex: float = _score('LPIPS (AlexNet)', logged='LPIPS', lower_is_better=True)
    lpips_vgg: float = _score('LPIPS (VGG16)', lower_is_better=True)


#: The kinds of scores by their names in tables and manifests, in the order they are shown.
SCORES: dict[str, Score] = {part.name: part.metadata['score'] for part in fields(ImageScore)[1:]}


@dataclass(frozen=True)
class Scoring:
    """How images are scored; by default as the leaderboard does."""

    lpips: LPIPS | None = None  # LPIPS too
    y: bool = False  # PSNR and SSIM of the luma instead of RGB
    border: int = 0  # pixels that PSNR and SSIM leave out
    suffix: str = ''  # of the images' names, see pair_images()

    @property
    def note(self) -> str:
        """What differs from the leaderboard's, for people; empty if nothing."""
        border = f'without a border of {self.border} pixels' if self.border else ''
        return ', '.join(filter(None, ['PSNR and SSIM of Y' if self.y else '', border]))


LEADERBOARD = Scoring()


def score_image(
    name: str, image: Image8, gt: Image8 | None, scoring: Scoring = LEADERBOARD
) -> ImageScore:
    """Score (H, W, 3) 8-bit RGB against ``gt``, of the same size: PSNR, SSIM, LPIPS; else NIQE.

    An image that is too small for a score has none.
    """
    if gt is None:
        if min(image.shape[:2]) < NIQE_MIN_PIXELS or np.ptp(image) == 0:
            return ImageScore(name)
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        try:
            return ImageScore(name, niqe=float(niqe(bgr, crop_border=0, convert_to='gray')))
        except np.linalg.LinAlgError:  # hardly any texture
            return ImageScore(name)
    height, width = gt.shape[:2]
    check_size(name, image, height, width, 'the size of its ground truth')
    pair = [torch.from_numpy(side).permute(2, 0, 1)[None] for side in (image, gt)]
    side, lpips = min(image.shape[:2]), scoring.lpips
    inner = [compared(image, scoring.y, scoring.border) for image in pair]
    if not inner[0].numel():
        raise UserError(f'{name}: nothing is left without a border of {scoring.border} pixels')
    scores = {'psnr': psnr(*inner).item()}
    if side - 2 * scoring.border >= WINDOW:
        scores['ssim'] = ssim(*inner).item()
    if lpips is not None and side >= LEAST_SIDE[lpips.net]:
        scores[f'lpips_{lpips.net}'] = lpips(*pair).item()
    return ImageScore(name, **scores)


def open_scoring(
    gt_folder: str | Path | None,
    lpips: str | None = None,
    y: bool = False,
    border: int = 0,
    suffix: str = '',
) -> Scoring:
    """Make what the options of a tool ask for, before anything takes time; ``lpips`` is a net."""
    options = dict(lpips=lpips, y=y, border=border, suffix=suffix)
    for option in [name for name, value in options.items() if value and gt_folder is None]:
        raise UserError(f'--{option} compares with ground truths; name their folder: --gt DIR')
    if border < 0:
        raise UserError(f'--border {border}: at least 0 pixels expected')
    return Scoring(None if lpips is None else LPIPS(lpips), y, border, suffix)


def score_folder(
    folder: str | Path,
    gt_folder: str | Path | None,
    scoring: Scoring = LEADERBOARD,
    table: Path | None = None,
    overwrite: bool = False,
) -> list[ImageScore]:
    """Score a folder's images with a progress bar: against ground truths, or by NIQE without."""
    if gt_folder is None:
        pairs = [{'image': path} for path in list_images(folder).values()]
    else:
        folders = {'image': folder, 'gt': gt_folder}
        pairs = [pair for _, pair in pair_images(folders, scoring.suffix)]
    inputs = [path for pair in pairs for path in pair.values()]
    inputs += [scoring.lpips.path] if scoring.lpips else []
    scores = []
    with writing_results([table] if table else [], inputs, overwrite):
        for pair in track(pairs, 'scoring', transient=True):
            gt = read_image(pair['gt']) if 'gt' in pair else None
            image = read_image(pair['image'])
            scores.append(score_image(pair['image'].name, image, gt, scoring))
        if table:
            write_csv(table, scores)
    return scores


def bicubic(lq: Image8, height: int, width: int) -> Image8:
    """Enlarge with OpenCV's bicubic: the baseline (27.257 dB on the challenge's validation set)."""
    return np.asarray(cv2.resize(lq, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def mean_scores(scores: Sequence[ImageScore]) -> dict[str, float]:
    """Average each score over the images that have it: ``{'psnr': ..., 'ssim': ...}``."""
    found = {name: _values(scores, name) for name in SCORES}
    return {name: math.fsum(values) / len(values) for name, values in found.items() if values}


def _values(scores: Sequence[ImageScore], name: str) -> list[float]:
    return [value for score in scores if not math.isnan(value := getattr(score, name))]


def format_scores(scores: Sequence[ImageScore], scoring: Scoring = LEADERBOARD) -> str:
    """One line for people: ``PSNR 29.4400 dB, SSIM 0.8041 (mean of 400 images)``."""
    scored = sum(any(not math.isnan(value) for value in astuple(score)[1:]) for score in scores)
    reason = f'NIQE needs {NIQE_MIN_PIXELS} pixels a side and some texture'
    if not scored:
        return f'no score: {reason}'
    parts = [SCORES[name].format(value, 4) for name, value in mean_scores(scores).items()]
    notes = [f'mean of {scored} images', *filter(None, [scoring.note])]
    for name, kind in SCORES.items():
        if 0 < (count := len(_values(scores, name))) < scored:
            notes.append(f'{kind.name} of {count}: others are too small')
    if scored < len(scores):
        notes.append(f'{len(scores) - scored} more have none: {reason}')
    return f'{", ".join(parts)} ({"; ".join(notes)})'


def write_csv(path: str | Path, scores: Sequence[ImageScore]) -> None:
    """Write one line for each image, columns as :class:`ImageScore`; ``nan`` stays empty."""
    with write_whole(path) as partial, partial.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['name', *SCORES])
        for score in scores:
            name, *values = astuple(score)
            writer.writerow([name, *('' if math.isnan(value) else value for value in values)])


def read_csv(path: str | Path) -> list[ImageScore]:
    """Read what :func:`write_csv` wrote, also an older file with fewer columns."""
    with Path(path).open(newline='', encoding='utf-8') as file:
        return [
            ImageScore(row['name'], *(float(row.get(name) or 'nan') for name in SCORES))
            for row in csv.DictReader(file)
        ]
