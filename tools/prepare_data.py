"""Check a data set before anyone trains on it, cut faces to restore, or fetch VGG19's weights:
python tools/prepare_data.py data/FFHQ
"""

import argparse
from pathlib import Path

from _cli import run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'root', type=Path, nargs='?', default=Path('data/FFHQ'), help='default: data/FFHQ'
    )
    parser.add_argument(
        '--demo', action='store_true', help='first make the demo data set there, from scikit-image'
    )
    parser.add_argument(
        '--photos',
        type=Path,
        nargs='+',
        metavar='FILE',
        help='only cut the largest face out of each photograph: ROOT/LQ/NAME.png, 128x128',
    )
    parser.add_argument(
        '--vgg19',
        action='store_true',
        help="only fetch VGG19's weights for the perceptual loss (548 MB) into data/pretrained",
    )
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    if args.vgg19:
        from facesr.models.perceptual_loss import fetch_vgg, vgg_url

        print(f'{fetch_vgg(vgg_url("vgg19"))}: whole')
        return
    if args.photos:
        from facesr.restoring.photograph import cut_faces

        print(*cut_faces(args.photos, args.root / 'LQ'), sep='\n')
        return
    from facesr.data.check import check_data

    if args.demo:
        from mmengine.config import Config

        from facesr.data.demo import make_demo_set

        chain = Path(__file__).resolve().parents[1] / 'configs/_base_/degradation.py'
        make_demo_set(args.root, Config.fromfile(chain).degradation)
    counts, problems = check_data(args.root)
    for name, count in counts.items():
        print(f'{args.root / name}: {count} images')
    for problem in problems:
        print(problem)
    if problems:
        raise SystemExit(f'error: {len(problems)} problems in {args.root}, listed above')
    print('all well')


if __name__ == '__main__':
    run(main, parse_args())
