#!/usr/bin/env bash
# Set up and run everything that is checked: lint, format, types, tests.
# Arguments go to pytest: bash scripts/test.sh tests/data
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh demo export page photos tests
. scripts/environment.sh
"$PYTHON_BIN" -m ruff check .
"$PYTHON_BIN" -m ruff format --check .
"$PYTHON_BIN" -m mypy
# A file is never split: its tests share what they have trained. Some wait for Slurm or a process:
# two workers more than there are cores. tests/conftest.py puts the slowest files first.
"$PYTHON_BIN" -m pytest --numprocesses $(($(nproc) + 2)) --maxprocesses 8 --dist loadfile \
    --no-loadscope-reorder "$@"
