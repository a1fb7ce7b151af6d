#!/usr/bin/env bash
# Set up the environment: bash scripts/setup.sh [EXTRA...]   (extras: demo, export, page, photos, tests)
#
# Makes .venv with the versions of constraints.txt. Inside an active environment whose torch and
# torchvision work together and are new enough, it installs the rest beside them instead and leaves
# them as they are. Asked again, it finds that nothing is to do.
#   PYTHON           the Python to make .venv with (3.11 to 3.13; default: the first found)
#   TORCH_INDEX_URL  where to take torch and torchvision from, for a CPU-only build say
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
MMAGIC='mmagic==1.2.0'
MTCNN='facenet-pytorch==2.6.0' # of the extra photos

fail() { echo "error: $*" >&2; exit 1; }
usable() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

# shellcheck source=scripts/environment.sh
. scripts/environment.sh
if [ "$ENVIRONMENT" = .venv ] && ! { [ -x "$PYTHON_BIN" ] && usable "$PYTHON_BIN"; }; then
    candidates=(python3 python3.13 python3.12 python3.11)
    if [ -n "${PYTHON:-}" ]; then candidates=("$PYTHON"); fi
    for python in "${candidates[@]}"; do
        if usable "$python"; then found=$python; break; fi
    done
    [ -n "${found:-}" ] || fail "no Python 3.11 to 3.13 found; install one, or name it: PYTHON=/path/to/python bash scripts/setup.sh"
    "$found" -c 'import ensurepip' 2>/dev/null || fail "$found cannot make an environment; install its venv package (Debian: python3-venv)"
    echo "making .venv with $("$found" --version)"
    "$found" -m venv --clear .venv
fi
usable "$PYTHON_BIN" || fail "$("$PYTHON_BIN" --version) in the active environment; 3.11 to 3.13 is needed"

# Done before, with the same requirements?
prefix=$("$PYTHON_BIN" -c 'import sys; print(sys.prefix)')
asked=$(cat requirements.txt constraints.txt setup.cfg scripts/setup.sh <(echo "$PWD $*") | cksum | tr ' ' -)
stamp="$prefix/.facesr-$asked"
if [ -e "$stamp" ] && "$PYTHON_BIN" -c '
import importlib.util as u, sys
sys.exit(any(u.find_spec(m) is None for m in "torch torchvision mmengine mmcv mmagic cv2 scipy tensorboard".split()))'
then
    echo "environment ready: $prefix"
    exit 0
fi

pip() { "$PYTHON_BIN" -m pip --disable-pip-version-check "$@"; }
"$PYTHON_BIN" -m pip --version >/dev/null 2>&1 || "$PYTHON_BIN" -m ensurepip >/dev/null || fail "no pip in $prefix"
installed() { pip show -q "$1" >/dev/null 2>&1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp requirements.txt "$work/requirements.txt"
# mmcv and mmcv-lite are the same module: never one over the other.
if installed mmcv; then
    "$PYTHON_BIN" -c '
from importlib.metadata import version
import sys
sys.exit(not (2, 1) <= tuple(int(part) for part in version("mmcv").split(".")[:2]) < (2, 2))' ||
        fail "mmcv $("$PYTHON_BIN" -c 'import importlib.metadata as m; print(m.version("mmcv"))') is installed; MMagic takes 2.1"
    sed -i '/^mmcv-lite/d' "$work/requirements.txt"
fi

if [ "$ENVIRONMENT" = active ]; then
    echo "using the active environment $prefix; its torch and torchvision stay"
    "$PYTHON_BIN" -c '
from importlib.metadata import version
for name in ("torch", "torchvision"): print(f"{name}=={version(name)}")' >"$work/constraints.txt"
    grep -E '^(ruff|mypy|pytest)==' constraints.txt >>"$work/constraints.txt"
else
    cp constraints.txt "$work/constraints.txt"
    if [ -n "${TORCH_INDEX_URL:-}" ]; then
        pip install -c "$work/constraints.txt" --no-deps --index-url "$TORCH_INDEX_URL" torch torchvision
    fi
fi
export PIP_CONSTRAINT="$work/constraints.txt"
echo "installing; PyTorch is large, this takes minutes the first time"
if installed opencv-python-headless || installed opencv-contrib-python || installed opencv-contrib-python-headless; then
    # Never a second OpenCV: what asks for opencv-python comes without its needs, they by name.
    grep -E '^mm' "$work/requirements.txt" >"$work/openmmlab.txt"
    sed -i '/^mm/d; /^opencv-python/d' "$work/requirements.txt"
    pip install -q --no-deps -r "$work/openmmlab.txt"
    "$PYTHON_BIN" -c '
from importlib.metadata import requires
for need in requires("mmengine"):
    if ";" not in need and not need.startswith("opencv"): print(need)' >>"$work/requirements.txt"
fi
pip install -q -r "$work/requirements.txt"
pip install -q --no-deps "$MMAGIC"
# It names PyTorch 2.2 and NumPy 1 as its needs, and runs on later ones.
if [[ " $* " == *" photos "* ]]; then pip install -q --no-deps "$MTCNN"; fi
extras=$(IFS=,; echo "$*")
pip install -q -e ".${extras:+[$extras]}"

"$PYTHON_BIN" -c 'import facesr' || fail "the installed packages do not work together"
touch "$stamp"
echo "environment ready: $prefix"
