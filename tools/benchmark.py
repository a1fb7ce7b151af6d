"""Measure ours against the stock MMagic way in the same run, in turn, or recipes with each other:
python tools/benchmark.py train configs/srresnet_24b.py
python tools/benchmark.py recipes configs/srresnet_24b.py configs/face_unet.py --iterations 3000
or do on a GPU all that has to be seen there, every config and every measurement:
python tools/benchmark.py gpu configs/*.py --faces data/FFHQ --out work_dirs/gpu
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _cli import add_config_options, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'what',
        choices=list(BENCHMARKS),
        help='data: the loader, per image and core; degradation: on the device, and whether its '
        'levels are those of the transforms; train: an iteration and its parts; test: restoring '
        'images of the test set to PNGs; validation: scoring the validation images; '
        'recipes: several configs, trained and scored alike; gpu: each config trains, validates, '
        'saves and resumes, then all of these but recipes',
    )
    add_config_options(parser, several=True)
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='turns of each way')
    parser.add_argument(
        '--images',
        type=int,
        default=200,
        metavar='N',
        help='degradation, test, validation: how many',
    )
    parser.add_argument(
        '--iterations',
        type=int,
        default=5,
        metavar='N',
        help='train: iterations in a turn; recipes: of each run, the schedules scaled alike',
    )
    parser.add_argument(
        '--seeds', type=int, nargs='+', default=[0], metavar='N', help='recipes: a run with each'
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='DIR',
        help='recipes, gpu: the runs and the table (default: work_dirs/recipes, work_dirs/gpu); '
        'recipes resume where they were stopped',
    )
    parser.add_argument(
        '--faces', type=Path, metavar='DIR', help="gpu: the data set, instead of each config's own"
    )
    parser.add_argument('--jobs', type=int, default=4, metavar='N', help='gpu: trainings at a time')
    parser.add_argument(
        '--device',
        help='not for data, train, gpu: cuda or cpu; default: a CUDA GPU if there is one',
    )
    parser.add_argument('--checkpoint', help='test: weights; default: as they are initialised')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures')
    args = parser.parse_args()
    for name in ('rounds', 'images', 'iterations'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} {getattr(args, name)}: at least 1 expected')
    if args.out is None:
        args.out = Path('work_dirs', args.what)
    if args.what not in ('recipes', 'gpu') and len(args.config) > 1:
        parser.error(f'{args.what}: one config expected, {len(args.config)} named')
    return args


def main(args: argparse.Namespace) -> None:
    from mmengine.registry import init_default_scope

    from benchmarks.measure import describe_machine, write_json
    from facesr.config import load_config

    configs = [load_config(path, args.cfg_options) for path in args.config]
    init_default_scope('mmagic')
    print(', '.join(f'{name} {fact}' for name, fact in describe_machine().items()))
    results = BENCHMARKS[args.what](configs[0], args)
    if args.json is not None:
        settings = {name: str(value) for name, value in vars(args).items() if name != 'json'}
        write_json(args.json, settings, results)
        print(args.json)


def measure_data(config: Any, args: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.loader import time_loader
    from benchmarks.measure import format_table

    taken = time_loader(config, args.rounds)
    print(format_table('loader, per image on one core', taken))
    return {'seconds': taken}


def measure_degradation(config: Any, args: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.degradation import check_difficulty, check_levels, time_both
    from benchmarks.measure import format_table

    agreement = check_levels(config, args.images, args.device)
    print(agreement)
    stock, ours = check_difficulty(config, args.images, args.device)
    print(f'bicubic, each with its own noise: stock {stock:.4f} dB, ours {ours:.4f} dB')
    taken = time_both(config, args.rounds, args.device)
    print(format_table('degradation, per image', taken))
    bicubic = {'stock': stock, 'ours': ours}
    return {'agreement': vars(agreement), 'bicubic_psnr': bicubic, 'seconds': taken}


def measure_training(config: Any, args: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.training import format_parts, time_training

    results = time_training(config, args.rounds, args.iterations)
    print(format_parts(results, config.train_cfg.max_iters))
    return results


def measure_testing(config: Any, args: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.measure import format_table
    from benchmarks.restoring import time_folder

    taken, agreement = time_folder(config, args.images, args.rounds, args.device, args.checkpoint)
    print(f'stock and ours: {agreement}')
    print(format_table('restoring a folder, per image', taken))
    return {'agreement': vars(agreement), 'seconds': taken}


def measure_validation(config: Any, args: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.measure import format_table
    from benchmarks.validation import time_scoring

    taken, difference = time_scoring(config, args.images, args.rounds, args.device)
    print(f'stock and ours: {difference}')
    print(format_table('scoring, CPU time per image', taken))
    return {'difference': vars(difference), 'seconds': taken}


def measure_recipes(_: Any, args: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import asdict

    from facesr.recipes import bicubic_scores, compare, format_recipes, list_entries

    entries = list_entries(args.config, args.cfg_options, args.seeds, args.out)
    results = compare(entries, args.iterations, args.device, args.rounds)
    bicubic = bicubic_scores(entries[0])
    table = format_recipes(results, bicubic)
    print(table)
    path = args.out / 'recipes.md'
    path.write_text(table + '\n', encoding='utf-8')
    print(path)
    return {'bicubic': bicubic, 'recipes': [asdict(result) for result in results]}


def measure_everything(_: Any, args: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import asdict

    from benchmarks.gpu import run_everything
    from facesr.errors import UserError

    options = [*args.cfg_options]
    if args.faces is not None:
        splits = ('train', 'val', 'test')
        options += [f'{split}_dataloader.dataset.data_root={args.faces}' for split in splits]
    sizes = {'rounds': args.rounds, 'images': args.images, 'iterations': args.iterations}
    steps = run_everything(args.config, options, args.out, sizes, args.jobs)
    failed = [step.name for step in steps if step.code != 0]
    print(args.out / 'gpu.md')
    if failed:
        raise UserError(f'{args.out}: {len(failed)} of {len(steps)} steps failed: {failed[0]}, ...')
    return {'steps': [asdict(step) for step in steps]}


BENCHMARKS: dict[str, Callable[[Any, argparse.Namespace], dict[str, Any]]] = {
    'data': measure_data,
    'degradation': measure_degradation,
    'train': measure_training,
    'test': measure_testing,
    'validation': measure_validation,
    'gpu': measure_everything,
    'recipes': measure_recipes,
}


if __name__ == '__main__':
    run(main, parse_args())
