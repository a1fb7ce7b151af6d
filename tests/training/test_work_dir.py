import errno
import fcntl
import multiprocessing
import os
from pathlib import Path

import pytest
import torch

from facesr.checkpoint import latest_checkpoint
from facesr.errors import UserError
from facesr.training.work_dir import sole_run


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


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / 'file').write_text('')
    with (
        pytest.raises(NotADirectoryError),
        sole_run(tmp_path / 'file/work'),
    ):
        pass


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
        'a second run would not be noticed\n'
    )


def test_an_error_of_the_lock_that_says_something_else_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*args: object) -> None:
        raise OSError(errno.EIO, 'Input/output error')

    monkeypatch.setattr(fcntl, 'lockf', refuse)
    with (
        pytest.raises(OSError, match='Input/output error'),
        sole_run(tmp_path),
    ):
        pass
