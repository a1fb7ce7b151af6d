import errno
import fcntl
import multiprocessing
import os
from pathlib import Path

import pytest
import torch

from facesr.checkpoint import latest_checkpoint
from facesr.errors import UserError
from facesr.training.work_dir import check_progress, check_replaced, sole_run


def write(work_dir: Path, iteration: int) -> Path:
    path = work_dir / f'iter_{iteration}.pth'
    torch.save({'state_dict': {'weight': torch.arange(1000.0)}}, path)
    return path


def test_the_highest_iteration_that_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert latest_checkpoint(tmp_path) is None
    paths = [write(tmp_path, iteration) for iteration in (5, 900, 10_000, 20_000)]
    write(tmp_path, 7).rename(tmp_path / 'best_PSNR_iter_30000.pth')
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


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / 'file').write_text('')
    with (
        pytest.raises(UserError, match='file/work: cannot be written: Not a directory'),
        sole_run(tmp_path / 'file/work'),
    ):
        pass


def test_a_job_that_gets_nowhere_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    check_progress(tmp_path, 0)
    for restart, iteration in enumerate((100, 100, 200, 200), start=1):
        monkeypatch.setenv('SLURM_RESTART_COUNT', str(restart))
        check_progress(tmp_path, iteration)
    with pytest.raises(UserError, match='restarted 3 times at iteration 200 without a new check'):
        check_progress(tmp_path, 200)
    monkeypatch.delenv('SLURM_RESTART_COUNT')  # another job
    check_progress(tmp_path, 200)
    monkeypatch.setenv('SLURM_RESTART_COUNT', '1')
    check_progress(tmp_path, 200)


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_without_locks_is_told_of(
    tmp_path: Path,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def refuse(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, 'lockf', refuse)
    with sole_run(tmp_path):
        assert (tmp_path / '.lock').read_text().startswith('process ')
    said = capsys.readouterr().out
    assert said == (
        f'warning: {tmp_path}/.lock: this file system has no locks ({os.strerror(number)}); '
        'a second run on this work directory would not be noticed\n'
    )


def test_an_error_of_the_lock_that_says_something_else_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*args: object) -> None:
        raise OSError(errno.EIO, 'Input/output error')

    monkeypatch.setattr(fcntl, 'lockf', refuse)
    with (
        pytest.raises(UserError, match='cannot be written: Input/output error'),
        sole_run(tmp_path),
    ):
        pass


def test_what_is_not_a_runs_own_is_never_replaced(tmp_path: Path):
    config = tmp_path / 'mine.py'
    config.write_text("_base_ = ['other.py']\n")
    with pytest.raises(UserError, match=r"mine\.py: would be replaced by the run's copy of its"):
        check_replaced(tmp_path, config)
    check_replaced(tmp_path / 'new', config)
    (tmp_path / 'work').mkdir()
    copy = tmp_path / 'work/mine.py'
    copy.write_text("work_dir = 'work'\n")
    check_replaced(tmp_path / 'work', config)  # of an earlier start
    copy.unlink()
    copy.symlink_to(config)
    with pytest.raises(UserError, match='would be replaced'):
        check_replaced(tmp_path / 'work', config)
    copy.unlink()
    pointer = tmp_path / 'work/last_checkpoint'
    pointer.write_text('work/iter_2.pth')
    check_replaced(tmp_path / 'work', config)
    pointer.write_text('notes of mine')
    with pytest.raises(UserError, match='would be replaced by the name of the run'):
        check_replaced(tmp_path / 'work', config)
    (tmp_path / '.lock').write_text('my own')
    with (
        pytest.raises(UserError, match=r"\.lock: is no run's; choose another folder"),
        sole_run(tmp_path),
    ):
        pass
    assert (tmp_path / '.lock').read_text() == 'my own'
    (tmp_path / '.restarts').write_text('my own')
    check_progress(tmp_path, 5)
    assert (tmp_path / '.restarts').read_text() == 'my own'


@pytest.mark.parametrize('text', ['', '5', 'no numbers'])
def test_a_damaged_count_of_restarts_begins_anew(tmp_path: Path, monkeypatch, text: str):
    monkeypatch.setenv('SLURM_RESTART_COUNT', '1')
    (tmp_path / '.restarts').write_text(text)
    check_progress(tmp_path, 5)
    assert (tmp_path / '.restarts').read_text() == '5 1\n'
