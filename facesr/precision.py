"""How exactly a CUDA GPU computes in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def use_tf32(convolutions: bool) -> Iterator[None]:
    """Allow or forbid TF32 in convolutions, and forbid it in matrix products, for a while.

    TF32 keeps 10 of float32's 23 mantissa bits; tensor cores (Ampere and newer) compute with it.
    PyTorch's default is ``convolutions=True``. The setting is the process's, not the thread's;
    on a CPU it changes nothing.
    """
    convolution, matrix = torch.backends.cudnn, torch.backends.cuda.matmul
    former = convolution.allow_tf32, matrix.allow_tf32
    convolution.allow_tf32, matrix.allow_tf32 = convolutions, False
    try:
        yield
    finally:
        convolution.allow_tf32, matrix.allow_tf32 = former
