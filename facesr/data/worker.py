"""The loader's processes."""

from __future__ import annotations

import os
import signal
from threading import Thread

from mmengine.registry import FUNCTIONS


@FUNCTIONS.register_module()
def outlive_signals(worker_id: int) -> None:
    """Let a loader's process live on while the training process saves; a ``worker_init_fn``.

    Ctrl-C and a cluster's kill reach all processes of a run, and PyTorch ends a training process
    whose loader is gone. Here a loader's process ends when its parent says so, or is gone.
    MMEngine's own function seeds the process, which the draws' own numbers make needless.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    Thread(target=_obey, args=(os.getppid(),), daemon=True).start()


def _obey(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
