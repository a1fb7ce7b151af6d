"""Score a folder of images as the leaderboard does: python tools/score.py RESULTS --gt DIR"""

import argparse
from pathlib import Path

from _cli import add_lpips_option, add_overwrite, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('folder', type=Path, help='images to score')
    add('--gt', type=Path, metavar='DIR', help='ground truths of the same names; without: NIQE')
    add('--csv', type=Path, metavar='FILE', help='also write a line for each image')
    add_lpips_option(parser)
    add_overwrite(parser)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.restoring.score import format_scores, score_folder

    scores = score_folder(args.folder, args.gt, args.lpips, args.csv, args.overwrite)
    print(format_scores(scores))


if __name__ == '__main__':
    run(main, parse_args())
