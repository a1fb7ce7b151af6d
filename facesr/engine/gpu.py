"""A GPU that is there and cannot be used."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

from ..errors import UserError

#: Where NVIDIA's driver on Linux puts a file for each GPU: ``nvidia0`` and so on.
DEVICES = Path('/dev')


def check_gpu() -> None:
    """Refuse to train on the CPU in silence on a machine with an NVIDIA GPU.

    PyTorch takes the CPU, with no more than a warning, where the driver is too old for it.
    A build of PyTorch without CUDA, and a CUDA_VISIBLE_DEVICES that names no GPU, mean the CPU.

    Raises:
        UserError: the GPU cannot be used; with PyTorch's reason and what to do.
    """
    visible = os.environ.get('CUDA_VISIBLE_DEVICES', '0')
    if torch.version.cuda is None or not re.match(r'\d|GPU-|MIG-', visible):
        return
    if torch.cuda.is_available() or not any(DEVICES.glob('nvidia[0-9]*')):
        return
    try:
        torch.cuda.init()
    except RuntimeError as error:
        reason = str(error).split('. ')[0]
        raise UserError(
            f'PyTorch {torch.__version__} cannot use the NVIDIA GPU of this machine ({reason}); '
            f'install a driver for CUDA {torch.version.cuda}, or a PyTorch for this driver '
            '(TORCH_INDEX_URL, see scripts/setup.sh), or train on the CPU on purpose: '
            'CUDA_VISIBLE_DEVICES= before the command'
        ) from error
