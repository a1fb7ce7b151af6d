"""Recipes against each other: several configs trained alike, scored alike, in one table:
python -m benchmarks.compare configs/srresnet_24b.py configs/face_unet.py --iterations 3000
"""

import json
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from mmengine.config import Config

from _cli import add_overwrite, count, run
from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.errors import UserError
from facesr.files import write_file, writing_results
from facesr.images import list_images, pair_images, read_image
from facesr.nets import build_part, count_parameters
from facesr.report.run import read_run
from facesr.restoring.folder import restore_folder
from facesr.restoring.restorer import Restorer
from facesr.restoring.score import mean_scores
from facesr.training.train import train

from .measure import make_parser, write_json

VALIDATIONS = 5  # during a training
PACE_ITERATIONS = 6  # of which the first two warm up
TIMED_ROUNDS = 5
#: How a checkpoint is scored, by what the table calls it: averaged weights? which passes?
WAYS = {
    'raw': (False, None),
    'raw, flip': (False, 'flip'),
    'average': (True, None),
    'average, flip': (True, 'flip'),
}


@dataclass(frozen=True)
class Recipe:
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


def list_recipes(
    paths: Sequence[str],
    overrides: Sequence[str],
    seeds: Sequence[int],
    iterations: int | None,
    out: Path,
    seconds: float = 0,
) -> list[Recipe]:
    """Load every config before the first is trained.

    Args:
        iterations: of each recipe; None takes as many of each as fit into ``seconds`` of training.
        out: folder of the comparison.

    Raises:
        UserError: a config cannot be loaded, two have one name, or one has no validation pairs.
    """
    for name, times in Counter(Path(path).stem for path in paths).items():
        if times > 1:
            raise UserError(f'{name}: named twice, and each recipe has a folder of its name')
    if len(set(seeds)) < len(seeds):
        raise UserError(f'--seeds {" ".join(map(str, seeds))}: each only once')
    recipes = []
    for path, seed in product(map(Path, paths), seeds):
        number = iterations or max(1, round(seconds / _measure_pace(path, overrides, out)))
        interval = max(1, number // VALIDATIONS)
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
        recipes.append(Recipe(path, config, options, seed, number, work_dir, (lq, gt)))
    return recipes


def _measure_pace(path: Path, overrides: Sequence[str], out: Path) -> float:
    """Seconds an iteration of a config, of a short training; kept in ``pace.json``."""
    kept_in = out / 'pace.json'
    paces = _read_kept(kept_in) if kept_in.is_file() else {}
    if path.stem not in paces:
        parts = ('val_dataloader', 'val_cfg', 'val_evaluator')
        options = [
            *overrides,
            'default_hooks.logger.interval=1',
            *(f'{part}=None' for part in parts),
        ]
        with TemporaryDirectory() as folder:
            train(path, options, work_dir=folder, iterations=PACE_ITERATIONS)
            times = read_run(Path(folder), path.stem).training['time']
        paces[path.stem] = times[PACE_ITERATIONS]
        write_file(kept_in, json.dumps(paces))
    return float(paces[path.stem])


def train_and_score(recipes: Sequence[Recipe]) -> tuple[list[Result], dict[str, float]]:
    """Train and score recipes one after the other; what their folders hold is not repeated.

    Returns:
        The results, and the first recipe's scores of bicubic.

    Raises:
        StoppedError: asked to stop; the same call resumes.
        UserError: a folder holds a run of other settings, or a config cannot be trained.
    """
    for recipe in recipes:
        _check_folder(recipe)
        if not recipe.checkpoint.is_file():
            folder, number = str(recipe.work_dir), recipe.iterations
            train(recipe.path, recipe.overrides, work_dir=folder, resume='auto', iterations=number)
    scores = [_score_recipe(recipe) for recipe in recipes]
    times = _time_images(recipes)
    results = []
    for recipe, kept in zip(recipes, scores, strict=True):
        name, number = recipe.path.stem, recipe.iterations
        parameters = count_parameters(build_part(recipe.config, 'generator'))
        seconds = number * fmean(read_run(recipe.work_dir, name).training['time'].values())
        ways = {way: kept[way] for way in WAYS if way in kept}
        results.append(Result(name, recipe.seed, parameters, number, seconds, ways, times[name]))
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


def _check_folder(recipe: Recipe) -> None:
    """Keep what a recipe's folder is for, or check that it is for this."""
    path = recipe.work_dir / 'recipe.json'
    asked = {'number of iterations': recipe.iterations, 'config': recipe.config.pretty_text}
    kept = _read_kept(path) if path.is_file() else asked
    for key, value in asked.items():
        if kept.get(key) != value:
            raise UserError(
                f'{recipe.work_dir}: was trained with another {key}; name another folder with --out'
            )
    write_file(path, json.dumps(asked))


def _read_kept(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text())
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise UserError(f'{path}: damaged; remove it, or name another folder with --out')
    return kept


def _score_recipe(recipe: Recipe) -> dict[str, dict[str, float]]:
    """The mean scores of bicubic and of the checkpoint, by way; kept in ``scores.json``."""
    path = recipe.work_dir / 'scores.json'
    scores = _read_kept(path) if path.is_file() else {}
    averaged = 'ema_state_dict' in read_checkpoint(recipe.checkpoint)
    images, truths = map(list_images, recipe.pairs)
    wanted = recipe.config.val_dataloader.dataset.get('indices')  # as the validation takes them
    if wanted is not None:
        stems = list(images)
        chosen = stems[:wanted] if isinstance(wanted, int) else [stems[index] for index in wanted]
        images = {stem: images[stem] for stem in chosen}
    for name, (ema, tta) in WAYS.items():
        if name in scores or (ema and not averaged):
            continue
        print(f'scoring {recipe.work_dir}, {name}: {len(images)} images')
        restorer = Restorer(recipe.config, recipe.checkpoint, ema=ema, tta=tta)
        with TemporaryDirectory(dir=recipe.work_dir) as out:
            restored = restore_folder(restorer, images, Path(out), truths)
        scores[name] = mean_scores([image.score for image in restored if image.score])
        scores['bicubic'] = mean_scores([image.baseline for image in restored if image.baseline])
        write_file(path, json.dumps(scores))
    return scores


def _time_images(recipes: Sequence[Recipe]) -> dict[str, float]:
    """Milliseconds to restore the first validation image, by config: a median of turns."""
    image = read_image(next(iter(list_images(recipes[0].pairs[0]).values())))
    restorers = {recipe.path.stem: Restorer(recipe.config, recipe.checkpoint) for recipe in recipes}
    taken: dict[str, list[float]] = {name: [] for name in restorers}
    for _ in range(1 + TIMED_ROUNDS):  # the first warms up
        for name, restorer in restorers.items():
            begin = perf_counter()
            restorer.restore(image)
            taken[name].append(1e3 * (perf_counter() - begin))
    return {name: median(times[1:]) for name, times in taken.items()}


def main(args: Namespace) -> None:
    length = args.iterations, args.out, args.seconds
    recipes = list_recipes(args.config, args.cfg_options, args.seeds, *length)
    path = args.out / 'recipes.md'
    for recipe in recipes:
        if args.json is not None and recipe.work_dir.resolve() in args.json.resolve().parents:
            raise UserError(f'{args.json}: is in the folder of a run; choose another place')
    targets = [path, *([args.json] if args.json else [])]
    with writing_results(targets, map(Path, args.config), args.overwrite):
        results, bicubic = train_and_score(recipes)
        table = format_results(results, bicubic)
        print(table)
        write_file(path, table + '\n')
        print(path)
        if args.json is not None:
            rows = [asdict(result) for result in results]
            write_json(args.json, args, {'bicubic': bicubic, 'recipes': rows})
            print(args.json)


def parse_args() -> Namespace:
    parser: ArgumentParser = make_parser(__doc__, (), several=True)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument(
        '--iterations',
        type=count,
        metavar='N',
        help='how many each is trained, with its schedule scaled to them',
    )
    length.add_argument(
        '--seconds', type=count, metavar='S', help='how long each is trained, without validations'
    )
    add = parser.add_argument
    add('--seeds', type=int, nargs='+', default=[0], metavar='N', help='of each config; default: 0')
    add(
        '--out',
        type=Path,
        default=Path('work_dirs/recipes'),
        metavar='DIR',
        help='for the runs and the table; a comparison that was stopped resumes from it; '
        'default: work_dirs/recipes',
    )
    add('--json', type=Path, metavar='FILE', help='also write the scores there')
    add_overwrite(parser)
    return parser.parse_args()


if __name__ == '__main__':
    run(main, parse_args())
