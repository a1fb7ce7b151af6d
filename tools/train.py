"""Train a config: python tools/train.py configs/srresnet_24b.py"""

import argparse
import os

from _cli import add_config_options, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_options(parser)
    parser.add_argument(
        '--work-dir', help='where logs and checkpoints go (default: see the config)'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='go on from a checkpoint; without PATH, or with auto, from the last in the work dir',
    )
    parser.add_argument(
        '--iterations',
        type=int,
        metavar='N',
        help="train N iterations instead of the config's, with its schedule scaled alike",
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (needs a CUDA GPU)')
    parser.add_argument(
        '--from-scratch',
        action='store_true',
        help='adversarial training without a generator that was trained before',
    )
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='build everything, train two iterations, validate one image, and tell what the run '
        'will take and write',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm'], default=None, help='job launcher'
    )
    # torchrun and its forerunner hand this over.
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main(args: argparse.Namespace) -> None:
    from facesr.training.train import train

    train(
        args.config,
        args.cfg_options,
        work_dir=args.work_dir,
        resume=args.resume,
        iterations=args.iterations,
        amp=args.amp,
        from_scratch=args.from_scratch,
        launcher=args.launcher,
        dry_run=args.dry_run,
    )


if __name__ == '__main__':
    run(main, parse_args())
