"""Restore a folder of degraded faces with a checkpoint, and score the written PNGs:
python tools/test.py configs/srresnet_24b.py CHECKPOINT
"""

import argparse
from pathlib import Path

from _cli import add_config_options, add_ema_option, add_overwrite, add_score_options, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_options(parser)
    add = parser.add_argument
    add('checkpoint', help='training checkpoint or exported weights')
    add('--input', type=Path, metavar='DIR', help="default: the config's test set")
    add('--out', type=Path, metavar='DIR', help='for the PNGs; default: work_dirs/CONFIG/results')
    add('--gt', type=Path, metavar='DIR', help='ground truths of the same names')
    add('--zip', type=Path, metavar='FILE', help='also pack a submission')
    add_ema_option(parser)
    add('--device', help='cuda, cuda:1 or cpu; default: a CUDA GPU if there is one')
    add(
        '--tile',
        type=int,
        metavar='SIDE',
        help='of tiles; default: where an image is too large for the memory',
    )
    add('--batch-size', type=int, default=1, metavar='N', help='images of one size; default: 1')
    add(
        '--precision',
        choices=['float32', 'bf16', 'fp16'],
        default='float32',
        help='bf16 and fp16 are faster on a GPU; for a score: float32, the default',
    )
    add(
        '--tta',
        choices=['flip', 'shift'],
        help="flip: mean with the mirrored image's result, twice the time; shift: with those of "
        'the image moved by a pixel too, six times the time',
    )
    add_score_options(parser)
    add_overwrite(parser)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.config import load_config
    from facesr.errors import UserError
    from facesr.restoring.folder import restore_and_score
    from facesr.restoring.restorer import Restorer
    from facesr.restoring.score import open_scoring

    config = load_config(args.config, args.cfg_options)
    folder = args.input
    if folder is None:
        try:
            dataset = config.test_dataloader.dataset
            folder = Path(dataset.data_root, dataset.data_prefix.img)
        except (AttributeError, TypeError):
            raise UserError(f'{args.config}: no test set in it; name a folder: --input') from None
    net = Restorer(
        config, args.checkpoint, args.device, args.tile, args.ema, args.precision, args.tta
    )
    out = args.out or Path(config.work_dir, 'results')
    scoring = open_scoring(args.gt, args.lpips, args.y, args.border, args.suffix)
    options = args.gt, args.zip, args.batch_size, scoring, args.overwrite
    restore_and_score(net, folder, out, *options)


if __name__ == '__main__':
    run(main, parse_args())
