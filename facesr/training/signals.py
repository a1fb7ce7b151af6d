"""The signals that ask a run to stop, from its start to its end."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType, SimpleNamespace

from ..errors import StoppedError
from ..files import write_file

#: An environment variable: the file that a run writes once it has stopped and saved. A launcher's
#: exit code does not say so, where the launcher kills the other processes once one has left.
STOP_FILE = 'FACESR_STOP_FILE'
#: Slurm's warning before the time limit (scripts/slurm_train.sh), a cluster's or a user's kill, and
#: Ctrl-C.
SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)


_state = SimpleNamespace(taking=False, begun=False, asked=None)  # asked: the signal's name


@contextmanager
def taking_signals() -> Iterator[None]:
    """Let :data:`SIGNALS` stop a run within this context, and change nothing at its end.

    Until :func:`begin` there is nothing to save, and a signal ends the run at once; from then on it
    is only noted, and ``StopHook`` asks for it. Signals that the process blocked and ignored before
    are ignored again afterwards, so that none ends a process whose run has ended
    (``tools/train.py``). Other threads than the main one get no signals.
    """
    if current_thread() is not main_thread():
        yield
        return
    _state.taking, _state.begun, _state.asked = True, False, None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    former = {number: signal.signal(number, _take) for number in SIGNALS}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        yield
    except BaseException:  # MMEngine may have made a SyntaxError of a stop, say
        if _state.begun or _state.asked is None:
            raise
        stop = _early_stop()
        record_stop(str(stop))
        raise stop from None
    finally:
        _state.begun = True  # nothing can be stopped any more
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        for number, handler in former.items():
            signal.signal(number, handler)
        _state.taking, _state.begun, _state.asked = False, False, None
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def begin() -> None:
    """From now on only note signals; the loop calls it before its first iteration."""
    _state.begun = True
    if _state.asked is not None:  # what was running then took the exception for its own
        raise _early_stop()


def has_begun() -> bool:
    """Whether the training has begun, so that there is something to save."""
    return bool(_state.begun)


def asked() -> str | None:
    """The name of the last signal, if any came."""
    name: str | None = _state.asked
    return name


def _take(number: int, frame: FrameType | None) -> None:
    _state.asked = signal.Signals(number).name
    if not _state.begun:
        raise _early_stop()


def _early_stop() -> StoppedError:
    """What a signal before the first iteration raises."""
    return StoppedError(
        f'stopped by {_state.asked} before the first iteration, nothing to save; to start again: '
        'the same command'
    )


def record_stop(stopped: str) -> None:
    """Write what a stopped run says into the file that :data:`STOP_FILE` names, if any."""
    if path := os.environ.get(STOP_FILE):
        write_file(path, f'{stopped}\n', durable=True)


# A loader's process is made with the signals blocked, until it takes them by `outlive_signals`.
def _hold() -> None:
    if _state.taking:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _release() -> None:
    if _state.taking:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


os.register_at_fork(before=_hold, after_in_parent=_release)
