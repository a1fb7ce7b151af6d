"""What tools/test.py restored for several runs: which results stand side by side, and how."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Self

import numpy as np

from ..drawing import draw_text, resize
from ..errors import UserError
from ..images import Image8, find_images, read_image
from ..restoring.folder import PANEL_ROWS, Manifest, spread
from ..restoring.score import SCORES, ImageScore, Scoring, bicubic, read_csv, score_image
from .run import Run

FACE = 512  # side of the face that crops refer to, in pixels
COLUMN, GAP, FRAME_LINE = 512, 8, 4  # pixels
FRAME_COLOURS = ((230, 120, 0), (0, 140, 215), (0, 150, 90), (190, 60, 150))
# A set of at most so many images (the challenge's real photographs) is shown completely.
ALL_SHOWN = 6


@dataclass(frozen=True)
class Crop:
    """A place in a face, in pixels of a face of 512x512."""

    name: str
    x: int
    y: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME=X,Y,W,H``; a UserError if it is something else, or outside the face."""
        match = re.fullmatch(r'([^=]+)=(\d+),(\d+),(\d+),(\d+)', text)
        if not match:
            raise UserError(f'--crop {text}: NAME=X,Y,W,H expected, in pixels')
        x, y, width, height = map(int, match.groups()[1:])
        if not (width and height and x + width <= FACE and y + height <= FACE):
            raise UserError(f'--crop {text}: not inside a picture of {FACE}x{FACE} pixels')
        return cls(match[1], x, y, width, height)

    def slices(self, image: Image8) -> tuple[slice, slice]:
        """Rows and columns of the crop in a picture of any size, at least one of each."""

        def scale(start: int, length: int, size: int) -> slice:
            first = min(round(start * size / FACE), size - 1)
            return slice(first, max(first + 1, round((start + length) * size / FACE)))

        return scale(self.y, self.height, image.shape[0]), scale(self.x, self.width, image.shape[1])


#: FFHQ and CelebA-HQ have the eyes near (193, 240) and (319, 240), the mouth near y = 371.
DEFAULT_CROPS = (Crop('eyes', 128, 192, 256, 96), Crop('mouth', 128, 323, 256, 96))


def draw_columns(
    images: Mapping[str, Image8],
    scores: Mapping[str, str],
    crops: Sequence[Crop] = DEFAULT_CROPS,
) -> dict[str, Image8]:
    """Draw pictures of one face, each 520 pixels wide, with crops and scores below, by caption.

    The images, (H, W, 3) uint8 RGB, are of one aspect ratio; smaller ones are enlarged with their
    pixels kept visible. Crops are marked in every picture, and shown enlarged under it.
    """
    # At a page's width as large as the page's own text, for any number of pictures.
    line = round((COLUMN + GAP) * (len(images) + 1) / 62)
    height, width = max(image.shape[:2] for image in images.values())
    columns = {}
    for caption, image in images.items():
        parts = [draw_text(caption, COLUMN, line)]
        parts += _draw_column(resize(image, height, width), crops)
        if scores:
            parts.append(draw_text(scores.get(caption, ''), COLUMN, line))
        columns[caption] = _pad(np.concatenate(parts), right=GAP)
    return columns


def join_columns(name: str, columns: Sequence[Image8], crops: Sequence[Crop]) -> Image8:
    """Put the columns side by side; below, the face's name and what is enlarged, from the top."""
    row = np.concatenate(columns, axis=1)
    line = round(row.shape[1] * (len(columns) + 1) / len(columns) / 62)
    text = f'{name}, enlarged: {", ".join(crop.name for crop in crops)}' if crops else name
    return np.concatenate([row, _pad(draw_text(text, row.shape[1], line), below=line)])


def _draw_column(image: Image8, crops: Sequence[Crop]) -> list[Image8]:
    """The picture with its crops framed, and the crops, 512 pixels wide each."""
    picture = resize(image, max(1, round(image.shape[0] * COLUMN / image.shape[1])), COLUMN).copy()
    parts = [picture]
    for crop, colour in zip(crops, cycle(FRAME_COLOURS), strict=False):
        height = max(1, round(crop.height / crop.width * picture.shape[0]))
        zoomed = resize(image[crop.slices(image)], height, COLUMN).copy()
        _frame(zoomed, colour, FRAME_LINE)
        _frame(picture[crop.slices(picture)], colour, FRAME_LINE // 2)
        parts.append(_pad(zoomed, above=GAP))
    return parts


def _pad(image: Image8, above: int = 0, below: int = 0, right: int = 0) -> Image8:
    return np.pad(image, ((above, below), (0, right), (0, 0)), constant_values=255)


def _frame(image: Image8, colour: tuple[int, int, int], line: int) -> None:
    """Draw a frame just inside a picture."""
    for edge in (image[:line], image[-line:], image[:, :line], image[:, -line:]):
        edge[:] = colour


@dataclass(frozen=True)
class ResultSet:
    """A folder of restored images in a run's work directory, and its manifest."""

    run: Run
    folder: Path
    manifest: Manifest

    @property
    def scoring(self) -> Scoring:
        """How it was scored, without LPIPS."""
        return Scoring(None, self.manifest.y, self.manifest.border, self.manifest.suffix)


@dataclass(frozen=True)
class Group:
    """Result sets of one input folder."""

    name: str  # the first set's, with a number if another group has it
    input: Path  # the folder of degraded images
    gt: Path | None  # that of their ground truths, if it is still there
    scoring: Scoring  # how its sets were scored, without LPIPS
    sets: dict[str, ResultSet]  # by their columns' captions
    stems: Sequence[str]  # images that every folder of the group still holds, sorted
    notes: Sequence[str]  # what is missing, in sentences
    folders: Sequence[Path]  # all that are read


def find_result_sets(run: Run) -> Iterator[ResultSet]:
    """Find the manifests in a work directory whose results folder is still there."""
    for path in sorted(run.folder.glob('*.json')):
        folder = path.with_suffix('')
        if path.is_file() and folder.is_dir() and (manifest := Manifest.read(path)):
            yield ResultSet(run, folder, manifest)


def group_by_input(sets: Iterable[ResultSet]) -> list[Group]:
    """Group the sets of one input folder, in the order they come in."""
    by_input: dict[tuple[str, Scoring], list[ResultSet]] = {}
    for found in sets:
        by_input.setdefault((found.manifest.input, found.scoring), []).append(found)
    groups: dict[str, Group] = {}
    for (folder, scoring), members in by_input.items():
        name, count = members[0].folder.name, 1
        while name in groups:
            count += 1
            name = f'{members[0].folder.name}_{count}'
        groups[name] = _make_group(name, Path(folder), scoring, members)
    return list(groups.values())


def draw_group(
    group: Group, names: Sequence[str], crops: Sequence[Crop]
) -> dict[str, dict[str, Image8]]:
    """Draw input, outputs, ground truth and bicubic, by stem and caption.

    Of the images in ``names``; if the group has none of them, of some spread over the set.
    """
    count = ALL_SHOWN if len(group.stems) <= ALL_SHOWN else PANEL_ROWS
    stems = [name for name in names if name in group.stems] or spread(group.stems, count)
    folders = {'input': group.input}
    folders |= {caption: found.folder for caption, found in group.sets.items()}
    files = {caption: find_images(folder)[0] for caption, folder in folders.items()}
    truths = _find_truths(group.gt, group.scoring) if group.gt else {}
    tables = {caption: _read_scores(found.folder) for caption, found in group.sets.items()}
    panels = {}
    for stem in stems:
        images = {caption: read_image(paths[stem]) for caption, paths in files.items()}
        scores = {caption: values.get(stem, '') for caption, values in tables.items()}
        if truths:
            truth = read_image(truths[stem])
            enlarged = bicubic(images['input'], *truth.shape[:2])
            images |= {'ground truth': truth, 'bicubic': enlarged}
            scores['bicubic'] = _describe(score_image(stem, enlarged, truth, group.scoring))
        panels[stem] = draw_columns(images, scores, crops)
    return panels


def _make_group(name: str, folder: Path, scoring: Scoring, members: list[ResultSet]) -> Group:
    runs = [member.run.name for member in members]
    captions = ['output']
    if len(members) > 1:
        captions = [
            run if runs.count(run) == 1 else f'{run}: {member.folder.name}'
            for run, member in zip(runs, members, strict=True)
        ]
    notes = [f'Scored: {scoring.note}.'] if scoring.note else []
    truths = [Path(member.manifest.gt) for member in members if member.manifest.gt]
    gt = next((path for path in truths if path.is_dir()), None)
    if truths and gt is None:
        notes.append('The ground truths are no longer where they were: no panel shows them.')
    folders = [folder, *(member.folder for member in members)]
    found = [set(find_images(path)[0]) for path in folders]
    stems = set.intersection(*found, *([set(_find_truths(gt, scoring))] if gt else []))
    folders += [gt] if gt else []
    if not folder.is_dir():
        notes.append(f'The input folder {folder} is no longer there: no panel can be drawn.')
    elif not stems:
        notes.append('No image is in all of the folders: no panel can be drawn.')
    sets = dict(zip(captions, members, strict=True))
    return Group(name, folder, gt, scoring, sets, sorted(stems), notes, folders)


def _find_truths(folder: Path, scoring: Scoring) -> dict[str, Path]:
    """The ground truths by the names of their inputs."""
    truths = find_images(folder)[0]
    return truths | {f'{stem}{scoring.suffix}': path for stem, path in truths.items()}


def _read_scores(folder: Path) -> dict[str, str]:
    """The scores by stem from the table that tools/test.py wrote."""
    path = folder.with_name(f'{folder.name}.csv')
    scores = read_csv(path) if path.is_file() else []
    return {Path(score.name).stem: _describe(score) for score in scores}


def _describe(score: ImageScore) -> str:
    values = {kind: getattr(score, name) for name, kind in SCORES.items()}
    return ', '.join(kind.format(value) for kind, value in values.items() if not math.isnan(value))
