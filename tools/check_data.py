"""Check a data set before training on it: python tools/check_data.py data/FFHQ"""

import argparse
from pathlib import Path

from _cli import run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'root', type=Path, nargs='?', default=Path('data/FFHQ'), help='default: data/FFHQ'
    )
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.data.check import check_data

    counts, problems = check_data(args.root)
    for name, count in counts.items():
        print(f'{args.root / name}: {count} images')
    for problem in problems:
        print(problem)
    if problems:
        raise SystemExit(f'error: {len(problems)} problems in {args.root}, listed above')
    print('all well')


if __name__ == '__main__':
    run(main, parse_args())
