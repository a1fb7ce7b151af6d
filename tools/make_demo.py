"""Make the demo data set from scikit-image's photographs: python tools/make_demo.py data/demo"""

import argparse
from pathlib import Path

from _cli import add_overwrite, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'root', type=Path, nargs='?', default=Path('data/demo'), help='default: data/demo'
    )
    add_overwrite(parser)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from mmengine.config import Config

    from facesr.data.demo import make_demo_set
    from facesr.degradation.base import build_degradation

    path = Path(__file__).resolve().parents[1] / 'configs/_base_/degradation.py'
    make_demo_set(args.root, build_degradation(Config.fromfile(path).degradation), args.overwrite)
    print(args.root)


if __name__ == '__main__':
    run(main, parse_args())
