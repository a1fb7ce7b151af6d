"""Check a data set before training on it: python tools/check_data.py data/FFHQ"""

import argparse
from pathlib import Path
from typing import Any

from _cli import run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('root', type=Path, nargs='?', default=Path('data/FFHQ'), help='default: data/FFHQ')
    add('--config', help='whose gt_size and lq_size the images have; default: 512 and 128 pixels')
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.config import entry, load_config
    from facesr.data.check import OPTIONAL, check_data
    from facesr.degradation.base import degradation_of

    how: dict[str, Any] = {}
    if args.config:
        config = load_config(args.config)
        degradation = degradation_of(config)
        how = dict(gt_size=degradation.gt_size, lq_size=degradation.lq_size)
        if entry(config, 'val_dataloader.dataset.degradation'):  # it makes its inputs
            how['optional'] = OPTIONAL | {'val/LQ'}
    counts, problems = check_data(args.root, **how)
    for name, count in counts.items():
        print(f'{args.root / name}: {count} images')
    for problem in problems:
        print(problem)
    if problems:
        raise SystemExit(f'error: {len(problems)} problems in {args.root}, listed above')
    print('all well')


if __name__ == '__main__':
    run(main, parse_args())
