#!/usr/bin/env bash
# Everything once on a CPU, in minutes: set up, make a data set from scikit-image's photographs,
# restore the portrait's face with the trained weights of the project, train configs/demo.py and a
# few adversarial iterations after it, restore 16 degradations of the held-out portrait with both,
# score them, and show it all in one page.
# What a demo before has left in work_dirs/demo, demo_srgan and photos is replaced.
# Photographs of your own, restored into work_dirs/photos/restored, come first, arguments of
# tools/train.py after them:
#   bash scripts/demo.sh me.jpg --cfg-options randomness.seed=1
set -euo pipefail
photos=()
ours=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../work_dirs")
while [ $# -gt 0 ] && [[ $1 != -* ]]; do
    [ -f "$1" ] || { echo "error: $1: no such photograph" >&2; exit 1; }
    photo=$(realpath -- "$1")
    [[ $photo != "$ours"/* ]] || { echo "error: $1: is in work_dirs; copy it to another place" >&2; exit 1; }
    photos+=("$photo")
    shift
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh demo photos
. scripts/environment.sh
export CUDA_VISIBLE_DEVICES=  # the same run everywhere
tool() { "$PYTHON_BIN" "tools/$1.py" "${@:2}"; }

[ -e data/demo/test/LQ/astronaut_15.png ] || tool make_demo data/demo
rm -rf work_dirs/photos/{LQ,srresnet_24b,face_unet} work_dirs/demo work_dirs/demo_srgan
if [ "${#photos[@]}" -gt 0 ]; then tool restore "${photos[@]}" --out work_dirs/photos/restored; fi
tool cut_faces data/demo/val/GT/astronaut_00.png "${photos[@]}" --only-largest --out work_dirs/photos/LQ
for name in srresnet_24b face_unet; do
    tool test "configs/$name.py" "weights/$name.pth" \
        --input work_dirs/photos/LQ --out "work_dirs/photos/$name"
done
tool train configs/demo.py "$@"
tool train configs/demo_srgan.py
for name in demo demo_srgan; do
    tool test "configs/$name.py" "$(cat "work_dirs/$name/last_checkpoint")" --gt data/demo/val/GT
done
tool report work_dirs/demo work_dirs/demo_srgan --picture work_dirs/photos/face_unet_panel.png \
    --crop eyes=160,72,128,48 --crop mouth=160,120,128,48
echo "The portrait, restored: work_dirs/photos/face_unet/astronaut_00.png"
echo "All of it in a page, the portrait first: work_dirs/demo/report/report.html"
