"""What every benchmark does alike: its command line, turns, medians, a table, a file."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmengine.registry import init_default_scope

import facesr
from _cli import add_config_options, add_overwrite, count, run
from facesr.config import load_config
from facesr.files import write_file, writing_results

PACKAGES = ('torch', 'torchvision', 'mmagic', 'mmengine', 'numpy')
#: Options that benchmarks share.
OPTIONS: dict[str, dict[str, Any]] = {
    'rounds': dict(type=count, default=5, metavar='N', help='turns of each way; default: 5'),
    'images': dict(type=count, default=200, metavar='N', help='how many; default: 200'),
    'draws': dict(type=count, default=1, metavar='N', help='of each image; default: 1'),
    'gt': dict(type=Path, metavar='DIR', help="ground truths; default: the config's"),
    'iterations': dict(type=count, default=5, metavar='N', help='in a turn; default: 5'),
    'device': dict(help='cuda or cpu; default: a CUDA GPU if there is one'),
    'checkpoint': dict(metavar='FILE', help='weights; default: as they are initialised'),
}
#: What a benchmark measured: seconds by way, in each round, as ``seconds``; and findings by name.
Figures = dict[str, Any]
Clock = Callable[[], float]


def make_parser(
    description: str | None, options: Sequence[str], several: bool = False
) -> ArgumentParser:
    """A parser for one config or several, their overrides, and some of :data:`OPTIONS`."""
    program = f'python -m benchmarks.{Path(sys.argv[0]).stem}'
    parser = ArgumentParser(program, description=description)
    add_config_options(parser, several)
    for option in options:
        parser.add_argument(f'--{option}', **OPTIONS[option])
    return parser


def take_turns(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure several ways in turn (A B A B ...), after a warm-up of each that does not count.

    Each call of a side gives seconds; those of each round are returned, by the side's name.
    """
    for measure in sides.values():
        measure()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            taken[name].append(measure())
    return taken


def time_call(work: Callable[[], object], images: int, clock: Clock = time.perf_counter) -> float:
    """Seconds per image, until a GPU has done its part."""
    start = clock()
    work()
    synchronise()
    return (clock() - start) / images


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def format_figures(figures: Figures) -> str:
    """The findings, then a table: medians, spreads, and how often each fits into the first."""
    taken: dict[str, list[float]] = figures['seconds']
    first = median(next(iter(taken.values())))
    width = max(len(name) for name in taken)
    lines = [
        f'{name}: ' + ', '.join(f'{key} {value:.6g}' for key, value in finding.items())
        for name, finding in figures.items()
        if name != 'seconds'
    ]
    lines.append(f'{"per image":{width}}  {"median (least ... most) ms":>34}   ratio')
    for name, seconds in taken.items():
        ratio = first / median(seconds)
        lines.append(f'{name:{width}}  {format_spread(seconds):>34}  {ratio:6.2f}')
    return '\n'.join(lines)


def format_spread(seconds: Sequence[float]) -> str:
    """Median, least and most in milliseconds."""
    middle, least, most = (1e3 * value for value in (median(seconds), min(seconds), max(seconds)))
    return f'{middle:.3f} ({least:.3f} ... {most:.3f})'


def describe_machine() -> dict[str, Any]:
    """Processor, threads, GPU and versions."""
    info = Path('/proc/cpuinfo')
    models = re.findall(r'^model name\s*: (.+)$', info.read_text() if info.is_file() else '', re.M)
    return {
        'cpu': models[0] if models else platform.processor() or platform.machine(),
        'cores': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'gpu': torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        'python': platform.python_version(),
        'facesr': facesr.__version__,
        **{package: version(package) for package in PACKAGES},
    }


def format_machine() -> str:
    """The machine in one line."""
    return ', '.join(f'{name} {fact}' for name, fact in describe_machine().items())


def write_json(path: Path, args: Namespace, figures: Figures) -> None:
    """Keep figures with the machine, the versions and the command's arguments."""
    settings = {name: str(value) for name, value in vars(args).items() if name != 'json'}
    content = {'machine': describe_machine(), 'settings': settings, 'results': figures}
    write_file(path, json.dumps(content, indent=2) + '\n')


def run_benchmark(
    measure: Callable[..., Figures],
    description: str | None,
    *options: str,
    show: Callable[[Figures], str] = format_figures,
) -> None:
    """Run a benchmark from its command line: CONFIG, ``--json FILE`` and some of :data:`OPTIONS`.

    ``measure`` takes the config, and the options by name.
    """
    parser = make_parser(description, options)
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures there')
    add_overwrite(parser)

    def main(args: Namespace) -> None:
        config = load_config(args.config, args.cfg_options)
        init_default_scope('mmagic')
        with writing_results([args.json] if args.json else [], [Path(args.config)], args.overwrite):
            print(format_machine())
            figures = measure(config, **{option: getattr(args, option) for option in options})
            print(show(figures))
            if args.json is not None:
                write_json(args.json, args, figures)
                print(args.json)

    run(main, parser.parse_args())
