"""Nets: built from a config, unwrapped, counted; and the devices they run on."""

import ctypes
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch
from mmagic.registry import MODELS
from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.functional import pad

from .errors import UserError


def build_part(config: Config, part: str) -> Any:
    """Build the ``generator`` or the ``data_preprocessor`` of a config's model."""
    init_default_scope(config.get('default_scope', 'mmagic'))
    try:
        return MODELS.build(config.model[part])
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f'model: cannot be built: {error}') from error


def multiple_of(generator: nn.Module, given: int | None) -> int:
    """What the sides of a generator's input must be multiples of: as given, else its own word."""
    own: int = getattr(generator, 'size_multiple', 1)
    return given or own


def run_padded(net: Callable[[Tensor], Tensor], lq: Tensor, multiple: int) -> Tensor:
    """Run a net that takes only sides that are multiples of a number: (N, C, H, W).

    The last row and column are repeated up to the next multiple, and what they give is cut off.
    """
    if multiple == 1:
        return net(lq)
    height, width = lq.shape[2:]
    down, right = -height % multiple, -width % multiple
    sr = net(pad(lq, (0, right, 0, down), 'replicate'))
    scale = sr.shape[3] // (width + right)
    return sr[:, :, : height * scale, : width * scale]


def unwrap(module: nn.Module) -> Any:
    """The module itself, without the wrapper that a distributed run puts around it."""
    return module.module if is_model_wrapper(module) else module


def unwrap_generator(runner: Runner) -> nn.Module:
    """A runner's generator; wrapped apart from the discriminator in a distributed SRGAN."""
    generator: nn.Module = unwrap(unwrap(runner.model).generator)
    return generator


def count_parameters(module: nn.Module) -> int:
    """Count a module's trainable parameters."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def find_device(name: str | None) -> torch.device:
    """The named device, or a CUDA GPU if there is one, or the CPU."""
    try:
        device = torch.device(name or ('cuda' if torch.cuda.is_available() else 'cpu'))
        torch.empty(0, device=device)
    except (AssertionError, ImportError, RuntimeError) as error:
        raise UserError(f'{name}: no such device here') from error
    return device


#: Where NVIDIA's driver on Linux has a file for each GPU: ``nvidia0``, ``nvidia1``, ...
DEVICES = Path('/dev')


def check_gpu() -> None:
    """Refuse to train on the CPU of a machine whose NVIDIA GPU cannot be used.

    Where the driver is too old, PyTorch only warns and takes the CPU. A PyTorch without CUDA, or a
    CUDA_VISIBLE_DEVICES that names no GPU, means that the CPU is wanted.
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


@cache
def is_fast_in_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 matrices in hardware.

    NVIDIA GPUs since Ampere do, and CPUs with AVX512-BF16 or AMX. On others PyTorch emulates it, 10
    to 25 times slower than float32.
    """
    if device.type == 'cuda':
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, 'get_capabilities'):  # an older PyTorch
        return False
    return any(torch.cpu.get_capabilities().get(name) for name in ('avx512_bf16', 'amx_bf16'))


def keep_memory() -> None:
    """Have the C library keep freed memory, up to 2 GiB, for the process's next arrays.

    glibc hands arrays of 32 MiB and more back to the system at once, and takes them again page by
    page: a third of a net's forward pass on a CPU. Threads that start later share one heap, as
    only the first can hold such arrays. Where the C library is another, nothing changes.
    """
    trim_threshold, mmap_threshold, arena_max = -1, -3, -8  # M_... of glibc's malloc.h
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(trim_threshold, 2**31 - 1)
        library.mallopt(mmap_threshold, 2**30)
        library.mallopt(arena_max, 1)


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Have PyTorch compute with so many threads on a CPU, as a context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def use_tf32(convolutions: bool) -> Iterator[None]:
    """Allow or forbid TF32 in convolutions, and forbid it in matrix products, as a context.

    TF32 keeps 10 of float32's 23 mantissa bits; tensor cores (Ampere and newer) compute with it.
    PyTorch's default is ``convolutions=True``. The setting is the process's: threads may open this
    context only within another one with the same setting. On a CPU it changes nothing.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32, matmul.allow_tf32 = convolutions, False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before
