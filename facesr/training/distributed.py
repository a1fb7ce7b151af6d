"""Several processes: what MMEngine's launchers lack."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine import dist
from mmengine.config import Config
from mmengine.utils.dl_utils import set_multi_processing

from ..errors import StoppedError, UserError
from .signals import has_begun

#: What PyTorch reads of a process's place, what each launcher calls it, and the launcher's command.
_PLACE = ('RANK', 'LOCAL_RANK', 'WORLD_SIZE')
_LAUNCHERS = {
    'pytorch': (_PLACE, 'torchrun'),
    'slurm': (('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS'), 'srun (scripts/slurm_train.sh)'),
}


@contextmanager
def joined_processes(config: Config) -> Iterator[None]:
    """Join the processes of a config's ``launcher``, as a context.

    MMEngine joins them only when it builds a runner, and never closes their group. Its launcher
    ``mpi`` is refused: there a process learns its rank too late for the logs. Without a CUDA GPU
    the config gets a model wrapper that names no device.
    """
    launcher = config.get('launcher', 'none')
    if launcher not in ('none', *_LAUNCHERS):
        raise UserError(f"launcher={launcher!r}: 'none', 'pytorch' or 'slurm' expected")
    if launcher == 'none' or dist.is_distributed():
        yield
        return
    _join(config, launcher)
    try:
        yield
    except BaseException as error:
        # One process may fail where the others wait for it: NCCL would wait for them to close.
        all_stop = isinstance(error, StoppedError) and has_begun()
        if all_stop or dist.get_backend() != 'nccl':
            torch.distributed.destroy_process_group()
        raise
    torch.distributed.destroy_process_group()


def _join(config: Config, launcher: str) -> None:
    """Join over gloo without a CUDA GPU, where MMEngine's launchers choose a CUDA device anyway."""
    names, command = _LAUNCHERS[launcher]
    for place, name in zip(_PLACE, names, strict=True):
        if name not in os.environ:
            raise UserError(f'launcher={launcher!r}: {name} is not set; start it with {command}')
        os.environ[place] = os.environ[name]
    for library in ('OMP', 'MKL'):  # as MMEngine would, with a warning from every process
        os.environ.setdefault(f'{library}_NUM_THREADS', '1')
    # A default of MMEngine's, which no config can change.
    warnings.filterwarnings('ignore', '`broadcast_buffers` is deprecated')
    if torch.cuda.is_available():
        environment = config.get('env_cfg', {})
        set_multi_processing(**environment.get('mp_cfg', {}), distributed=True)
        dist.init_dist(launcher, **environment.get('dist_cfg', {}))
        return
    if launcher == 'slurm':
        os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
        os.environ.setdefault('MASTER_PORT', '29500')
    torch.distributed.init_process_group('gloo')
    # MMEngine's wrapper hands a CUDA device to PyTorch.
    wrapper = config.get('model_wrapper_cfg') or dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=config.get('find_unused_parameters', False),
    )
    config.model_wrapper_cfg = {**wrapper, 'device_ids': None}
