"""Kill a small training again and again, resume it, and compare its end with the uncut run's:
python tests/kill_training.py --kills 50

SIGKILL comes at random moments: while the run starts, while it trains or validates, and, for one in
three, the moment a checkpoint is being written. Minutes on two cores. The exit code is 1 where an
end differs or a run cannot resume.

    python tests/kill_training.py --kills 0 --stops 50

sends SIGINT, SIGTERM or SIGUSR1 instead, to all processes of a run of tools/train.py: at random
moments from its first import to its last, for one in three around its end. It must have saved and
exit with 75, or finish and exit with 0.
"""

import argparse
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from conftest import ROOT, TINY, make_faces

from facesr.checkpoint import latest_checkpoint, read_checkpoint
from facesr.config import load_config
from facesr.degradation.base import degradation_of
from facesr.training.signals import SIGNALS
from facesr.training.train import train

FORK = multiprocessing.get_context('fork')  # a process that need not import everything again


def run(options: list[str], work_dir: Path) -> None:
    """Train or resume, in a process of its own, its output in a file."""
    with Path(f'{work_dir}.log').open('a') as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    train(TINY, options, work_dir=str(work_dir), resume='auto')


@contextmanager
def running(options: list[str], work_dir: Path) -> Iterator[FORK.Process]:
    process = FORK.Process(target=run, args=(options, work_dir))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def wait(condition: Callable[[], bool], process: Any, seconds: float = 60) -> None:
    """Wait until something holds, or the process has ended."""
    end = time.monotonic() + seconds
    is_alive = getattr(process, 'is_alive', lambda: process.poll() is None)
    while not condition() and is_alive() and time.monotonic() < end:
        time.sleep(0.001)


def partial_files(work_dir: Path) -> list[Path]:
    return list(work_dir.glob('.*.partial.pth'))


def kill_once(options: list[str], work_dir: Path, rng: random.Random) -> str:
    """Resume a run until it is killed, or ends; returns what it was doing."""
    before = set(work_dir.glob('iter_*.pth'))
    moment = rng.choice(['anywhere', 'training', 'saving'])
    with running(options, work_dir) as process:
        if moment == 'anywhere':
            time.sleep(rng.uniform(0, 4))
        else:
            wait(lambda: bool(set(work_dir.glob('iter_*.pth')) - before), process)
            time.sleep(rng.uniform(0, 1))
        if moment == 'saving':
            wait(lambda: bool(partial_files(work_dir)), process)
        if process.is_alive():
            process.kill()
            process.join()
        if process.exitcode == 0:
            return 'ended'
        if process.exitcode != -signal.SIGKILL:
            raise SystemExit(
                f'a run could not resume:\n{Path(f"{work_dir}.log").read_text()[-3000:]}'
            )
    left = partial_files(work_dir)
    for path in left:  # of one life, to count those of the next
        path.unlink()
    return 'killed in the middle of a checkpoint' if left else 'killed elsewhere'


def stop_once(
    options: list[str], work_dir: Path, rng: random.Random, life: float, iterations: int
) -> str:
    """Resume a run of the tool, and send it a signal within its life; returns how it ended."""
    command = [sys.executable, ROOT / 'tools/train.py', TINY, '--work-dir', work_dir, '--resume']
    one_thread = {**os.environ, 'OMP_NUM_THREADS': '1'}  # as the uncut run
    with Path(f'{work_dir}.log').open('w') as log:
        process = subprocess.Popen(
            [*command, '--cfg-options', *options],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=one_thread,
        )
    try:
        wait(lambda: is_listening(process.pid), process)
        last = work_dir / f'iter_{iterations}.pth'
        if rng.random() < 1 / 3:
            wait(last.exists, process)
            time.sleep(rng.uniform(0, 1.5))
        else:
            time.sleep(rng.uniform(0, life))
        alive = process.poll() is None
        if alive:
            os.killpg(process.pid, rng.choice(SIGNALS))
        code = process.wait(timeout=120)
    finally:
        process.kill()
    said = Path(f'{work_dir}.log').read_text()
    if code == 0 and last.exists() and ('finished' in said):
        return 'finished' if alive else 'ended'
    if code == 75 and 'Traceback' not in said:
        early = 'before the first iteration, nothing to save' in said
        if early or re.search(r'saved as (\S+);', said):
            return 'stopped before the first iteration' if early else 'stopped and saved'
    raise SystemExit(f'exit code {code}:\n{said[-3000:]}')


def is_listening(process: int) -> bool:
    """Whether a process has come as far as to block SIGTERM, or to take it."""
    try:
        status = Path(f'/proc/{process}/status').read_text()
    except OSError:
        return False
    masks = re.findall(r'^Sig(?:Blk|Cgt):\s*(\w+)', status, re.MULTILINE)
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)


def ends_alike(work_dir: Path, uncut: Path) -> bool:
    """Whether all weights and all logged losses of two runs are equal."""
    ends = [read_checkpoint(latest_checkpoint(folder)) for folder in (work_dir, uncut)]
    first, second = (end['state_dict'] for end in ends)
    losses = [end['message_hub']['log_scalars']['train/loss'] for end in ends]
    return losses[0] == losses[1] and all(
        torch.equal(weight, second[name]) for name, weight in first.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--kills', type=int, default=50)
    parser.add_argument('--stops', type=int, default=0)
    parser.add_argument('--iterations', type=int, default=60, help='of a training; default: 60')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    torch.set_num_threads(1)  # before a fork; and the same in every process
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_faces(root / 'faces', degradation_of(load_config(TINY)))
        options = [
            *(f'{split}_dataloader.dataset.data_root={root}/faces' for split in ('train', 'val')),
            'train_dataloader.dataset.gt_patch_size=64',
            'train_dataloader.num_workers=1',
            f'train_cfg.max_iters={args.iterations}',
            'train_cfg.val_interval=20',
            'default_hooks.checkpoint.interval=1',
        ]
        begin = time.monotonic()
        with running(options, root / 'uncut') as process:
            process.join()
        life = 5 + time.monotonic() - begin  # of the tool, which has to import everything
        results = []
        if args.kills:
            results.append(repeat(kill_once, args.kills, options, root, rng))
        if args.stops:
            results.append(repeat(stop_once, args.stops, options, root, rng, life, args.iterations))
    runs, equal = map(sum, zip(*results, strict=True))
    print(f'weights and losses equal to the uncut run: {equal} of {runs} trainings')
    if equal < runs:
        raise SystemExit('an end differs')


def repeat(
    once: Callable[..., str], number: int, options: list[str], root: Path, *more: object
) -> tuple[int, int]:
    """Kill or stop runs so often; returns how many trainings that made, and how many end alike."""
    counts: Counter[str] = Counter()
    runs = equal = 0
    while counts.total() < number:
        work_dir, what = root / f'{once.__name__}_{runs}', ''
        while what not in ('ended', 'finished') and counts.total() < number:
            what = once(options, work_dir, *more)
            if what != 'ended':
                counts[what] += 1
                print(f'{counts.total()}: {what}', flush=True)
        with running(options, work_dir) as process:  # to its end
            process.join()
        runs += 1
        equal += ends_alike(work_dir, root / 'uncut')
    print(', '.join(f'{count} {what}' for what, count in sorted(counts.items())))
    return runs, equal


if __name__ == '__main__':
    main()
