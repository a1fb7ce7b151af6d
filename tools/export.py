"""Export a trained generator for others: python tools/export.py CONFIG CHECKPOINT FILE"""

import argparse
from pathlib import Path

from _cli import add_config_options, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_options(parser)
    add = parser.add_argument
    add('checkpoint', help='training checkpoint')
    add('out', type=Path, metavar='FILE', help='.pth: weights, metadata; .onnx: a checked graph')
    add('--ema', action='store_true', help='the average of the weights (see GeneratorEMAHook)')
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.config import load_config
    from facesr.restoring.export import export

    config = load_config(args.config, args.cfg_options)
    print(export(config, Path(args.config).stem, args.checkpoint, args.out, args.ema))


if __name__ == '__main__':
    run(main, parse_args())
