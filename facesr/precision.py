"""How exactly a CUDA GPU computes in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

_lock = Lock()
#: What was asked for and not given back yet, after what there was before.
_asked: list[tuple[bool, bool]] = []


@contextmanager
def use_tf32(convolutions: bool) -> Iterator[None]:
    """Allow or forbid TF32 in convolutions, and forbid it in matrix products, for a while.

    TF32 keeps 10 of float32's 23 mantissa bits; tensor cores (Ampere and newer) compute with it.
    PyTorch's default is ``convolutions=True``. The setting is the process's, not the thread's;
    several threads may ask for the same. On a CPU it changes nothing.
    """
    setting = (convolutions, False)
    with _lock:
        if not _asked:
            _asked.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
        _asked.append(setting)
        _apply()
    try:
        yield
    finally:
        with _lock:
            last = len(_asked) - 1 - _asked[::-1].index(setting)  # of those who asked the same
            del _asked[last]
            _apply()
            if len(_asked) == 1:
                _asked.clear()


def _apply() -> None:
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = _asked[-1]
