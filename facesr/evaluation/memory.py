"""What memory is free, on a GPU, a machine or in a container; no package of the stack tells."""

from __future__ import annotations

from pathlib import Path

import torch


def free_memory(device: torch.device) -> int:
    """Bytes that can be allocated on a device; 4 GiB where the system does not tell."""
    if device.type == 'cuda':
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    try:
        lines = Path('/proc/meminfo').read_text(encoding='ascii').splitlines()
    except OSError:
        return 4 << 30
    available = next(line for line in lines if line.startswith('MemAvailable:'))
    return min(int(available.split()[1]) * 1024, _cgroup_memory())


def _cgroup_memory() -> int:
    """Bytes left under the limit of a container or a Slurm job; very many where there is none."""
    try:
        group = Path('/proc/self/cgroup').read_text(encoding='ascii').rpartition('::')[2].strip()
        folder = Path('/sys/fs/cgroup', group.lstrip('/'))
        limit = (folder / 'memory.max').read_text(encoding='ascii').strip()
        used = int((folder / 'memory.current').read_text(encoding='ascii'))
        return max(int(limit) - used, 0)
    except (OSError, ValueError):  # not there, or 'max'
        return 1 << 62


def make_room(error: MemoryError | RuntimeError, device: torch.device) -> None:
    """Give back what PyTorch keeps, after it ran out of memory; raise any other error again."""
    # On a CPU, PyTorch tells of it with a plain RuntimeError.
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if not known and 'DefaultCPUAllocator' not in str(error):
        raise error
    if device.type == 'cuda':
        torch.cuda.empty_cache()
