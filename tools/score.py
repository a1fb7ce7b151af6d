"""Score a folder of images as the leaderboard does: python tools/score.py RESULTS --gt DIR"""

import argparse
from pathlib import Path

from _cli import add_overwrite, add_score_options, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('folder', type=Path, help='images to score')
    add('--gt', type=Path, metavar='DIR', help='ground truths of the same names; without: NIQE')
    add('--csv', type=Path, metavar='FILE', help='also write a line for each image')
    add_score_options(parser)
    add_overwrite(parser)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.restoring.score import format_scores, open_scoring, score_folder

    scoring = open_scoring(args.gt, args.lpips, args.y, args.border, args.suffix)
    scores = score_folder(args.folder, args.gt, scoring, args.csv, args.overwrite)
    print(format_scores(scores, scoring))


if __name__ == '__main__':
    run(main, parse_args())
