"""Cut the faces out of photographs, aligned as the training data's:
python tools/cut_faces.py me.jpg --out work_dirs/me
"""

import argparse
from pathlib import Path

from _cli import add_overwrite, add_photograph_options, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add_photograph_options(parser, '24, with --size 512: 200')
    add('--out', type=Path, required=True, help='for NAME.png, the largest face, NAME_2.png ...')
    add('--size', type=int, choices=[128, 512], default=128, help='512: to train on; default: 128')
    add(
        '--min-sharpness',
        type=float,
        help='of a face, as the variance of its Laplacian; default: 0, with --size 512: 40',
    )
    add_overwrite(parser)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.restoring.photograph import TO_TRAIN_ON, cut_faces

    options = {name: value for name, value in vars(args).items() if value is not None}
    defaults = TO_TRAIN_ON if args.size == 512 else {}
    cut_faces(options.pop('photos'), options.pop('out'), **(defaults | options))


if __name__ == '__main__':
    run(main, parse_args())
