"""A face's time and work in our nets and in the field's: random weights, one thread.

pip install spandrel spandrel_extra_arches   # the architectures of GFPGAN and CodeFormer
python -m benchmarks.peers
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch
from mmagic.registry import MODELS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from _cli import run
from facesr.errors import UserError
from facesr.nets import count_parameters

from .measure import OPTIONS, Figures, format_figures, format_machine, take_turns, time_call


def build_nets() -> dict[str, nn.Module]:
    """Ours first; a UserError where the others' package is missing."""
    try:
        from spandrel.architectures.GFPGAN import GFPGAN
        from spandrel_extra_arches.architectures.CodeFormer import CodeFormer
    except ImportError as error:
        raise UserError(f'{error}; pip install spandrel spandrel_extra_arches') from error
    photo, face = (MODELS.build(dict(type=name)) for name in ('FacePhotoNet', 'FaceUNet'))
    others = {'GFPGAN': GFPGAN(), 'CodeFormer': CodeFormer()}
    return {'FacePhotoNet': photo, 'FaceUNet': face, **others}


@torch.inference_mode()
def measure(rounds: int) -> Figures:
    """Seconds of one face, its operations (a multiplication and an addition: two), parameters."""
    torch.set_num_threads(1)
    figures: Figures = {}
    ways = {}
    for name, net in build_nets().items():
        side = 128 if name == 'FaceUNet' else 512
        face = torch.rand(1, 3, side, side) * 2 - 1
        with FlopCounterMode(display=False) as counter:
            net.eval()(face)
        work = counter.get_total_flops() / 1e9
        figures[name] = dict(GFLOP=work, parameters=count_parameters(net))
        ways[name] = lambda net=net, face=face: time_call(lambda: net(face), 1)
    return figures | dict(seconds=take_turns(ways, rounds))


def main(args: Namespace) -> None:
    """Do what the command line says."""
    print(format_machine())
    print(format_figures(measure(args.rounds)))


if __name__ == '__main__':
    parser = ArgumentParser(f'python -m benchmarks.{Path(sys.argv[0]).stem}', description=__doc__)
    parser.add_argument('--rounds', **OPTIONS['rounds'])
    run(main, parser.parse_args())
