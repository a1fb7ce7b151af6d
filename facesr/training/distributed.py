"""Several processes: what MMEngine's launchers cannot do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from mmengine.config import Config
from mmengine.dist import (
    broadcast_object_list,
    get_backend,
    init_dist,
    is_distributed,
    is_main_process,
)
from mmengine.utils.dl_utils import set_multi_processing

from ..errors import StoppedError, UserError

Result = TypeVar('Result')


@contextmanager
def joined_processes(config: Config) -> Iterator[None]:
    """Join the processes of a launcher for a while, as a context.

    MMEngine joins them as late as it builds a runner, and never closes their group.

    Args:
        config: a training config with its ``launcher``. On a machine without a CUDA GPU it gets a
            model wrapper that names no device.

    Raises:
        UserError: another launcher. MPI's processes learn their rank too late for MMEngine's logs.
    """
    launcher = config.get('launcher', 'none')
    if launcher not in ('none', 'pytorch', 'slurm'):
        raise UserError(f"launcher={launcher!r}: 'none', 'pytorch' or 'slurm' expected")
    if launcher == 'none' or is_distributed():
        yield
        return
    _join(config)
    together = True
    try:
        yield
    except StoppedError:
        raise
    except BaseException:
        # One process may fail where the others wait for it: NCCL would wait for them to close.
        together = get_backend() != 'nccl'
        raise
    finally:
        if together:
            torch.distributed.destroy_process_group()


def by_first(work: Callable[[], Result]) -> Result:
    """Have the first of the joined processes do something, while the others wait.

    Args:
        work: takes nothing, and gives what can be pickled.

    Returns:
        In every process what ``work`` gave in the first.

    Raises:
        UserError: in every process, where ``work`` raised it in the first.
    """
    answer: list[Any] = [None, None]
    if is_main_process():
        try:
            answer[0] = work()
        except UserError as error:
            answer[1] = error
    broadcast_object_list(answer)
    result, failure = answer
    if failure is not None:
        raise failure
    return result  # type: ignore[no-any-return]


def _join(config: Config) -> None:
    """Over gloo without a CUDA GPU; MMEngine's launchers choose a CUDA device first, always."""
    if torch.cuda.is_available():
        environment = config.get('env_cfg', {})
        set_multi_processing(**environment.get('mp_cfg', {}), distributed=True)
        init_dist(config.launcher, **environment.get('dist_cfg', {}))
        return
    if config.launcher == 'slurm':
        for name, of_slurm in (
            ('RANK', 'SLURM_PROCID'),
            ('LOCAL_RANK', 'SLURM_LOCALID'),
            ('WORLD_SIZE', 'SLURM_NTASKS'),
        ):
            os.environ[name] = os.environ[of_slurm]
        os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
        os.environ.setdefault('MASTER_PORT', '29500')
    torch.distributed.init_process_group('gloo')
    # MMEngine's wrapper hands a CUDA device to PyTorch.
    wrapper = config.get('model_wrapper_cfg') or dict(
        type='MMDistributedDataParallel', broadcast_buffers=False
    )
    config.model_wrapper_cfg = {**wrapper, 'device_ids': None}
