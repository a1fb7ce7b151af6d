"""Recipes against each other: several configs trained alike, scored alike, in one table."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from mmengine.config import Config

from .checkpoint import read_checkpoint
from .config import load_config
from .errors import UserError
from .files import write_whole
from .images import list_images, pair_images, read_image
from .nets import build_part, count_parameters
from .report.run import read_run
from .restoring.folder import restore_folder
from .restoring.restorer import Restorer
from .restoring.score import mean_scores
from .training.train import train

VALIDATIONS = 5  # during a training
TIMED_ROUNDS = 5
#: How a checkpoint is scored, by what the table calls it: averaged weights? which passes?
WAYS = {
    'raw': (False, None),
    'raw, flip': (False, 'flip'),
    'average': (True, None),
    'average, flip': (True, 'flip'),
}


@dataclass(frozen=True)
class Entry:
    """A config with a seed, to be trained and scored.

    Attributes:
        path: the config file.
        config: as loaded, with the overrides, the seed among them.
        iterations: how many to train; the schedule is scaled to them.
        work_dir: of its run; it also holds the scores.
        pairs: folders of the validation set's degraded images and ground truths.
    """

    path: Path
    config: Config
    overrides: list[str]
    seed: int
    iterations: int
    work_dir: Path
    pairs: tuple[Path, Path]

    @property
    def checkpoint(self) -> Path:
        return self.work_dir / f'iter_{self.iterations}.pth'


@dataclass(frozen=True)
class Result:
    """A row of the table.

    Attributes:
        parameters: trainable ones in the generator.
        training_seconds: the iterations' own time, without validations.
        scores: ``{'psnr': dB, 'ssim': ...}`` of 8-bit images, by the names in :data:`WAYS`; no
            averaged weights where the config keeps none.
        image_ms: milliseconds to restore one face, a median.
    """

    name: str
    seed: int
    parameters: int
    iterations: int
    training_seconds: float
    scores: dict[str, dict[str, float]]
    image_ms: float


def list_entries(
    paths: Sequence[str], overrides: Sequence[str], seeds: Sequence[int], iterations: int, out: Path
) -> list[Entry]:
    """Load every config before the first is trained.

    Raises:
        UserError: a config cannot be loaded, two have one name, or one has no validation pairs.
    """
    for name, times in Counter(Path(path).stem for path in paths).items():
        if times > 1:
            raise UserError(f'{name}: named twice, and each recipe has a folder of its name')
    if len(set(seeds)) < len(seeds):
        raise UserError(f'--seeds {" ".join(map(str, seeds))}: each only once')
    interval = max(1, iterations // VALIDATIONS)
    entries = []
    for path, seed in product(map(Path, paths), seeds):
        options = [f'train_cfg.val_interval={interval}', *overrides, f'randomness.seed={seed}']
        config = load_config(path, options)
        try:
            dataset = config.val_dataloader.dataset
            lq, gt = (Path(dataset.data_root, dataset.data_prefix[role]) for role in ('img', 'gt'))
        except (AttributeError, KeyError, TypeError):
            problem = f'{path}: no validation pairs in it, and a recipe needs a score'
            raise UserError(problem) from None
        pair_images({'img': lq, 'gt': gt})
        work_dir = out / f'{path.stem}_seed{seed}'
        entries.append(Entry(path, config, options, seed, iterations, work_dir, (lq, gt)))
    return entries


def train_and_score(entries: Sequence[Entry]) -> tuple[list[Result], dict[str, float]]:
    """Train and score entries one after the other; what their folders hold is not repeated.

    Returns:
        The results, and the first entry's scores of bicubic.

    Raises:
        StoppedError: asked to stop; the same call resumes.
        UserError: a folder holds a run of other settings, or a config cannot be trained.
    """
    for entry in entries:
        _claim(entry)
        if not entry.checkpoint.is_file():
            folder, number = str(entry.work_dir), entry.iterations
            train(entry.path, entry.overrides, work_dir=folder, resume='auto', iterations=number)
    scores = [_score_entry(entry) for entry in entries]
    times = _time_images(entries)
    results = []
    for entry, kept in zip(entries, scores, strict=True):
        name, number = entry.path.stem, entry.iterations
        parameters = count_parameters(build_part(entry.config, 'generator'))
        seconds = number * fmean(read_run(entry.work_dir, name).training['time'].values())
        ways = {way: kept[way] for way in WAYS if way in kept}
        results.append(Result(name, entry.seed, parameters, number, seconds, ways, times[name]))
    return results, scores[0]['bicubic']


def format_results(results: Sequence[Result], bicubic: dict[str, float]) -> str:
    """A Markdown table: first bicubic, then the recipes, each with dB and SSIM in every way."""

    def cells(scores: dict[str, dict[str, float]]) -> list[str]:
        parts = [scores.get(way) for way in WAYS]
        return [f'{part["psnr"]:.3f} dB, {part["ssim"]:.4f}' if part else '' for part in parts]

    heads = ['recipe', 'seed', 'parameters', 'iterations', 'training', 'an image', *WAYS]
    rows = [heads, ['---'] * len(heads), ['bicubic', *[''] * 5, *cells({'raw': bicubic})]]
    for result in results:
        counts = f'{result.parameters:,}', f'{result.iterations:,}'
        times = f'{result.training_seconds / 60:.1f} min', f'{result.image_ms:.1f} ms'
        rows.append([result.name, str(result.seed), *counts, *times, *cells(result.scores)])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _claim(entry: Entry) -> None:
    """Keep what an entry's folder is for, or check that it is for this."""
    path = entry.work_dir / 'recipe.json'
    recipe = {'number of iterations': entry.iterations, 'config': entry.config.pretty_text}
    kept = _read_kept(path) if path.is_file() else recipe
    for key, value in recipe.items():
        if kept.get(key) != value:
            raise UserError(
                f'{entry.work_dir}: was trained with another {key}; name another folder with --out'
            )
    with write_whole(path) as file:
        file.write_text(json.dumps(recipe))


def _read_kept(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text())
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise UserError(f'{path}: damaged; remove it, or name another folder with --out')
    return kept


def _score_entry(entry: Entry) -> dict[str, dict[str, float]]:
    """The mean scores of bicubic and of the checkpoint, by way; kept in ``scores.json``."""
    path = entry.work_dir / 'scores.json'
    scores = _read_kept(path) if path.is_file() else {}
    averaged = 'ema_state_dict' in read_checkpoint(entry.checkpoint)
    images, truths = map(list_images, entry.pairs)
    wanted = entry.config.val_dataloader.dataset.get('indices')  # as the validation takes them
    if wanted is not None:
        stems = list(images)
        chosen = stems[:wanted] if isinstance(wanted, int) else [stems[index] for index in wanted]
        images = {stem: images[stem] for stem in chosen}
    for name, (ema, tta) in WAYS.items():
        if name in scores or (ema and not averaged):
            continue
        print(f'scoring {entry.work_dir}, {name}: {len(images)} images')
        restorer = Restorer(entry.config, entry.checkpoint, ema=ema, tta=tta)
        with TemporaryDirectory(dir=entry.work_dir) as out:
            restored = restore_folder(restorer, images, Path(out), truths)
        scores[name] = mean_scores([image.score for image in restored if image.score])
        scores['bicubic'] = mean_scores([image.baseline for image in restored if image.baseline])
        with write_whole(path) as file:
            file.write_text(json.dumps(scores))
    return scores


def _time_images(entries: Sequence[Entry]) -> dict[str, float]:
    """Milliseconds to restore the first validation image, by config: a median of turns."""
    image = read_image(next(iter(list_images(entries[0].pairs[0]).values())))
    restorers = {entry.path.stem: Restorer(entry.config, entry.checkpoint) for entry in entries}
    taken: dict[str, list[float]] = {name: [] for name in restorers}
    for _ in range(1 + TIMED_ROUNDS):  # the first warms up
        for name, restorer in restorers.items():
            begin = perf_counter()
            restorer.restore(image)
            taken[name].append(1e3 * (perf_counter() - begin))
    return {name: median(times[1:]) for name, times in taken.items()}
