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
    add(
        '--out',
        type=Path,
        required=True,
        metavar='FOLDER',
        help='FOLDER/NAME.png has the largest face, NAME_2.png the next ...',
    )
    add(
        '--size',
        type=int,
        choices=[128, 512],
        default=128,
        help='128: to restore, the default; 512: to train on',
    )
    add(
        '--min-sharpness',
        type=float,
        metavar='LEVELS',
        help='of a face, as the variance of its Laplacian; default: 0, with --size 512: 40',
    )
    add_overwrite(parser)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from facesr.restoring.photograph import TO_RESTORE, TO_TRAIN_ON, cut_faces

    limits = dict(min_face=args.min_face, min_sharpness=args.min_sharpness)
    given = {name: value for name, value in limits.items() if value is not None}
    wanted = replace(TO_RESTORE if args.size == 128 else TO_TRAIN_ON, **given)
    cut_faces(
        args.photos,
        args.out,
        args.size,
        wanted,
        args.only_largest,
        args.device,
        args.overwrite,
    )


if __name__ == '__main__':
    run(main, parse_args())
