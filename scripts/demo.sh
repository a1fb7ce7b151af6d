#!/usr/bin/env bash
# The whole way on a CPU, in minutes: set up, make a data set from scikit-image's photographs, restore
# the portrait's face with the trained weights that the project brings along, train configs/demo.py
# and a few adversarial iterations after it, restore 16 degradations of the held-out portrait with
# both, score them, and show it all in one page.
# Photographs of your own come first, arguments of tools/train.py after them:
#   bash scripts/demo.sh me.jpg --cfg-options randomness.seed=1
set -euo pipefail
photos=()
while [ $# -gt 0 ] && [[ $1 != -* ]]; do
    [ -f "$1" ] || { echo "error: $1: no such photograph" >&2; exit 1; }
    photos+=("$(realpath -- "$1")")
    shift
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh demo
. scripts/environment.sh
export CUDA_VISIBLE_DEVICES=  # the same run everywhere
config=configs/demo.py
work=work_dirs/demo
faces=work_dirs/photos

[ -e data/demo/test/LQ/astronaut_15.png ] || "$PYTHON_BIN" tools/prepare_data.py data/demo --demo
rm -rf "$faces"
"$PYTHON_BIN" tools/prepare_data.py "$faces" --photos data/demo/val/GT/astronaut_00.png "${photos[@]}"
for name in srresnet_24b face_unet; do
    "$PYTHON_BIN" tools/test.py "configs/$name.py" "weights/$name.pth" \
        --input "$faces/LQ" --out "$faces/$name"
done
rm -rf "$work" "${work}_srgan"
"$PYTHON_BIN" tools/train.py "$config" --work-dir "$work" "$@"
"$PYTHON_BIN" tools/train.py configs/demo_srgan.py --work-dir "${work}_srgan"
for name in demo demo_srgan; do
    "$PYTHON_BIN" tools/test.py "configs/$name.py" "$(cat "work_dirs/$name/last_checkpoint")" \
        --gt data/demo/val/GT --out "work_dirs/$name/results"
done
"$PYTHON_BIN" tools/report.py "$work" "${work}_srgan" \
    --crop eyes=160,72,128,48 --crop mouth=160,120,128,48
