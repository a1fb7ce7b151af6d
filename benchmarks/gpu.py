"""All that has to be seen on a GPU, in one go: every config trains, then every timing is taken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from mmengine.config import Config

from benchmarks.measure import describe_machine
from facesr.config import load_config
from facesr.errors import UserError
from facesr.files import write_whole

#: Iterations of a config's first run, and after its resume.
ITERATIONS, RESUMED = 4, 6
#: Seconds that a step may take.
LIMIT = 420


@dataclass(frozen=True)
class Step:
    """One process and how it ended.

    Attributes:
        name: what it shows.
        arguments: of Python.
        code: its exit code; None where it was ended at :data:`LIMIT` or has not run.
        seconds: how long it took.
        said: its last line, or all of a benchmark's.
    """

    name: str
    arguments: Sequence[str]
    code: int | None = None
    seconds: float = 0.0
    said: str = ''


def run_everything(
    paths: Sequence[str], options: Sequence[str], out: Path, sizes: Mapping[str, Any], jobs: int = 4
) -> list[Step]:
    """Train, validate, save and resume every config, several at a time; then measure, one by one.

    A step that fails leaves the others' results; each has a log of its name in ``out``, and a
    benchmark its figures.

    Args:
        paths: the configs. One that starts from another's generator comes after it.
        options: ``key=value`` strings for all, such as where the faces are.
        out: a folder; ``gpu.md`` and ``gpu.json`` are written there.
        sizes: options of ``tools/benchmark.py`` and their values, such as ``{'images': 200}``.
        jobs: trainings at a time.

    Returns:
        The steps as they ended.

    Raises:
        UserError: the folder holds something, which would be taken for this run's.
    """
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f'{out}: not empty; name another folder with --out')
    out.mkdir(parents=True, exist_ok=True)
    configs = {path: load_config(path) for path in paths}
    changes = {path: [*options, *_without_files(config)] for path, config in configs.items()}
    sources = {path: _source(config) for path, config in configs.items()}
    done: list[Step] = []
    with ThreadPoolExecutor(jobs) as pool:
        for later in (False, True):
            trainings = [
                _train(path, changes[path], source, out)
                for path, source in sources.items()
                if (source is not None) == later
            ]
            for steps in pool.map(lambda training: _run_all(training, out), trainings):
                done += steps
    done += _run_all(_measure(changes, out, sizes), out)
    report = {
        'machine': describe_machine(),
        'steps': [asdict(step) for step in done],
        'figures': {path.stem: json.loads(path.read_text()) for path in out.glob('figures_*.json')},
    }
    for name, content in (('gpu.json', json.dumps(report, indent=1)), ('gpu.md', _format(done))):
        with write_whole(out / name) as file:
            file.write_text(content)
    return done


def _source(config: Config) -> str | None:
    """The work directory of the run whose generator a config starts from."""
    hooks = [*config.get('custom_hooks', []), *config.get('default_hooks', {}).values()]
    for hook in hooks:
        if hook.get('type') == 'PretrainedGeneratorHook':
            source: str = hook.source
            return source
    return None


def _without_files(config: Config) -> list[str]:
    """What has a config do without VGG's weights: any weights cost the same."""
    return ['model.perceptual_loss.pretrained=random'] * ('perceptual_loss' in config.model)


def _train(path: str, options: Sequence[str], source: str | None, out: Path) -> Iterable[Step]:
    changes = [
        *options,
        'train_cfg.val_interval=2',
        'default_hooks.checkpoint.interval=2',
        'default_hooks.logger.interval=1',
        'randomness.seed=0',
    ]
    start = []
    if source is not None:
        start = [f'load_from={out / Path(source).name / f"iter_{RESUMED}.pth"}']
    command = ['tools/train.py', path, '--work-dir', str(out / Path(path).stem)]
    for name, more, last in (('train', start, ITERATIONS), ('resume', [], RESUMED)):
        arguments = [*command, *(['--resume'] if name == 'resume' else [])]
        values = [*changes, *more, f'train_cfg.max_iters={last}']
        yield Step(f'{Path(path).stem}: {name}', [*arguments, '--cfg-options', *values])


def _measure(
    changes: Mapping[str, Sequence[str]], out: Path, sizes: Mapping[str, Any]
) -> list[Step]:
    paths = list(changes)
    flags = [text for name, value in sizes.items() for text in (f'--{name}', str(value))]
    steps = []
    for what, config in (
        *((what, paths[0]) for what in ('degradation', 'validation', 'test')),
        *(('train', path) for path in paths),
    ):
        name = f'{what}_{Path(config).stem}'
        figures = ['--json', str(out / f'figures_{name}.json')]
        command = ['tools/benchmark.py', what, config, *flags, *figures]
        options = ['--cfg-options', *changes[config]] if changes[config] else []
        steps.append(Step(name, [*command, *options]))
    return steps


def _run_all(steps: Iterable[Step], out: Path) -> list[Step]:
    return [_run(step, out) for step in steps]


def _run(step: Step, out: Path) -> Step:
    log = out / f'{step.name.replace(": ", "_")}.log'
    begin = perf_counter()
    with log.open('w', encoding='utf-8') as file:
        try:
            code: int | None = subprocess.run(
                [sys.executable, *step.arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=LIMIT,
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
    lines = log.read_text(encoding='utf-8', errors='replace').strip().splitlines() or ['']
    said = '\n'.join(lines) if 'benchmark' in step.arguments[0] else lines[-1]
    ended = Step(step.name, step.arguments, code, perf_counter() - begin, said)
    print(f'{_verdict(ended):>8}  {ended.seconds:6.1f} s  {step.name}', flush=True)
    return ended


def _verdict(step: Step) -> str:
    if step.code == 0:
        return 'passed'
    return 'too long' if step.code is None else 'FAILED'


def _format(steps: Sequence[Step]) -> str:
    machine = ', '.join(f'{name} {fact}' for name, fact in describe_machine().items())
    lines = [machine, '', '| step | | seconds |', '| --- | --- | --- |']
    lines += [f'| {step.name} | {_verdict(step)} | {step.seconds:.1f} |' for step in steps]
    told = [step for step in steps if step.code != 0 or 'benchmark' in step.arguments[0]]
    for step in told:
        lines += ['', f'{step.name}:', '', *(f'    {line}' for line in step.said.splitlines())]
    return '\n'.join([*lines, ''])
