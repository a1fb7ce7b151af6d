"""Make the inputs of a validation set from its ground truths, the same every time:
python tools/degrade.py configs/face_unet.py data/mine/val/GT --out data/mine/val/LQ
"""

import argparse
from pathlib import Path

from _cli import add_config_options, add_overwrite, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_options(parser)
    add = parser.add_argument
    add('gt', type=Path, help='folder of 512x512 faces')
    add('--out', type=Path, required=True, metavar='DIR', help='for the PNGs')
    add('--seed', type=int, default=0, help='of all that is drawn; default: 0')
    add_overwrite(parser)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.config import load_config
    from facesr.data.pairs import degrade_folder
    from facesr.degradation.base import degradation_of
    from facesr.errors import UserError

    if not 0 <= args.seed < 2**31:
        raise UserError(f'--seed {args.seed}: from 0 to {2**31 - 1} expected')
    degradation = degradation_of(load_config(args.config, args.cfg_options))
    degrade_folder(args.gt, args.out, degradation, args.seed, args.overwrite)
    print(args.out)


if __name__ == '__main__':
    run(main, parse_args())
