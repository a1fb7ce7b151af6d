import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import warm
from conftest import ROOT, TINY, TINY_GAN, free_port

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.errors import UserError
from facesr.restoring.export import export
from facesr.training.resume import sole_run
from facesr.training.train import train as train_config

CONFIG = """
_base_ = ['BASE']
custom_imports = dict(imports=['facesr', 'probe'], allow_failed_imports=False)
custom_hooks = [dict(type='ProbeHook')]
stock = dict(type='PSNR', prefix='stock', collect_device='gpu')
metrics = [*_base_.val_evaluator.metrics, stock]
val_evaluator = dict(metrics=metrics)
"""
# Adam makes a full step of a gradient's last bit.
SGD = "optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1))\n"
Launch = Callable[..., list['Launched']]


@pytest.fixture
def config(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / 'config.py'
    base, more = request.param
    path.write_text(CONFIG.replace('BASE', str(base)) + more)
    return path


@pytest.mark.parametrize('config', [(TINY, SGD)], indirect=True)
def test_two_halves_of_a_batch_train_as_the_whole(config: Path, tiny_options, tmp_path: Path):
    """As a user trains, from a folder in which nothing may be left."""
    current = tmp_path / 'started_here'
    current.mkdir()
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2']
    arguments = ['--launcher', 'pytorch', '--work-dir', tmp_path / 'two', '--cfg-options']
    arguments += [*tiny_options, 'train_dataloader.batch_size=1']
    result = subprocess.run(
        [sys.executable, *launcher, ROOT / 'tools/train.py', config, *arguments],
        cwd=current,
        env={**os.environ, 'PYTHONPATH': str(ROOT / 'tests')},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert not re.search('MKL_NUM_THREADS|deprecated', result.stdout + result.stderr)
    assert not list(current.iterdir())
    [path] = (tmp_path / 'two').glob('*/run.json')
    facts = json.loads(path.read_text())
    assert [facts[name] for name in ('batch_size', 'processes', 'validation_images')] == [1, 2, 2]
    train_config(config, tiny_options, work_dir=f'{tmp_path}/one')
    first, second, whole = (
        torch.load(tmp_path / f'{end}.pt') for end in ('two/0', 'two/1', 'one/0')
    )
    for name, weight in whole.items():
        torch.testing.assert_close(weight, first[f'module.{name}'], rtol=1e-4, atol=1e-6)
        assert torch.equal(first[f'module.{name}'], second[f'module.{name}']), name
    scores = [
        torch.load(tmp_path / name)
        for name in ('one/scores_0.pt', 'two/scores_0.pt', 'two/scores_1.pt')
    ]
    for score in scores:  # over the images of all processes
        assert score['PSNR'] == pytest.approx(score['stock/PSNR'], abs=1e-4)
        assert score['PSNR'] == pytest.approx(scores[0]['PSNR'], abs=1e-3)


@pytest.fixture
def options(tiny_options: list[str]) -> list[str]:
    return [*tiny_options, 'train_dataloader.dataset.gt_patch_size=128']


class Launched:
    """One of several processes, and the file of its errors."""

    def __init__(self, arguments: list[object], errors: Path, environment: dict[str, str]) -> None:
        self.errors = errors
        command = ['tools/train.py', *arguments]
        self.process = warm.start(command, ROOT, stderr=errors, environment=environment)

    def wait(self) -> tuple[int | None, str]:
        """Its exit code, and what it said."""
        self.process.join(timeout=120)
        return self.process.exitcode, self.errors.read_text()


@pytest.fixture
def launch(options: list[str], tmp_path: Path) -> Launch:
    """Start two processes, each with its own arguments, by no launcher that would end the other."""
    port, errors = free_port(), (tmp_path / f'errors_{number}' for number in itertools.count())

    def start(*arguments: list[object], **environment: str) -> list[Launched]:
        environment |= dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
        environment = {**os.environ, **environment, 'PYTHONPATH': str(ROOT / 'tests')}
        common = ['--launcher', 'pytorch', '--cfg-options', *options]
        return [
            Launched([*own, *common], next(errors), environment | dict(RANK=rank, LOCAL_RANK=rank))
            for rank, own in zip('01', arguments, strict=True)
        ]

    return start


def end_of(launched: Launched) -> tuple[int | None, str]:
    """Wait for a process: its exit code and the last line of what it said."""
    code, said = launched.wait()
    return code, said.splitlines()[-1] if said else ''


@pytest.mark.parametrize('config', [(TINY_GAN, '')], indirect=True)
def test_an_srgan_is_stopped_and_resumed(config: Path, launch, options: list[str], tmp_path: Path):
    """None leaves before the first has saved; any number of processes resumes."""
    last, record = tmp_path / 'work/iter_3.pth', tmp_path / 'stopped'
    first, second = launch([config], [config], FACESR_STOP_FILE=str(record))
    code, said = second.wait()
    assert code == 75 and 'stopped by' not in said, 'the first prints it'
    saved = read_checkpoint(last)
    assert saved['meta']['iter'] == 3
    said = record.read_text().strip()
    assert said.startswith('stopped by another process after iteration 3 of 4, saved as ')
    assert end_of(first) == (75, f'{said}; to resume: the same command with --resume')
    # The checkpoint is one process's.
    assert not [name for name in saved['state_dict'] if 'module' in name]
    export(load_config(TINY_GAN), 'tiny_srgan', last, tmp_path / 'weights.pth')
    train_config(config, options, work_dir=f'{tmp_path}/one', resume=str(last))
    # The first chooses: a network file system may show another an older state of the folder.
    folders = [tmp_path / 'work', tmp_path / 'older']
    both = launch(*([config, '--resume', '--work-dir', folder] for folder in folders))
    assert [end_of(process)[0] for process in both] == [0, 0]
    weights = [torch.load(folder / f'{rank}.pt') for rank, folder in enumerate(folders)]
    for net in ('generator', 'discriminator'):
        assert any(f'.{net}.' in f'.{name}' for name in weights[0]), net
    for name, weight in weights[0].items():
        assert torch.equal(weight, weights[1][name]), name
    assert read_checkpoint(tmp_path / 'work/iter_4.pth')['meta']['iter'] == 4


@pytest.mark.parametrize('config', [(TINY, '')], indirect=True)
def test_a_stop_without_its_checkpoint_is_an_error_of_all(config: Path, launch, tmp_path: Path):
    record = tmp_path / 'stopped'
    full = dict(LARGEST_FILE='40960', FACESR_STOP_FILE=str(record))
    for code, said in map(end_of, launch([config], [config], **full)):
        assert code == 1
        assert 'the last checkpoint could not be written ([Errno 27] File too large' in said
    assert not record.exists()


def test_what_the_first_refuses_all_refuse(launch: Launch, tmp_path: Path):
    with sole_run(tmp_path / 'work'):
        for code, said in map(end_of, launch([TINY], [TINY])):
            assert (code, 'another run is writing there' in said) == (1, True), said


@pytest.mark.parametrize('has_error', [False, True])
def test_the_group_is_closed(has_error: bool, tiny_options, monkeypatch: pytest.MonkeyPatch):
    launched = dict(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1')
    launched |= dict(MASTER_PORT='0', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    wrong = ['default_hooks.panels.interval=0'] if has_error else []
    with pytest.raises(UserError, match='interval=0') if has_error else nullcontext():
        train_config(TINY, [*tiny_options, *wrong], launcher='pytorch')
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ('launcher', 'message'),
    [
        ('slurm', "launcher='slurm': SLURM_PROCID is not set; start it with srun"),
        ('pytorch', "launcher='pytorch': RANK is not set; start it with torchrun"),
        ('mpi', "launcher='mpi': 'none', 'pytorch' or 'slurm' expected"),
    ],
)
def test_a_launcher_that_has_not_started_the_process(
    launcher: str, message: str, tiny_options: list[str], monkeypatch: pytest.MonkeyPatch
):
    for name in ('RANK', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=message):
        train_config(TINY, tiny_options, launcher=launcher)
