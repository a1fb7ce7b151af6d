"""Train a config: python tools/train.py configs/srresnet_24b.py"""

# ruff: noqa: E402
import signal

# Signals wait from here until facesr.training.signals takes them; after the run they do nothing.
for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})

import argparse

from _cli import add_config_options, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_options(parser)
    add = parser.add_argument
    add('--work-dir', help='where logs and checkpoints go (default: work_dirs/CONFIG)')
    add(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='resume from a checkpoint; without PATH, or with auto, from the last in the work dir',
    )
    add(
        '--iterations',
        type=int,
        metavar='N',
        help="train N iterations instead of the config's, with its schedule scaled to them, and "
        'its intervals that --cfg-options does not set',
    )
    add('--dry-run', action='store_true', help='train two iterations, say what the run will take')
    add('--launcher', choices=['none', 'pytorch', 'slurm'], help='job launcher')
    # torch.distributed.launch adds it to the command; the environment has it as well.
    add('--local-rank', '--local_rank', help=argparse.SUPPRESS)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.training.train import train

    options = vars(args)
    del options['local_rank']
    train(options.pop('config'), options.pop('cfg_options'), **options)


if __name__ == '__main__':
    run(main, parse_args())
