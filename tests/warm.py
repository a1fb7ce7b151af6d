"""Processes of the tools that begin with the stack loaded: a server forks them.

Each costs a tenth of a second to start; PyTorch and MMagic take 4 to 7 to import. What a run does
while it starts, and what only a new interpreter has, needs a process of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

SERVER = multiprocessing.get_context('forkserver')
SERVER.set_forkserver_preload(['facesr.training.train', 'facesr.restoring.folder', 'torch._dynamo'])


def start(
    command: list[object],
    cwd: Path,
    stdout: str | Path | None = os.devnull,
    stderr: str | Path | None = os.devnull,
    environment: Mapping[str, str] | None = None,
) -> ForkServerProcess:
    """Run ``python FILE ARGUMENTS...``; its output goes to a file, or None: nobody reads it."""
    words = [str(word) for word in command]
    environment = dict(os.environ if environment is None else environment)
    process = SERVER.Process(target=_run, args=(words, cwd, stdout, stderr, environment))
    process.start()
    return process


def _run(
    command: list[str],
    cwd: Path,
    stdout: str | Path | None,
    stderr: str | Path | None,
    environment: dict[str, str],
) -> None:
    os.setsid()  # a signal to it reaches no other
    multiprocessing.set_start_method(None, force=True)  # the system's, as in a new process
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for name, path in (('stdout', stdout), ('stderr', stderr)):
        number = getattr(sys, f'__{name}__').fileno()
        if path is None:
            reading, target = os.pipe()
            os.close(reading)
        else:
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(target, number)
        setattr(sys, name, os.fdopen(number, 'w', buffering=1, closefd=False))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = command
    more = environment.get('PYTHONPATH', '').split(os.pathsep)
    sys.path[:0] = [str(Path(command[0]).resolve().parent), *filter(None, more)]
    runpy.run_path(command[0], run_name='__main__')
