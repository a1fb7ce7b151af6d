#!/usr/bin/env bash
# The whole way on a CPU, in minutes: set up, make a data set from scikit-image's photographs, train
# configs/demo.py, restore 16 degradations of the held-out portrait, score them.
# Arguments go to tools/train.py: bash scripts/demo.sh --cfg-options randomness.seed=1
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh demo
. scripts/environment.sh
export CUDA_VISIBLE_DEVICES=  # the same run everywhere
config=configs/demo.py
work=work_dirs/demo

[ -e data/demo/test/LQ/astronaut_15.png ] || "$PYTHON_BIN" tools/prepare_data.py data/demo --demo
rm -rf "$work"
"$PYTHON_BIN" tools/train.py "$config" --work-dir "$work" "$@"
"$PYTHON_BIN" tools/test.py "$config" "$(cat "$work/last_checkpoint")" \
    --gt data/demo/val/GT --out "$work/results"
