#!/usr/bin/env bash
# The whole way on a CPU, in minutes: set up, make a data set from scikit-image's photographs, train
# configs/demo.py and a few adversarial iterations after it, restore 16 degradations of the held-out
# portrait with both, score them, and show it all in one page.
# Arguments go to tools/train.py: bash scripts/demo.sh --cfg-options randomness.seed=1
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh demo
. scripts/environment.sh
export CUDA_VISIBLE_DEVICES=  # the same run everywhere
config=configs/demo.py
work=work_dirs/demo

[ -e data/demo/test/LQ/astronaut_15.png ] || "$PYTHON_BIN" tools/prepare_data.py data/demo --demo
rm -rf "$work" "${work}_srgan"
"$PYTHON_BIN" tools/train.py "$config" --work-dir "$work" "$@"
"$PYTHON_BIN" tools/train.py configs/demo_srgan.py --work-dir "${work}_srgan"
for name in demo demo_srgan; do
    "$PYTHON_BIN" tools/test.py "configs/$name.py" "$(cat "work_dirs/$name/last_checkpoint")" \
        --gt data/demo/val/GT --out "work_dirs/$name/results"
done
"$PYTHON_BIN" tools/report.py "$work" "${work}_srgan" \
    --crop eyes=160,72,128,48 --crop mouth=160,120,128,48
