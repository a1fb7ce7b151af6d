"""What tools/test.py wrote for several runs, brought together by what it restored."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config import unknown
from ..errors import UserError
from ..images import Image8, find_images, read_image
from ..restoring.folder import PANEL_ROWS, spread
from ..restoring.score import bicubic, score_image
from .comparison import Crop, draw_comparison
from .run import Run

COLUMNS = ('ground truth', 'bicubic', 'input')
# As many as the challenge's real photographs: of so few, all are shown.
ALL_SHOWN = 6


@dataclass(frozen=True)
class ResultSet:
    """A results folder and what its manifest, ``<folder>.json``, says of it.

    Attributes:
        run: the run it lies in.
        folder: the restored images.
        input, gt: the degraded images, and their ground truths if there are any.
        checkpoint, ema: the weights: their file, and whether they were its average.
        scores, bicubic: means by ``psnr`` (dB), ``ssim``, ``niqe``; bicubic's with ``gt`` alone.
        images: how many were restored.
    """

    run: Run
    folder: Path
    input: Path
    gt: Path | None
    checkpoint: str | None
    ema: bool
    scores: dict[str, float]
    bicubic: dict[str, float] | None
    images: int


@dataclass(frozen=True)
class Group:
    """Result sets of one input folder.

    Attributes:
        name: the first set's, made to differ from those of other groups.
        captions: of the sets' columns, in the sets' order.
        stems: images that every folder of the group still holds, sorted.
        notes: what could not be found, in sentences.
    """

    name: str
    sets: Sequence[ResultSet]
    captions: Sequence[str]
    gt: Path | None
    stems: Sequence[str]
    notes: Sequence[str]


def find_result_sets(run: Run) -> Iterator[ResultSet]:
    """Find the manifests in a work directory whose results folder is still there."""
    for path in sorted(run.folder.glob('*.json')):
        folder = path.with_suffix('')
        try:
            manifest = json.loads(path.read_text('utf-8'))
            found = ResultSet(
                run,
                folder,
                Path(manifest['input']),
                Path(manifest['gt']) if manifest['gt'] else None,
                manifest['checkpoint'],
                manifest['ema'],
                {name: float(score) for name, score in manifest['scores'].items()},
                manifest['bicubic'],
                manifest['images'],
            )
        except (AttributeError, KeyError, TypeError, ValueError):  # some other JSON file
            continue
        if folder.is_dir():
            yield found


def group_by_input(sets: Iterable[ResultSet]) -> list[Group]:
    """Bring the sets of one input folder together, in the order they come in."""
    by_input: dict[Path, list[ResultSet]] = {}
    for found in sets:
        by_input.setdefault(found.input, []).append(found)
    groups: list[Group] = []
    for folder, members in by_input.items():
        name = base = members[0].folder.name
        count = 1
        while name in {group.name for group in groups}:
            count += 1
            name = f'{base}_{count}'
        groups.append(_make_group(name, folder, members))
    return groups


def _make_group(name: str, folder: Path, members: list[ResultSet]) -> Group:
    runs = [member.run.name for member in members]
    captions = [
        member.run.name
        if runs.count(member.run.name) == 1
        else f'{member.run.name}: {member.folder.name}'
        for member in members
    ]
    # A run may be called like one of the other columns.
    captions = [f'run {name}' if name in COLUMNS else name for name in captions]
    notes = []
    gt = next((member.gt for member in members if member.gt and member.gt.is_dir()), None)
    if gt is None and any(member.gt for member in members):
        notes.append('The ground truths are no longer where they were: no panel shows them.')
    folders = [folder, *([gt] if gt else []), *(member.folder for member in members)]
    stems = set.intersection(*(set(find_images(place)[0]) for place in folders))
    if not folder.is_dir():
        notes.append(f'The input folder {folder} is no longer there: no panel can be drawn.')
    elif not stems:
        notes.append('No image is in all of the folders: no panel can be drawn.')
    return Group(
        name, members, captions if len(members) > 1 else ['output'], gt, sorted(stems), notes
    )


def choose_images(groups: Sequence[Group], names: Sequence[str]) -> dict[str, list[str]]:
    """Choose what the panels show: the named images, or some spread over the set.

    Args:
        groups: what there is.
        names: stems; a group that has none of them shows what it would without.

    Returns:
        Stems by the group's name.

    Raises:
        UserError: a name is in no group.
    """
    known = {stem for group in groups for stem in group.stems}
    for name in names:
        if name not in known:
            raise UserError(f'--images {name}: {unknown(name, known, "image")}')
    chosen = {}
    for group in groups:
        stems = [name for name in names if name in group.stems]
        count = ALL_SHOWN if len(group.stems) <= ALL_SHOWN else PANEL_ROWS
        chosen[group.name] = stems or spread(group.stems, count)
    return chosen


def draw_group(group: Group, stems: Iterable[str], crops: Sequence[Crop]) -> list[Image8]:
    """Draw a comparison for each of some images: ground truth | bicubic | input | outputs."""
    folders = {'input': group.sets[0].input}
    folders |= {
        caption: found.folder for caption, found in zip(group.captions, group.sets, strict=True)
    }
    if group.gt is not None:
        folders['ground truth'] = group.gt
    files = {caption: find_images(folder)[0] for caption, folder in folders.items()}
    niqe = {
        caption: _read_niqe(found.folder)
        for caption, found in zip(group.captions, group.sets, strict=True)
    }
    panels = []
    for stem in stems:
        images = {caption: read_image(files[caption][stem]) for caption in folders}
        truth = images.pop('ground truth', None)
        if truth is None:
            scores = {caption: niqe[caption].get(stem, '') for caption in group.captions}
        else:
            baseline = bicubic(images['input'], *truth.shape[:2])
            scored = {'bicubic': baseline, **{name: images[name] for name in group.captions}}
            scores = {name: _score(stem, image, truth) for name, image in scored.items()}
            images = {'ground truth': truth, 'bicubic': baseline, **images}
        panels.append(draw_comparison(stem, images, scores, crops))
    return panels


def _score(stem: str, image: Image8, truth: Image8) -> str:
    score = score_image(stem, image, truth)
    return f'PSNR {score.psnr:.2f} dB, SSIM {score.ssim:.3f}'


def _read_niqe(folder: Path) -> dict[str, str]:
    """NIQE by stem as tools/test.py wrote it beside the folder: it takes long to compute."""
    path = folder.with_name(f'{folder.name}.csv')
    if not path.is_file():
        return {}
    with path.open(newline='', encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row.get('niqe')]
    return {
        Path(row['name']).stem: f'NIQE {float(row["niqe"]):.2f} (lower is better)' for row in rows
    }
