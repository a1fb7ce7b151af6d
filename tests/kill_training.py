"""Kill a small training again and again, resume it, and compare its end with the uncut run's:
python tests/kill_training.py --kills 50

SIGKILL comes at random moments: while the run starts, while it trains or validates, and, for one in
three, the moment a checkpoint is being written. Minutes on two cores. The exit code is 1 where an
end differs or a run cannot resume.
"""

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from conftest import TINY, load_degradation, make_faces

from facesr.checkpoint import read_checkpoint
from facesr.training.train import train

ITERATIONS = 60
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


def wait(condition: Callable[[], bool], process: FORK.Process, seconds: float = 60) -> None:
    """Wait until something holds, or the process has ended."""
    end = time.monotonic() + seconds
    while not condition() and process.is_alive() and time.monotonic() < end:
        pass


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
    return 'in the middle of a checkpoint' if left else 'elsewhere'


def ends_alike(work_dir: Path, uncut: Path) -> bool:
    """Whether all weights and all logged losses of two runs are equal."""
    ends = [read_checkpoint(folder / f'iter_{ITERATIONS}.pth') for folder in (work_dir, uncut)]
    first, second = (end['state_dict'] for end in ends)
    losses = [end['message_hub']['log_scalars']['train/loss'] for end in ends]
    return losses[0] == losses[1] and all(
        torch.equal(weight, second[name]) for name, weight in first.items()
    )


def time_start(options: list[str], work_dir: Path, iteration: int, source: Path) -> float:
    """Seconds from starting to resume at an iteration until the next one is done."""
    if iteration:
        work_dir.mkdir()
        checkpoint = read_checkpoint(source)
        checkpoint['meta']['iter'] = iteration
        torch.save(checkpoint, work_dir / f'iter_{iteration}.pth')
    options = [*options, f'train_cfg.max_iters={iteration + 10}']
    start = time.monotonic()
    with running(options, work_dir) as process:
        following = work_dir / f'iter_{iteration + 1}.pth'
        wait(following.exists, process)
        if not following.exists():
            raise SystemExit(f'no start:\n{Path(f"{work_dir}.log").read_text()[-3000:]}')
        return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--kills', type=int, default=50)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    torch.set_num_threads(1)  # before a fork; and the same in every process
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_faces(root / 'faces', load_degradation())
        options = [
            *(f'{split}_dataloader.dataset.data_root={root}/faces' for split in ('train', 'val')),
            'train_dataloader.dataset.gt_patch_size=64',
            'train_dataloader.num_workers=1',
            f'train_cfg.max_iters={ITERATIONS}',
            'train_cfg.val_interval=20',
            'default_hooks.checkpoint.interval=1',
        ]
        with running(options, root / 'uncut') as process:
            process.join()
        counts: dict[str, int] = {}
        runs = equal = 0
        while sum(counts.values()) < args.kills:
            work_dir = root / f'killed_{runs}'
            while sum(counts.values()) < args.kills:
                what = kill_once(options, work_dir, rng)
                if what == 'ended':
                    break
                counts[what] = counts.get(what, 0) + 1
                print(f'{sum(counts.values())}: killed {what}', flush=True)
            with running(options, work_dir) as process:  # to its end
                process.join()
            runs += 1
            equal += ends_alike(work_dir, root / 'uncut')
        kills = ', '.join(f'{count} {what}' for what, count in sorted(counts.items()))
        print(f'{sum(counts.values())} kills ({kills}), resumed after each')
        print(f'weights and losses equal to the uncut run: {equal} of {runs} trainings')
        last = root / f'uncut/iter_{ITERATIONS}.pth'
        for iteration in (0, 100, 120_000):
            seconds = time_start(options, root / f'start_{iteration}', iteration, last)
            print(f'start to the end of iteration {iteration + 1:,}: {seconds:.2f} s')
    if equal < runs:
        raise SystemExit('an end differs')


if __name__ == '__main__':
    main()
