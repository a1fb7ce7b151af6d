import errno
import fcntl
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
import torch
from conftest import TINY
from mmengine.runner import Runner

from facesr.checkpoint import latest_checkpoint
from facesr.config import load_config, parse_config
from facesr.errors import UserError
from facesr.training.resume import choose_start, sole_run
from facesr.training.train import train


@pytest.fixture
def work(trained: Runner) -> Path:
    return Path(trained.work_dir)


@pytest.mark.parametrize('name', ['iter_2.pth', 'best.pth'])
def test_a_used_work_directory_takes_no_second_run(name: str, work: Path, tiny_options, tmp_path):
    shutil.copy(work / 'iter_2.pth', tmp_path / name)
    for way in {}, {'dry_run': True}:
        with pytest.raises(UserError, match=rf'holds a run \({name}\).*--resume.*--work-dir'):
            train(TINY, tiny_options, work_dir=str(tmp_path), **way)
    assert not list(tmp_path.glob('*.py'))


def test_a_finished_run_says_so(work: Path, tiny_options: list[str], capsys):
    (work / '.lock').touch()
    before = sorted(work.rglob('*'))
    train(TINY, tiny_options, work_dir=str(work), resume='auto')
    said = f'{work}: this run is finished, after 4 iterations; to train it further: --iterations N'
    assert capsys.readouterr().out == said + '\n'
    assert sorted(work.rglob('*')) == before


def test_a_resume_by_the_config_is_checked_as_well(work: Path, tiny_options: list[str]):
    options = [*tiny_options, 'resume=True', 'randomness.seed=5']
    for start in f'load_from={work}/iter_2.pth', f'work_dir={work}':
        with pytest.raises(UserError, match=r'randomness.seed is .* cannot change on a resume'):
            train(TINY, [*options, start])


def test_what_has_changed_is_said_a_line_each(work: Path, tiny_options: list[str], capsys):
    options = [*tiny_options, f'work_dir={work}']
    changes = ['train_cfg.max_iters=6', 'optim_wrapper.optimizer.lr=0.0002', 'load_from=a.pth']
    changes += ['train_dataloader.batch_size=1', 'model.pixel_loss.type=MSELoss']
    start = choose_start(load_config(TINY, [*options, *changes]), 'auto')
    assert start == (str(work / 'iter_4.pth'), 4, False)
    assert capsys.readouterr().out.splitlines() == [
        f'{work}/iter_4.pth: changed since:',
        '  model.pixel_loss.type: "MSELoss" (before: "L1Loss")',
        '  optim_wrapper.optimizer.lr: 0.0002 (before: 0.0001)',
        '  train_cfg.max_iters: 6 (before: 4)',
        '  train_dataloader.batch_size: 1 (before: 2)',
        '  load_from=a.pth: not read, for the run resumes',
    ]
    choose_start(load_config(TINY, options), 'auto')
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize(
    ('override', 'key'),
    [
        ('optim_wrapper.paramwise_cfg.bias_lr_mult=2', r'.*bias_lr_mult is not set in this run, 2'),
        ('model.generator.num_blocks=3', r'model\.generator\.num_blocks is 2 in this run, 3 in'),
        ('optim_wrapper.optimizer.type=AdamW', r'.*\.type is "Adam" in this run, "AdamW" in'),
        ('param_scheduler.0.type=CosineRestartMomentum', r'.*\.type is "CosineRestartLR" in this'),
        ('randomness.seed=1', r'randomness\.seed is 0 in this run, 1 in the config, and cannot'),
    ],
)
def test_what_cannot_change_is_refused(override: str, key: str, work: Path, tiny_options):
    config = load_config(TINY, [*tiny_options, 'train_cfg.max_iters=6', override])
    with pytest.raises(UserError, match=rf'iter_4\.pth: {key}'):
        choose_start(config, f'{work}/iter_4.pth')


def test_only_the_last_of_a_work_directory_is_resumed_in_it(work: Path, tiny_options, tmp_path):
    shutil.copy(work / 'iter_2.pth', tmp_path / 'iter_3.pth')
    shutil.copy(work / 'iter_2.pth', tmp_path / 'iter_2.pth')
    config = load_config(TINY, [*tiny_options, f'work_dir={tmp_path}'])
    for path in (work / 'iter_2.pth', tmp_path / 'iter_2.pth'):
        with pytest.raises(UserError, match=r'holds iter_3\.pth, which a run from .*iter_2\.pth'):
            choose_start(config, str(path))
    assert choose_start(config, str(tmp_path / 'iter_3.pth')).iteration == 2


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (
            "a = dict(b=[1, (2.5, None)], c={'1': -1}, d=dict({'x y': inf}))",
            {'a': {'b': [1, (2.5, None)], 'c': {'1': -1}, 'd': {'x y': float('inf')}}},
        ),
        ("a = __import__('os').getcwd()", None),
        ('import os', None),
        ('a = dict(open)', None),
        ('a =', None),
        ('a = ' + '[' * 9999, None),
    ],
)
def test_a_dumped_config_is_read_as_data(text: str, expected: dict | None):
    assert parse_config(text) == expected
    config = load_config(TINY)
    assert parse_config(config.pretty_text)['model']['generator'] == config.model.generator


def write(work_dir: Path, iteration: int) -> Path:
    path = work_dir / f'iter_{iteration}.pth'
    torch.save({'state_dict': {'weight': torch.arange(1000.0)}}, path)
    return path


def test_the_highest_iteration_that_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert latest_checkpoint(tmp_path) is None
    paths = [write(tmp_path, iteration) for iteration in (5, 900, 10_000, 20_000)]
    write(tmp_path, 7).rename(tmp_path / 'best.pth')
    assert latest_checkpoint(tmp_path) == paths[3]
    content = bytearray(paths[3].read_bytes())
    content[len(content) // 2] ^= 1
    paths[3].write_bytes(content)
    paths[2].write_bytes(paths[2].read_bytes()[:-100])
    assert latest_checkpoint(tmp_path) == paths[1]
    altered, truncated = capsys.readouterr().out.splitlines()
    assert altered.startswith(f'warning: {paths[3]}: not a readable checkpoint (')
    assert 'is not what was written' in altered
    assert truncated.startswith(f'warning: {paths[2]}: not a readable checkpoint (')
    for path in paths[:2]:
        path.write_bytes(b'')
    with pytest.raises(UserError, match='none of its 4 checkpoints can be read'):
        latest_checkpoint(tmp_path)


def _run(work_dir: Path, said) -> None:
    try:
        with sole_run(work_dir):
            said.put('ran')
    except UserError as error:
        said.put(str(error))


def test_one_run_at_a_time(tmp_path: Path):
    context = multiprocessing.get_context('fork')
    said = context.SimpleQueue()

    def other() -> str:
        process = context.Process(target=_run, args=(tmp_path, said))
        process.start()
        process.join()
        return said.get()

    with sole_run(tmp_path):
        assert 'another run is writing there (process ' in other()
    assert other() == 'ran'


def test_a_file_system_without_locks_is_told_of(tmp_path: Path, monkeypatch, capsys):
    def refuse(*args: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'lockf', refuse)
    with sole_run(tmp_path):
        assert (tmp_path / '.lock').read_text().startswith('process ')
    said = f'warning: {tmp_path}/.lock: this file system has no locks ({os.strerror(errno.ENOLCK)})'
    assert capsys.readouterr().out.startswith(said)
