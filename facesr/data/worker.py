"""The loader's processes."""

from __future__ import annotations

import signal
from types import FrameType

from mmengine.registry import FUNCTIONS

#: Seconds in which a training process has saved after its whole job was asked to stop.
GRACE = 60


@FUNCTIONS.register_module()
def outlive_signals(worker_id: int) -> None:
    """Let a loader's process live on while the training process saves; a ``worker_init_fn``.

    Ctrl-C and many a cluster's kill reach all processes of a run, and PyTorch ends a training
    process whose loader is gone. MMEngine's own function seeds the process, which the draws'
    own numbers make needless.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)


def _end_later(number: int, frame: FrameType | None) -> None:
    signal.alarm(GRACE)
