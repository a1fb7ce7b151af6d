"""Signals that ask a run to stop."""

from __future__ import annotations

import signal
from threading import current_thread, main_thread
from types import FrameType, TracebackType

#: Slurm's warning before the time limit (scripts/slurm_train.sh), a cluster's or a user's kill, and
#: Ctrl-C.
SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Takes note of :data:`SIGNALS` for a while, as a context; a second Ctrl-C interrupts at once.

    Attributes:
        name: the last signal's; None as long as none has come.
    """

    def __init__(self) -> None:
        self.name: str | None = None

    def __enter__(self) -> StopRequest:
        numbers = SIGNALS if current_thread() is main_thread() else ()  # no other takes signals
        self._former = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.name is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name
