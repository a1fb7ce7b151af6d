"""Cut the largest face out of each photograph, to restore it:
python tools/cut_faces.py me.jpg --out work_dirs/me
"""

import argparse
from pathlib import Path

from _cli import run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('photos', type=Path, nargs='+', metavar='PHOTO', help='PNG or JPEG')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FOLDER', help='FOLDER/NAME.png, 128x128 each'
    )
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.restoring.photograph import cut_faces

    print(*cut_faces(args.photos, args.out), sep='\n')


if __name__ == '__main__':
    run(main, parse_args())
