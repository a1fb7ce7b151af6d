import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from conftest import ROOT, TINY, TINY_GAN
from mmagic.registry import HOOKS
from mmengine.hooks import Hook

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.errors import StoppedError, UserError
from facesr.restoring.export import export
from facesr.training.resume import sole_run
from facesr.training.train import train as train_config

CONFIG = """
_base_ = ['BASE']
custom_imports = dict(imports=['facesr', 'keep_weights'], allow_failed_imports=False)
custom_hooks = [dict(type='KeepWeightsHook')]
stock = dict(type='PSNR', prefix='stock', collect_device='gpu')
metrics = [*_base_.val_evaluator.metrics, stock]
val_evaluator = dict(metrics=metrics)
"""
HOOK = """
import torch
from mmagic.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook

@HOOKS.register_module()
class KeepWeightsHook(Hook):
    def after_train(self, runner):
        torch.save(dict(runner.model.named_parameters()), f'{runner.work_dir}/{get_rank()}.pt')

    def after_val_epoch(self, runner, metrics):
        scores = {name: float(score) for name, score in metrics.items()}
        torch.save(scores, f'{runner.work_dir}/scores_{get_rank()}.pt')
"""
TOOL = ROOT / 'tools/train.py'
# Adam makes a full step of a gradient's last bit.
SGD = "optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1))\n"


def torchrun(
    config: Path, options: list[str], work_dir: Path, *more: str
) -> subprocess.CompletedProcess[str]:
    """Train as a user does, from a folder in which nothing may be left."""
    current = work_dir.with_name(f'{work_dir.name}_started_here')
    current.mkdir()
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2']
    arguments = ['--launcher', 'pytorch', '--work-dir', work_dir, *more, '--cfg-options', *options]
    result = subprocess.run(
        [sys.executable, *launcher, TOOL, config, *arguments],
        cwd=current,
        env={**os.environ, 'PYTHONPATH': str(config.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert list(current.iterdir()) == []
    return result


def train_two(config: Path, options: list[str], work_dir: Path) -> list[dict]:
    """Train in two processes; gives each one's weights."""
    result = torchrun(config, options, work_dir)
    assert result.returncode == 0, result.stderr
    return [torch.load(work_dir / f'{rank}.pt') for rank in range(2)]


@pytest.fixture
def config(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch) -> Path:
    (tmp_path / 'keep_weights.py').write_text(HOOK)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / 'config.py'
    base, more = request.param
    path.write_text(CONFIG.replace('BASE', str(base)) + more)
    return path


@pytest.mark.parametrize('config', [(TINY, SGD)], indirect=True)
def test_two_halves_of_a_batch_train_as_the_whole(config: Path, tiny_options, tmp_path: Path):
    options = [*tiny_options, 'train_dataloader.batch_size=1']
    first, second = train_two(config, options, tmp_path / 'two')
    [path] = (tmp_path / 'two').glob('*/run.json')
    facts = json.loads(path.read_text())
    assert [facts[name] for name in ('batch_size', 'processes', 'validation_images')] == [1, 2, 2]
    train_config(config, tiny_options, work_dir=f'{tmp_path}/one')
    whole = torch.load(tmp_path / 'one/0.pt')
    for name, weight in first.items():
        name = name.removeprefix('module.')
        assert torch.equal(weight, second[f'module.{name}']), name
        torch.testing.assert_close(weight, whole[name], rtol=1e-4, atol=1e-6)
    scores = [
        torch.load(tmp_path / name)
        for name in ('one/scores_0.pt', 'two/scores_0.pt', 'two/scores_1.pt')
    ]
    for score in scores:  # over the images of all processes
        assert score['PSNR'] == pytest.approx(score['stock/PSNR'], abs=1e-4)
        assert score['PSNR'] == pytest.approx(scores[0]['PSNR'], abs=1e-3)


@pytest.mark.parametrize('config', [(TINY_GAN, '')], indirect=True)
def test_both_nets_of_two_processes_stay_alike(config: Path, tiny_options, tmp_path: Path):
    options = [*tiny_options, 'train_dataloader.dataset.gt_patch_size=128']
    first, second = train_two(config, options, tmp_path / 'two')
    for net in ('generator', 'discriminator'):
        assert any(f'.{net}.' in f'.{name}' for name in first), net
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name
    # The checkpoint is one process's: it can be exported, and resumed by any number of them.
    last = tmp_path / 'two/iter_4.pth'
    assert not [name for name in read_checkpoint(last)['state_dict'] if 'module' in name]
    export(load_config(TINY_GAN), 'tiny_srgan', last, tmp_path / 'weights.pth')
    options.append('train_cfg.max_iters=5')
    train_config(config, options, work_dir=f'{tmp_path}/one_more', resume=str(last))
    result = torchrun(config, options, tmp_path / 'two_more', '--resume', str(last))
    assert result.returncode == 0, result.stderr
    assert not re.search('MKL_NUM_THREADS|deprecated', result.stdout + result.stderr)


STOP_CONFIG = """
_base_ = ['BASE']
custom_imports = dict(imports=['facesr', 'stop_later'], allow_failed_imports=False)
custom_hooks = [dict(type='StopLaterHook')]
"""
STOP_HOOK = """
import os
import resource
import signal
import time
from mmagic.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook

@HOOKS.register_module()
class StopLaterHook(Hook):
    # In the third iteration the second process is asked to stop, and the disk is full if asked for.
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == 2 and get_rank() == 1:
            os.kill(os.getpid(), signal.SIGUSR1)
        if batch_idx == 2 and 'LARGEST_FILE' in os.environ:
            most = int(os.environ['LARGEST_FILE'])
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def before_save_checkpoint(self, runner, checkpoint):
        if runner.iter == 3:
            time.sleep(3)
"""
Launch = Callable[..., list[subprocess.Popen[str]]]


@pytest.fixture
def launch(tiny_options: list[str], tmp_path: Path) -> Launch:
    """Start two processes, each with its own arguments, by no launcher that would end the other."""
    (tmp_path / 'stop_later.py').write_text(STOP_HOOK)
    (tmp_path / 'config.py').write_text(STOP_CONFIG.replace('BASE', str(TINY)))
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])

    def start(*arguments: list[object], **environment: str) -> list[subprocess.Popen[str]]:
        environment |= dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
        environment |= dict(CUDA_VISIBLE_DEVICES='', PYTHONPATH=str(tmp_path))
        options = ['--launcher', 'pytorch', '--cfg-options', *tiny_options]
        return [
            subprocess.Popen(
                [sys.executable, 'tools/train.py', *map(str, own), *options],
                cwd=ROOT,
                env={**os.environ, **environment, 'RANK': str(rank), 'LOCAL_RANK': str(rank)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank, own in enumerate(arguments)
        ]

    return start


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process: its exit code and the last line of what it said."""
    said = process.communicate(timeout=120)[1].splitlines()
    return process.returncode, said[-1] if said else ''


def test_none_leaves_before_the_first_has_saved(launch: Launch, tmp_path: Path):
    config, record = tmp_path / 'config.py', tmp_path / 'stopped'
    first, second = launch([config], [config], FACESR_STOP_FILE=str(record))
    assert 'stopped by' not in second.communicate(timeout=120)[1], 'the first prints it'
    assert second.returncode == 75
    assert read_checkpoint(tmp_path / 'work/iter_3.pth')['meta']['iter'] == 3
    said = record.read_text().strip()
    assert said.startswith('stopped by another process after iteration 3 of 4, saved as ')
    assert end_of(first) == (75, f'{said}; to resume: the same command with --resume')


def test_a_stop_without_its_checkpoint_is_an_error_of_all(launch: Launch, tmp_path: Path):
    config, record = tmp_path / 'config.py', tmp_path / 'stopped'
    full = dict(LARGEST_FILE='40960', FACESR_STOP_FILE=str(record))
    for code, said in map(end_of, launch([config], [config], **full)):
        assert code == 1
        assert 'the last checkpoint could not be written ([Errno 27] File too large' in said
    assert not record.exists()


def test_the_first_chooses_the_checkpoint_of_all(
    launch: Launch, tiny_options: list[str], tmp_path: Path
):
    """A network file system may show another process an older state of the folder."""
    seen = [[TINY, '--resume', '--work-dir', tmp_path / name] for name in ('whole', 'older')]
    train_config(TINY, [*tiny_options, 'train_cfg.max_iters=2'], work_dir=f'{tmp_path}/whole')
    assert [end_of(process)[0] for process in launch(*seen)] == [0, 0]
    assert read_checkpoint(tmp_path / 'whole/iter_4.pth')['meta']['iter'] == 4


def test_what_the_first_refuses_all_refuse(launch: Launch, tmp_path: Path):
    with sole_run(tmp_path / 'work'):
        for code, said in map(end_of, launch([TINY], [TINY])):
            assert (code, 'another run is writing there' in said) == (1, True), said


@HOOKS.register_module()
class AskToStopHook(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize('hooks', [[], [dict(type='AskToStopHook')]])
def test_the_group_is_closed(
    hooks: list[dict], tiny_options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    launched = dict(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1')
    launched |= dict(MASTER_PORT='0', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    config = tmp_path / 'config.py'
    config.write_text(f"_base_ = ['{TINY}']\ncustom_hooks = {hooks}\n")
    with pytest.raises(StoppedError, match='after iteration 1 of 4') if hooks else nullcontext():
        train_config(config, tiny_options, launcher='pytorch')
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


def test_a_rehearsal_of_two_processes_tells_it_once(tiny_options: list[str], tmp_path: Path):
    work_dir = tmp_path / 'work'
    result = torchrun(TINY, tiny_options, work_dir, '--dry-run')
    assert result.returncode == 0, result.stderr
    assert result.stdout.count('dry run passed') == 1
    assert f'in {work_dir}, where ' in result.stdout
    assert not work_dir.exists()
