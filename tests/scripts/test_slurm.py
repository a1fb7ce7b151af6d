"""Jobs on a real Slurm of one node, which tests/slurm/start.sh starts; skipped where it cannot."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from conftest import ROOT, TINY

from facesr.checkpoint import read_checkpoint

FINAL = {'COMPLETED', 'FAILED', 'CANCELLED', 'TIMEOUT', 'NODE_FAIL', 'OUT_OF_MEMORY'}
Submit = Callable[..., str]


@pytest.fixture(scope='session')
def slurm() -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands find it."""
    start = subprocess.run(
        ['bash', ROOT / 'tests/slurm/start.sh'], capture_output=True, text=True, check=False
    )
    if start.returncode == 77:
        pytest.skip(start.stderr.strip())
    assert start.returncode == 0, start.stderr
    own = {'SLURM_CONF': '/run/facesr-slurm/slurm.conf', 'PYTHONPATH': str(ROOT / 'tests/slurm')}
    # A test's RANK or OMP_NUM_THREADS is none of a job's.
    names = ('PATH', 'HOME', 'LANG', 'CUDA_VISIBLE_DEVICES')
    yield {**{name: os.environ[name] for name in names if name in os.environ}, **own}
    subprocess.run(['bash', ROOT / 'tests/slurm/stop.sh'], capture_output=True, check=True)


@pytest.fixture
def submit(slurm: dict[str, str], tmp_path: Path) -> Submit:
    """``sbatch OPTIONS scripts/SCRIPT.sh CONFIG ARGUMENTS``; gives the job's number."""
    python = Path(sys.executable).parent.parent

    def run(
        options: list[str],
        *arguments: object,
        script: str = 'slurm_train',
        log: str = 'job.log',
    ) -> str:
        command = ['sbatch', '--parsable', '--cpus-per-task=1', '--gres=none', *options]
        command += [f'--output={tmp_path}/{log}', f'scripts/{script}.sh', *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**slurm, 'FACESR_ENVIRONMENT': str(python)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    return run


def control(slurm: dict[str, str], *command: str) -> str:
    command = ('scontrol', *command)
    return subprocess.run(command, env=slurm, capture_output=True, text=True, check=True).stdout


def end_of(job: str, slurm: dict[str, str]) -> dict[str, str]:
    """Wait until a job has ended for good: what Slurm says of it."""
    shown: dict[str, str] = {}

    def has_ended() -> bool:
        said = control(slurm, 'show', 'job', '-o', job).split()
        shown.update(part.split('=', 1) for part in said if '=' in part)
        return shown['JobState'] in FINAL

    wait(has_ended)
    return shown


def wait(condition: Callable[[], bool], seconds: float = 400) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.2)


@pytest.fixture
def config(tiny_options: list[str], tmp_path: Path) -> Path:
    """The tiny config on the test's data."""
    path = tmp_path / 'slow.py'
    path.write_text(
        f"_base_ = ['{TINY}']\n"
        "custom_imports = dict(imports=['facesr', 'slow'], allow_failed_imports=False)\n"
        'train_cfg = dict(max_iters=60, val_interval=1000)\n'
        "default_hooks = dict(slow=dict(type='SlowHook', seconds=0),\n"
        '                     checkpoint=dict(interval=1000), logger=dict(interval=10))\n'
    )
    return path


def test_cut_by_its_limit_it_ends_as_the_uncut_run(submit, slurm, config, tiny_options, tmp_path):
    """Told to stop 300 s before the limit, which is set to that while it trains.

    Slurm looks at the limits twice a minute. The uncut run is beside it.
    """
    log = tmp_path / 'job.log'
    options = ['--cfg-options', *tiny_options]
    cut = submit([], config, *options, 'default_hooks.slow.seconds=1')
    uncut = submit([], config, '--work-dir', tmp_path / 'uncut', *options, log='uncut.log')
    wait(lambda: log.exists() and 'iteration 2 of 60' in log.read_text())
    control(slurm, 'update', f'JobId={cut}', 'TimeLimit=5')
    wait(lambda: 'queued again: stopped by SIGUSR1 ' in log.read_text())
    control(slurm, 'update', f'JobId={cut}', 'TimeLimit=60')
    ended = [end_of(job, slurm) for job in (cut, uncut)]
    assert [job['JobState'] for job in ended] == ['COMPLETED'] * 2, log.read_text()
    assert ended[0]['Restarts'] == '1'
    cut, uncut = (read_checkpoint(tmp_path / f'{run}/iter_60.pth') for run in ('work', 'uncut'))
    for name, weight in uncut['state_dict'].items():
        assert torch.equal(weight, cut['state_dict'][name]), name
    losses = [run['message_hub']['log_scalars']['train/loss'][0] for run in (cut, uncut)]
    assert losses[0] == losses[1]


def test_each_task_has_the_processors_that_were_asked_for(
    submit: Submit, slurm: dict[str, str], config: Path, tiny_options: list[str], tmp_path: Path
):
    options = [*tiny_options, 'train_cfg.max_iters=2']
    job = submit(['--ntasks-per-node=2'], config, '--cfg-options', *options)
    log = tmp_path / 'job.log'
    assert end_of(job, slurm)['JobState'] == 'COMPLETED', log.read_text()
    assert 'batch of 2 on each of 2 processes' in log.read_text()
    assert '1 processors, 1 threads' in log.read_text()


def test_a_test_set_is_restored(submit, slurm, tiny_checkpoint, faces, tmp_path: Path):
    options = ['--input', faces / 'test/LQ', '--out', tmp_path / 'out']
    job = submit([], TINY, tiny_checkpoint, *options, script='slurm_test')
    assert end_of(job, slurm)['JobState'] == 'COMPLETED', (tmp_path / 'job.log').read_text()
    assert (tmp_path / 'out/00001.png').is_file()


def test_an_error_that_would_come_back_ends_the_job(submit, slurm: dict[str, str], tmp_path: Path):
    job = submit([], TINY, '--cfg-options', f'work_dir={tmp_path}/work', 'train_cfg.max_itres=3')
    ended = end_of(job, slurm)
    assert (ended['JobState'], ended['ExitCode']) == ('FAILED', '1:0')
    assert ended['Restarts'] == '0'
    assert 'error: ' in (tmp_path / 'job.log').read_text().splitlines()[-2]
