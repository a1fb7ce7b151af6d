"""Measure ours against the stock way in the same run:
python tools/benchmark.py degradation configs/srresnet_24b.py
"""

import argparse
from pathlib import Path

from _cli import add_config_options, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'what',
        choices=['data', 'degradation'],
        help='data: the loader, per image and core; degradation: on the device, and whether its '
        'levels are those of the transforms',
    )
    add_config_options(parser)
    parser.add_argument(
        '--images', type=int, default=200, metavar='N', help='training images that are compared'
    )
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='turns of each way')
    parser.add_argument('--device', help='cuda or cpu; default: a CUDA GPU if there is one')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures')
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from mmengine.registry import init_default_scope

    from facesr.benchmark.data import time_loader
    from facesr.benchmark.degradation import check_levels, time_both
    from facesr.benchmark.measure import describe_machine, format_table, write_json
    from facesr.config import load_config

    config = load_config(args.config, args.cfg_options)
    init_default_scope('mmagic')
    print(', '.join(f'{name} {fact}' for name, fact in describe_machine().items()))
    results: dict[str, object] = {}
    if args.what == 'data':
        title, taken = 'loader, per image on one core', time_loader(config, args.rounds)
    else:
        agreement = check_levels(config, args.images, args.device)
        print(agreement)
        results['agreement'] = vars(agreement)
        title, taken = 'degradation, per image', time_both(config, args.rounds, args.device)
    print(format_table(title, taken))
    if args.json is not None:
        write_json(args.json, {'what': args.what}, {**results, 'seconds': taken})
        print(args.json)


if __name__ == '__main__':
    run(main, parse_args())
