"""What tools/test.py restored for several runs, grouped by the input folder."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..config import unknown
from ..errors import UserError
from ..images import Image8, find_images, read_image
from ..models.features import LPIPS_NETS
from ..restoring.folder import PANEL_ROWS, Manifest, spread
from ..restoring.lpips import LPIPS
from ..restoring.score import bicubic, read_csv, score_image
from ..scores import SCORES, ImageScore
from .comparison import Crop, draw_columns
from .run import Run

COLUMNS = ('ground truth', 'bicubic', 'input')
# A set of at most so many images (the challenge's real photographs) is shown completely.
ALL_SHOWN = 6


@dataclass(frozen=True)
class ResultSet:
    """A folder of restored images in a run's work directory, and its manifest."""

    run: Run
    folder: Path
    manifest: Manifest


@dataclass(frozen=True)
class Group:
    """Result sets of one input folder."""

    name: str  # the first set's, with a number if another group has it
    input: Path  # the folder of degraded images
    gt: Path | None  # that of their ground truths, if it is still there
    sets: dict[str, ResultSet]  # by their columns' captions
    stems: Sequence[str]  # images that every folder of the group still holds, sorted
    notes: Sequence[str]  # what is missing, in sentences

    @property
    def folders(self) -> list[Path]:
        """All folders of images that are read."""
        truths = [self.gt] if self.gt else []
        return [self.input, *truths, *(found.folder for found in self.sets.values())]


def find_result_sets(run: Run) -> Iterator[ResultSet]:
    """Find the manifests in a work directory whose results folder is still there."""
    for path in sorted(run.folder.glob('*.json')):
        folder = path.with_suffix('')
        if path.is_file() and folder.is_dir() and (manifest := Manifest.read(path)):
            yield ResultSet(run, folder, manifest)


def group_by_input(sets: Iterable[ResultSet]) -> list[Group]:
    """Group the sets of one input folder, in the order they come in."""
    by_input: dict[Path, list[ResultSet]] = {}
    for found in sets:
        by_input.setdefault(Path(found.manifest.input), []).append(found)
    groups: dict[str, Group] = {}
    for folder, members in by_input.items():
        name, count = members[0].folder.name, 1
        while name in groups:
            count += 1
            name = f'{members[0].folder.name}_{count}'
        groups[name] = _make_group(name, folder, members)
    return list(groups.values())


def check_names(groups: Sequence[Group], names: Sequence[str]) -> None:
    """Raise a UserError for the stem of an image that is in no group."""
    known = {stem for group in groups for stem in group.stems}
    for name in names:
        if name not in known:
            raise UserError(f'--images {name}: {unknown(name, known, "image")}')


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
    truths = find_images(group.gt)[0] if group.gt else {}
    sets = {} if truths else group.sets
    tables = {caption: _read_scores(found.folder) for caption, found in sets.items()}
    lpips = _open_lpips(group) if truths else None
    panels = {}
    for stem in stems:
        images = {caption: read_image(paths[stem]) for caption, paths in files.items()}
        scores = {caption: values.get(stem, '') for caption, values in tables.items()}
        if truths:
            truth = read_image(truths[stem])
            images |= {'ground truth': truth, 'bicubic': bicubic(images['input'], *truth.shape[:2])}
            for caption in ('bicubic', *group.sets):
                scores[caption] = _describe(score_image(stem, images[caption], truth, lpips))
        panels[stem] = draw_columns(images, scores, crops)
    return panels


def _make_group(name: str, folder: Path, members: list[ResultSet]) -> Group:
    runs = [member.run.name for member in members]
    captions = ['output']
    if len(members) > 1:
        captions = [
            run if runs.count(run) == 1 else f'{run}: {member.folder.name}'
            for run, member in zip(runs, members, strict=True)
        ]
        # A run may have the name of another column.
        captions = [f'run {caption}' if caption in COLUMNS else caption for caption in captions]
    notes = []
    truths = [Path(member.manifest.gt) for member in members if member.manifest.gt]
    gt = next((path for path in truths if path.is_dir()), None)
    if truths and gt is None:
        notes.append('The ground truths are no longer where they were: no panel shows them.')
    folders = [folder, *([gt] if gt else []), *(member.folder for member in members)]
    stems = set.intersection(*(set(find_images(place)[0]) for place in folders))
    if not folder.is_dir():
        notes.append(f'The input folder {folder} is no longer there: no panel can be drawn.')
    elif not stems:
        notes.append('No image is in all of the folders: no panel can be drawn.')
    return Group(name, folder, gt, dict(zip(captions, members, strict=True)), sorted(stems), notes)


def _open_lpips(group: Group) -> LPIPS | None:
    """The LPIPS that a set of the group was scored by, if its weights are here."""
    scored = {name for found in group.sets.values() for name in found.manifest.scores}
    for net in LPIPS_NETS:
        if f'lpips_{net}' in scored:
            with suppress(UserError):
                return LPIPS(net)
    return None


def _read_scores(folder: Path) -> dict[str, str]:
    """The scores by stem from the table that tools/test.py wrote: NIQE takes long to compute."""
    path = folder.with_name(f'{folder.name}.csv')
    scores = read_csv(path) if path.is_file() else []
    return {Path(score.name).stem: _describe(score) for score in scores}


def _describe(score: ImageScore) -> str:
    values = {kind: getattr(score, name) for name, kind in SCORES.items()}
    return ', '.join(kind.show(value) for kind, value in values.items() if not math.isnan(value))
