# Sourced by the other scripts: which Python the project runs in.
#   ENVIRONMENT  'active' (an environment is active whose torch and torchvision work) or '.venv'
#   PYTHON_BIN   its Python
ENVIRONMENT=.venv
PYTHON_BIN=$PWD/.venv/bin/python
if active=$(command -v python3) && [ "$(readlink -f "${VIRTUAL_ENV:-/nowhere}")" != "$(readlink -f .venv)" ] && "$active" -c '
import os, sys
conda = os.environ.get("CONDA_PREFIX", "/nowhere")
if sys.prefix == sys.base_prefix and os.path.realpath(sys.prefix) != os.path.realpath(conda):
    sys.exit(1)  # no environment: the system Python is not ours to fill
import torch, torchvision
from torchvision.ops import nms  # fails where the two builds do not fit
nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
sys.exit(tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 6))' >/dev/null 2>&1
then
    ENVIRONMENT=active
    PYTHON_BIN=$active
fi
