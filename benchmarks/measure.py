"""What every benchmark does alike: turns, medians, a table, a file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch

PACKAGES = ('facesr', 'torch', 'torchvision', 'mmagic', 'mmengine', 'numpy')


def take_turns(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure several ways in turn (A B A B ...), after a warm-up of each that does not count.

    Args:
        sides: what to measure, by name; each call gives seconds.
        rounds: how often.

    Returns:
        Seconds of each round, by name.
    """
    for measure in sides.values():
        measure()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            taken[name].append(measure())
    return taken


def format_table(title: str, taken: Mapping[str, list[float]]) -> str:
    """Medians and spreads in milliseconds, and how often each fits into the first."""
    first = median(next(iter(taken.values())))
    width = max(len(name) for name in taken)
    lines = [title, f'{"":{width}}  {"median (least ... most) ms":>34}   ratio']
    for name, seconds in taken.items():
        ratio = first / median(seconds)
        lines.append(f'{name:{width}}  {describe_spread(seconds):>34}  {ratio:6.2f}')
    return '\n'.join(lines)


def describe_spread(seconds: Sequence[float]) -> str:
    """Median, least and most in milliseconds."""
    middle, least, most = (1e3 * value for value in (median(seconds), min(seconds), max(seconds)))
    return f'{middle:.3f} ({least:.3f} ... {most:.3f})'


def describe_machine() -> dict[str, Any]:
    """Processor, threads, GPU and versions."""
    cpu = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith('model name')]
        cpu = names[0].partition(': ')[2] if names else cpu
    return {
        'cpu': cpu,
        'cores': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'gpu': torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        'python': platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def write_json(path: Path, settings: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    """Keep a benchmark's figures with the machine, the versions and the settings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {'machine': describe_machine(), 'settings': settings, 'results': results}
    path.write_text(json.dumps(content, indent=2) + '\n')
