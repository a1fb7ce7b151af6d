"""Cut the faces out of photographs, aligned as the training data's:
python tools/cut_faces.py me.jpg --out work_dirs/me
"""

import argparse
from pathlib import Path

from _cli import add_photograph_options, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add_photograph_options(parser)
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
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.restoring.photograph import cut_faces

    cut_faces(args.photos, args.out, args.size, args.only_largest, args.min_face, args.device)


if __name__ == '__main__':
    run(main, parse_args())
