"""A small real data set (scikit-image's photographs) and a tiny net, shared by the tests."""

from __future__ import annotations

import fcntl
import gc
import io
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import lru_cache, partial
from pathlib import Path

# Before PyTorch looks: no test sees a GPU, nor what it starts; tests marked gpu start what does.
# A worker of pytest's inherits both variables.
os.environ.setdefault('FACESR_TEST_GPUS', os.environ.get('CUDA_VISIBLE_DEVICES', 'all'))
os.environ['CUDA_VISIBLE_DEVICES'] = ''
# As many workers as cores: threads of each would only wait for each other.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from mmengine.runner import Runner

import facesr  # noqa: F401  (registers what the configs name)
from facesr.config import load_config
from facesr.degradation.base import Degradation, degradation_of
from facesr.images import write_png
from facesr.training.signals import taking_signals

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / 'tests/tiny_srresnet.py'
TINY_GAN = ROOT / 'tests/tiny_srgan.py'
SLOWEST = ('slurm', 'fake_cuda', 'distributed', 'benchmark_gpu', 'loop', 'reliability', 'compare')

# As the runner does: nested components are built by name.
init_default_scope('mmagic')
gc.freeze()  # MMEngine collects garbage for each data set: not among all that is imported


@pytest.fixture(scope='session')
def degradation() -> Degradation:
    return degradation_of(load_config(ROOT / 'configs/srresnet_24b.py'))


def make_faces(root: Path, degradation: Degradation) -> Path:
    """Make a data set in the challenge's layout: 4 training faces, 2 pairs, 2 test inputs."""
    from skimage import data

    size = degradation.gt_size
    portrait = cv2.resize(data.astronaut(), (size, size), interpolation=cv2.INTER_AREA)
    for index in range(4):
        write_png(root / f'train/GT/{index:05d}.png', portrait[:, :: (-1) ** index].copy())
    for index in range(2):
        lq = degradation.degrade_by_seed(portrait, seed=index)
        write_png(root / f'val/GT/{index:05d}.png', portrait)
        write_png(root / f'val/LQ/{index:05d}.png', lq)
        write_png(root / f'test/LQ/{index:05d}.png', lq)
    return root


@pytest.fixture(scope='session')
def faces(tmp_path_factory: pytest.TempPathFactory, degradation: Degradation) -> Path:
    return make_faces(tmp_path_factory.mktemp('faces'), degradation)


@pytest.fixture(scope='session')
def small_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same at half the sides, as the tiny configs take them: a quarter of the work."""
    return make_faces(tmp_path_factory.mktemp('faces'), degradation_of(load_config(TINY)))


def train(options: list[str], *hooks: dict, config: Path = TINY) -> Runner:
    """Train a config, with hooks of the test's own."""
    cfg = load_config(config, options)
    if hooks:
        cfg.custom_hooks = list(hooks)
    with taking_signals():
        runner = Runner.from_cfg(cfg)
        runner.train()
    return runner


def learning_rates(config: Config, net: str | None = None) -> list[float]:
    """Of every iteration, as the runner's hook steps the schedulers."""
    settings = config.optim_wrapper[net] if net else config.optim_wrapper
    weight = torch.nn.Parameter(torch.zeros(1))
    wrapper = OptimWrapper(torch.optim.Adam([weight], lr=settings.optimizer.lr))
    schedulers = [
        PARAM_SCHEDULERS.build({**scheduler, 'optimizer': wrapper})
        for scheduler in config.param_scheduler
    ]
    rates = []
    wrapper.optimizer.step()
    for _ in range(config.train_cfg.max_iters):
        rates.append(wrapper.get_lr()['lr'][0])
        for scheduler in schedulers:
            scheduler.step()
    return rates


def options_for(faces: Path, folder: Path) -> list[str]:
    """Overrides that point the tiny configs at the tests' faces and a folder for their run."""
    return [
        *(f'{split}_dataloader.dataset.data_root={faces}' for split in ('train', 'val', 'test')),
        'train_dataloader.dataset.gt_patch_size=64',
        f'work_dir={folder}/work',
        # MMEngine gives two runs of one name, begun in one second, the same logs.
        f'experiment_name={folder.name}',
    ]


@pytest.fixture
def tiny_options(small_faces: Path, tmp_path: Path) -> list[str]:
    return options_for(small_faces, tmp_path)


@pytest.fixture(scope='session')
def trained(small_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A finished run, not to be changed: four iterations, each second validated and saved."""
    return train(options_for(small_faces, tmp_path_factory.mktemp('trained')))


@pytest.fixture(scope='session')
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the tiny net as it is initialised: a bare state dict."""
    from mmagic.registry import MODELS

    torch.manual_seed(0)
    model = MODELS.build(load_config(TINY).model)
    path = tmp_path_factory.mktemp('weights') / 'tiny.pth'
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture(scope='session')
def fetched_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of LPIPS's weights, which a user's command fetches the first time (64 MB)."""
    folder = ROOT / 'data/pretrained'
    with (tmp_path_factory.getbasetemp().parent / 'lpips.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one of pytest's workers after the other
        if not all((folder / f'lpips_{net}.pth').is_file() for net in ('alex', 'vgg')):
            impatient = {**os.environ, 'PIP_RETRIES': '0', 'PIP_DEFAULT_TIMEOUT': '15'}
            result = run_tool('fetch_features', 'lpips', environment=impatient)
            if result.returncode:
                pytest.skip(result.stderr)
    return folder


@pytest.fixture
def lpips_weights(fetched_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, and the test finds them wherever it runs."""
    monkeypatch.setattr('facesr.models.features.FOLDER', fetched_weights)
    return fetched_weights


@pytest.fixture
def forbid() -> Iterator[Callable[[Path], None]]:
    """Take every permission on a file or folder away, from root as well, until the test ends."""
    user = os.geteuid()

    def take(path: Path) -> None:
        path.chmod(0)
        if user == 0:
            os.seteuid(65534)  # nobody: permissions bind no root

    yield take
    os.seteuid(user)


def free_port() -> str:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return str(free.getsockname()[1])


def run_tool(
    name: str, *arguments: object, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = ['-m', name] if name.startswith('benchmarks.') else [f'tools/{name}.py']
    return subprocess.run(
        [sys.executable, *command, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture
def tool_here(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run a command as :func:`tool` does, but in this process, which has loaded the stack.

    What a process does at its end, and with signals, needs :func:`tool`.
    """
    threads = torch.get_num_threads(), cv2.getNumThreads()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    handlers = {number: signal.getsignal(number) for number in numbers}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    monkeypatch.syspath_prepend(ROOT / 'tools')
    monkeypatch.chdir(ROOT)

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [f'tools/{name}.py', *map(str, arguments)]
        monkeypatch.setattr(sys, 'argv', command)
        start = runpy.run_module if name.startswith('benchmarks.') else runpy.run_path
        out, err = (io.TextIOWrapper(io.BytesIO(), 'utf-8', write_through=True) for _ in range(2))
        code: object = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                start(name if start is runpy.run_module else command[0], run_name='__main__')
            except SystemExit as end:
                code = end.code
                if isinstance(code, str):
                    code = print(code, file=err) or 1
        said = (stream.buffer.getvalue().decode() for stream in (out, err))
        return subprocess.CompletedProcess(command, code, *said)

    yield run
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@pytest.fixture
def tool() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``tools/NAME.py`` or ``-m benchmarks.NAME`` as a user does, from the project's folder."""
    return run_tool


@pytest.fixture
def gpu_tool() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same with the machine's GPU, for tests marked gpu."""
    return partial(run_tool, environment=with_gpus())


def with_gpus() -> dict[str, str]:
    """The environment as it was before this file hid the GPUs."""
    environment = dict(os.environ)
    environment['CUDA_VISIBLE_DEVICES'] = os.environ['FACESR_TEST_GPUS']
    if environment['CUDA_VISIBLE_DEVICES'] == 'all':
        del environment['CUDA_VISIBLE_DEVICES']
    return environment


@lru_cache
def is_gpu_usable() -> bool:
    look = 'import sys, torch; sys.exit(not torch.cuda.is_available())'
    command = [sys.executable, '-W', 'ignore', '-c', look]
    return subprocess.run(command, env=with_gpus()).returncode == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest files, so that no worker is left with one of them at the end."""
    slowest = {f'test_{name}': place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: slowest.get(item.path.stem, len(slowest)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker('gpu') and not is_gpu_usable():
        pytest.skip('no CUDA GPU that this PyTorch can use')
