"""Timings of this project against the stock way: ``python -m benchmarks.training CONFIG``."""

import sys
from pathlib import Path

import facesr  # noqa: F401  (first: it makes MMagic importable)

sys.path.append(str(Path(__file__).resolve().parents[1] / 'tools'))  # _cli
