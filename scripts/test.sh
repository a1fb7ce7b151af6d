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
# A file is never split: its tests share what they have trained.
"$PYTHON_BIN" -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile "$@"
