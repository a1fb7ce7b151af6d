"""Export a trained generator for others: python tools/export.py CONFIG CHECKPOINT FILE"""

import argparse
from pathlib import Path

from _cli import add_config_options, add_ema_option, add_overwrite, count, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_options(parser)
    add = parser.add_argument
    add('checkpoint', help='training checkpoint or exported weights')
    add('out', type=Path, metavar='FILE', help='.pth: weights, metadata; .onnx: a checked graph')
    add_ema_option(parser)
    add('--half', action='store_true', help='.onnx in float16')
    add('--opset', type=count, help=".onnx in this version; default: PyTorch's choice")
    add_overwrite(parser)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from facesr.config import load_config
    from facesr.restoring.export import export

    config = load_config(args.config, args.cfg_options)
    name = Path(args.config).stem
    options = args.ema, args.overwrite, args.half, args.opset
    print(export(config, name, args.checkpoint, args.out, *options))


if __name__ == '__main__':
    run(main, parse_args())
