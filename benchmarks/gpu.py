"""Everything that has to be seen on a GPU: each config trains, then the timings are taken:
python -m benchmarks.gpu configs/*.py --faces data/FFHQ --out work_dirs/gpu
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

from _cli import count, run
from facesr.config import load_config
from facesr.errors import UserError
from facesr.files import write_file

from .measure import describe_machine, format_machine, make_parser

#: Iterations of a config's first run, and after its resume.
ITERATIONS, RESUMED = 4, 6
#: Seconds that a step may take.
LIMIT = 420
#: The timings and their options; training is timed for each config, the others for the first.
TIMINGS = {
    'degradation': ('images', 'rounds'),
    'validation': ('images', 'rounds'),
    'restoring': ('images', 'rounds'),
    'training': ('iterations', 'rounds'),
}


@dataclass
class Step:
    """One process, with these arguments of Python, and how it ended."""

    name: str
    arguments: list[str]
    code: int | None = None  # also if it was stopped at LIMIT
    seconds: float = 0.0
    output: str = ''  # its last line; all of a timing's

    @property
    def is_timing(self) -> bool:
        return self.arguments[0] == '-m'

    @property
    def verdict(self) -> str:
        return 'passed' if self.code == 0 else 'too long' if self.code is None else 'FAILED'

    def run(self, out: Path) -> Step:
        """Run the process, with a log in ``out``."""
        log = out / f'{self.name.replace(": ", "_")}.log'
        command = [sys.executable, *self.arguments]
        begin = perf_counter()
        with log.open('wb') as file, suppress(subprocess.TimeoutExpired):
            self.code = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=LIMIT
            ).returncode
        self.seconds = perf_counter() - begin
        lines = log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
        self.output = '\n'.join(lines if self.is_timing else lines[-1:])
        print(f'{self.verdict:>8}  {self.seconds:6.1f} s  {self.name}', flush=True)
        return self


def run_everything(args: Namespace) -> list[Step]:
    """Train, validate, save and resume every config, several at a time; then time one by one.

    A step that fails leaves the others' results; each has a log of its name in ``args.out``, and a
    timing its figures. ``gpu.md`` and ``gpu.json`` there have all of them.

    Args:
        args: the command line's. A config that starts from another's generator comes after it.

    Raises:
        UserError: the folder is not empty: its files would be taken for this run's.
    """
    out: Path = args.out
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f'{out}: not empty; name another folder with --out')
    out.mkdir(parents=True, exist_ok=True)
    sources: dict[str, str | None] = {}
    options: dict[str, list[str]] = {}
    splits = ('train', 'val', 'test') if args.faces is not None else ()
    faces = [f'{split}_dataloader.dataset.data_root={args.faces}' for split in splits]
    for path in args.config:
        config = load_config(path)
        source = config.default_hooks.get('pretrained', {}).get('source')
        sources[path] = None if source and Path(source).is_file() else source  # a run among these
        options[path] = [*args.cfg_options, *faces]
        if 'perceptual_loss' in config.model:  # without VGG's weights: any cost the same
            options[path].append('model.perceptual_loss.pretrained=random')

    def train(path: str) -> list[Step]:
        return [step.run(out) for step in _trainings(path, options[path], sources[path], out)]

    done: list[Step] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for later in (False, True):
            group = [path for path in options if (sources[path] is not None) == later]
            for steps in pool.map(train, group):
                done += steps
    done += [step.run(out) for step in _timings(options, args)]
    report = {
        'machine': describe_machine(),
        'steps': [asdict(step) for step in done],
        'figures': {path.stem: json.loads(path.read_text()) for path in out.glob('figures_*.json')},
    }
    for name, content in (('gpu.json', json.dumps(report, indent=1)), ('gpu.md', _format(done))):
        write_file(out / name, content)
    return done


def _trainings(path: str, options: list[str], source: str | None, out: Path) -> Iterator[Step]:
    name = Path(path).stem
    command = ['tools/train.py', path, '--work-dir', str(out / name)]
    intervals = ['train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=2']
    intervals += ['default_hooks.logger.interval=1', 'randomness.seed=0']
    changes = ['--cfg-options', *options, *intervals]
    start = [f'load_from={out / Path(source).name / f"iter_{RESUMED}.pth"}'] if source else []
    yield Step(f'{name}: train', [*command, *changes, *start, f'train_cfg.max_iters={ITERATIONS}'])
    command.append('--resume')
    yield Step(f'{name}: resume', [*command, *changes, f'train_cfg.max_iters={RESUMED}'])


def _timings(options: dict[str, list[str]], args: Namespace) -> Iterator[Step]:
    for benchmark, flags in TIMINGS.items():
        for path in options if benchmark == 'training' else args.config[:1]:
            name = f'{benchmark}_{Path(path).stem}'
            command = ['-m', f'benchmarks.{benchmark}', path]
            command += ['--json', str(args.out / f'figures_{name}.json')]
            for flag in flags:
                command += [f'--{flag}', str(getattr(args, flag))]
            if options[path]:
                command += ['--cfg-options', *options[path]]
            yield Step(name, command)


def _format(steps: Sequence[Step]) -> str:
    lines = [format_machine(), '', '| step | | seconds |', '| --- | --- | --- |']
    lines += [f'| {step.name} | {step.verdict} | {step.seconds:.1f} |' for step in steps]
    for step in steps:
        if step.is_timing or step.code != 0:
            lines += ['', f'{step.name}:', '']
            lines += [f'    {line}' for line in step.output.splitlines()]
    return '\n'.join([*lines, ''])


def parse_args() -> Namespace:
    parser = make_parser(__doc__, ('rounds', 'images', 'iterations'), several=True)
    parser.add_argument(
        '--faces', type=Path, metavar='DIR', help="the data set, instead of each config's own"
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/gpu'),
        metavar='DIR',
        help='an empty folder for the runs, the logs and the tables; default: work_dirs/gpu',
    )
    parser.add_argument('--jobs', type=count, default=4, metavar='N', help='trainings at a time')
    return parser.parse_args()


def main(args: Namespace) -> None:
    steps = run_everything(args)
    print(args.out / 'gpu.md')
    failed = [step.name for step in steps if step.code != 0]
    if failed:
        raise UserError(f'{args.out}: {len(failed)} of {len(steps)} steps failed: {failed[0]}, ...')


if __name__ == '__main__':
    run(main, parse_args())
