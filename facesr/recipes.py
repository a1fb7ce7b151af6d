"""An arena for recipes: several configs trained alike, scored alike, in one table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from mmengine.config import Config

from benchmarks.measure import take_turns

from .checkpoint import read_checkpoint
from .config import load_config
from .errors import UserError
from .files import write_whole
from .images import Image8, list_images, pair_images, read_image
from .nets import build_part, count_parameters
from .report.run import read_run
from .restoring.folder import restore_folder
from .restoring.restorer import Restorer
from .restoring.score import mean_scores
from .training.train import train

VALIDATIONS = 5
#: How a checkpoint is scored: Restorer's options, by what the table calls them.
WAYS = {
    'raw': dict(ema=False, flip=False),
    'raw, flip': dict(ema=False, flip=True),
    'average': dict(ema=True, flip=False),
    'average, flip': dict(ema=True, flip=True),
}


@dataclass(frozen=True)
class Entry:
    """A recipe that runs: one config with one seed.

    Attributes:
        path: the config file.
        config: as loaded, with the overrides that every entry has.
        seed: of the weights, the data's order and the degradation.
        overrides: ``key=value`` strings for all entries, and the seed.
        work_dir: where it is trained; holds everything that is known of it.
    """

    path: Path
    config: Config
    seed: int
    overrides: list[str]
    work_dir: Path


@dataclass(frozen=True)
class Result:
    """A row of the table.

    Attributes:
        name: the config's stem.
        seed: the entry's.
        parameters: trainable ones in the generator.
        iterations: how many it was trained.
        training_seconds: the iterations' own time, validations left out.
        scores: ``{'psnr': dB, 'ssim': ...}`` of 8-bit images, by the names in :data:`WAYS`; those
            of averaged weights are missing where the config keeps none.
        image_ms: milliseconds to restore one face alone, a median.
    """

    name: str
    seed: int
    parameters: int
    iterations: int
    training_seconds: float
    scores: dict[str, dict[str, float]]
    image_ms: float = 0.0


def list_entries(
    paths: Sequence[str], overrides: Sequence[str], seeds: Sequence[int], out: Path
) -> list[Entry]:
    """Load every config before the first is trained.

    Raises:
        UserError: a config cannot be loaded, two have one name, or one has no validation pairs.
    """
    names = [Path(path).stem for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f'{twice[0]}: named twice, and each recipe has a folder of its name')
    entries = []
    for path, seed in product(paths, seeds):
        interval = max(1, load_config(path, overrides).train_cfg.max_iters // VALIDATIONS)
        options = [f'train_cfg.val_interval={interval}', *overrides, f'randomness.seed={seed}']
        work_dir = out / f'{Path(path).stem}_seed{seed}'
        entries.append(Entry(Path(path), load_config(path, options), seed, options, work_dir))
        _pairs(entries[-1])
    return entries


def compare(
    entries: Sequence[Entry], iterations: int, device: str | None = None, rounds: int = 5
) -> list[Result]:
    """Train and score entries one after the other; what is in their folders is not done again.

    Args:
        entries: see :func:`list_entries`.
        iterations: for all; each schedule is scaled to it.
        device: where to restore; None takes a CUDA GPU if there is one.
        rounds: of the time per image, which is measured of all nets in turn, after the training.

    Raises:
        StoppedError: asked to stop; the same call goes on.
        UserError: a folder holds a run of other settings, or a config cannot be trained.
    """
    for entry in entries:
        _claim(entry, iterations)
        checkpoint = entry.work_dir / f'iter_{iterations}.pth'
        if not checkpoint.is_file():
            train(
                entry.path,
                entry.overrides,
                work_dir=str(entry.work_dir),
                resume='auto',
                iterations=iterations,
            )
    results = [_score(entry, iterations, device) for entry in entries]
    times = _time_images(entries, iterations, device, rounds)
    return [replace(result, image_ms=1e3 * median(times[result.name])) for result in results]


def bicubic_scores(entry: Entry) -> dict[str, float]:
    """The mean scores of bicubic on the validation pairs, as its last scoring kept them."""
    kept: dict[str, dict[str, float]] = json.loads(_scores_file(entry).read_text())
    return kept['bicubic']


def format_recipes(results: Sequence[Result], bicubic: dict[str, float]) -> str:
    """A Markdown table: first bicubic, then the recipes, each with dB and SSIM in every way."""
    heads = ['recipe', 'seed', 'parameters', 'iterations', 'training', 'an image', *WAYS]
    rows = [['bicubic', '', '', '', '', '', _cell(bicubic), *[''] * (len(WAYS) - 1)]]
    rows += [
        [
            result.name,
            str(result.seed),
            f'{result.parameters:,}',
            f'{result.iterations:,}',
            f'{result.training_seconds / 60:.1f} min',
            f'{result.image_ms:.1f} ms',
            *(_cell(result.scores.get(way)) for way in WAYS),
        ]
        for result in results
    ]
    lines = [heads, ['---'] * len(heads), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _cell(scores: dict[str, float] | None) -> str:
    return '' if scores is None else f'{scores["psnr"]:.3f} dB, {scores["ssim"]:.4f}'


def _claim(entry: Entry, iterations: int) -> None:
    """Keep what an entry's folder is for, or see that it is for this."""
    path = entry.work_dir / 'recipe.json'
    recipe = {'number of iterations': iterations, 'config': entry.config.pretty_text}
    if not path.is_file():
        entry.work_dir.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as file:
            file.write_text(json.dumps(recipe))
    kept = json.loads(path.read_text())
    for key, value in recipe.items():
        if kept[key] != value:
            raise UserError(
                f'{entry.work_dir}: was trained with another {key}; name another folder with --out'
            )


def _scores_file(entry: Entry) -> Path:
    return entry.work_dir / 'scores.json'


def _pairs(entry: Entry) -> tuple[dict[str, Path], dict[str, Path]]:
    """The validation set's degraded images and ground truths, by stem."""
    try:
        dataset = entry.config.val_dataloader.dataset
        lq, gt = (Path(dataset.data_root, dataset.data_prefix[name]) for name in ('img', 'gt'))
    except (AttributeError, KeyError, TypeError):
        raise UserError(
            f'{entry.path}: no validation pairs in it, and a recipe needs a score'
        ) from None
    pair_images({'img': lq, 'gt': gt})
    return list_images(lq), list_images(gt)


def _restorer(
    entry: Entry, iterations: int, device: str | None, ema: bool = False, flip: bool = False
) -> Restorer:
    checkpoint = entry.work_dir / f'iter_{iterations}.pth'
    return Restorer(entry.config, checkpoint, device, ema=ema, flip=flip)


def _score(entry: Entry, iterations: int, device: str | None) -> Result:
    kept = _scores_file(entry)
    scores: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    averaged = 'ema_state_dict' in read_checkpoint(entry.work_dir / f'iter_{iterations}.pth')
    images, truths = _pairs(entry)
    for name, way in WAYS.items():
        if name in scores or (way['ema'] and not averaged):
            continue
        print(f'{entry.work_dir}: {name}')
        with TemporaryDirectory(dir=entry.work_dir) as out:
            restored = restore_folder(
                _restorer(entry, iterations, device, **way), images, Path(out), truths
            )
        scores[name] = mean_scores([image.score for image in restored if image.score])
        scores['bicubic'] = mean_scores([image.baseline for image in restored if image.baseline])
        with write_whole(kept) as file:
            file.write_text(json.dumps(scores))
    seconds = fmean(read_run(entry.work_dir, entry.path.stem).training['time'].values())
    return Result(
        entry.path.stem,
        entry.seed,
        count_parameters(build_part(entry.config, 'generator')),
        iterations,
        seconds * iterations,
        {name: scores[name] for name in WAYS if name in scores},
    )


def _time_images(
    entries: Sequence[Entry], iterations: int, device: str | None, rounds: int
) -> dict[str, list[float]]:
    """Seconds to restore the first validation image, by config."""
    image = read_image(next(iter(_pairs(entries[0])[0].values())))
    restorers = {entry.path.stem: _restorer(entry, iterations, device) for entry in entries}

    def timer(restorer: Restorer, image: Image8) -> float:
        begin = perf_counter()
        restorer.restore(image)
        return perf_counter() - begin

    sides = {name: lambda net=net: timer(net, image) for name, net in restorers.items()}
    return take_turns(sides, rounds)
