"""Several processes without a GPU: what MMEngine's launchers cannot do."""

from __future__ import annotations

import os

import torch
from mmengine.config import Config

from ..errors import UserError


def join_processes(config: Config) -> None:
    """Join the processes of a launcher over gloo, on a machine without a CUDA GPU.

    MMEngine's launchers choose a CUDA device first, whatever the backend, and its wrapper hands
    that device to PyTorch. With a GPU all is left to them.

    Args:
        config: a training config with its ``launcher``; gets a wrapper that names no device.

    Raises:
        UserError: another launcher. MPI's processes learn their rank too late for the work
            directory's lock.
    """
    launcher = config.get('launcher', 'none')
    if launcher not in ('none', 'pytorch', 'slurm'):
        raise UserError(f"launcher={launcher!r}: 'none', 'pytorch' or 'slurm' expected")
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher == 'slurm':
        for name, of_slurm in (
            ('RANK', 'SLURM_PROCID'),
            ('LOCAL_RANK', 'SLURM_LOCALID'),
            ('WORLD_SIZE', 'SLURM_NTASKS'),
        ):
            os.environ[name] = os.environ[of_slurm]
        os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
        os.environ.setdefault('MASTER_PORT', '29500')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    wrapper = config.get('model_wrapper_cfg') or dict(
        type='MMDistributedDataParallel', broadcast_buffers=False
    )
    config.model_wrapper_cfg = {**wrapper, 'device_ids': None}
