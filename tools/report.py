"""Draw curves and panels of runs, and one page that holds them all:
python tools/report.py work_dirs/srresnet_24b work_dirs/srgan_26b
"""

import argparse
from pathlib import Path

from _cli import add_overwrite, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('work_dirs', type=Path, nargs='+', metavar='WORK_DIR', help='where tools/train.py wrote')
    add('--out', type=Path, metavar='DIR', help='default: report in the first WORK_DIR')
    add(
        '--images',
        nargs='+',
        default=[],
        metavar='NAME',
        help='images in the panels, without suffix; default: three of each set, all of up to six',
    )
    add(
        '--crop',
        action='append',
        default=[],
        metavar='NAME=X,Y,W,H',
        help='place shown enlarged, in pixels of a 512x512 face; can be given more than once; '
        'default: eyes=128,192,256,96 and mouth=128,323,256,96',
    )
    add('--picture', type=Path, action='append', default=[], help="at the page's top; repeatable")
    add_overwrite(parser)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.report.comparison import DEFAULT_CROPS, Crop
    from facesr.report.page import write_report

    crops = [Crop.parse(text) for text in args.crop] or DEFAULT_CROPS
    out = args.out or args.work_dirs[0] / 'report'
    for path in write_report(args.work_dirs, out, args.images, crops, args.overwrite, args.picture):
        print(path)


if __name__ == '__main__':
    run(main, parse_args())
