"""What every benchmark does alike: turns, medians, a table, a file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
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
    lines = [title, f'{"":{width}}  median ms   least ... most    ratio']
    for name, seconds in taken.items():
        middle = median(seconds)
        lines.append(
            f'{name:{width}}  {middle * 1e3:9.3f}   {min(seconds) * 1e3:.3f} ... '
            f'{max(seconds) * 1e3:.3f}   {first / middle:6.1f}'
        )
    return '\n'.join(lines)


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
