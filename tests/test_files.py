import errno
import os
from pathlib import Path

import pytest
import warm
from conftest import ROOT

from facesr.errors import UserError, describe_refusal
from facesr.files import is_ours, write_file, write_whole, writing_results


@pytest.mark.parametrize('durable', [False, True])
def test_a_file_is_replaced_whole(tmp_path: Path, durable: bool):
    path = tmp_path / 'new/a.bin'
    for content in (b'first', b'second'):
        with write_whole(path, durable) as partial:
            partial.write_bytes(content)
            assert not path.exists() or path.read_bytes() == b'first'
        assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ['a.bin']


def test_an_error_leaves_the_former_file(tmp_path: Path):
    path = tmp_path / 'a.bin'
    path.write_bytes(b'former')
    with pytest.raises(OSError, match='disk full'), write_whole(path) as partial:
        partial.write_bytes(b'half')
        raise OSError('disk full')
    assert path.read_bytes() == b'former'
    assert [file.name for file in tmp_path.iterdir()] == ['a.bin']


def write(path: Path, content: str = 'ours', **how: object) -> None:
    with writing_results([path], **how):
        write_file(path, content)


def test_what_was_written_may_be_written_again_until_it_is_changed(tmp_path: Path):
    path = tmp_path / 'new/a.txt'
    write(path)
    write(path, 'ours again')
    assert path.read_text() == 'ours again' and is_ours(path)
    path.write_text('a note of the user')
    assert not is_ours(path)
    with pytest.raises(UserError, match=r'a\.txt: was there before, or was changed'):
        write(path)
    assert path.read_text() == 'a note of the user'
    write(path, overwrite=True)
    write(path)


def test_inputs_are_never_replaced(tmp_path: Path):
    path = tmp_path / 'a.txt'
    write(path)
    with pytest.raises(UserError, match=r'a\.txt: is an input; choose another place'):
        write(path, inputs=[tmp_path / 'new/../a.txt'], overwrite=True)
    link = tmp_path / 'link.txt'
    link.symlink_to(path)
    with pytest.raises(UserError, match=r'a\.txt: is an input'):
        write(link, inputs=[path], overwrite=True)


def test_a_folder_for_results_holds_nothing_else(tmp_path: Path):
    (tmp_path / 'out').mkdir()
    write(tmp_path / 'out/a.txt', folders=[tmp_path / 'out'])
    (tmp_path / 'out/package.json').write_text('{}')
    with pytest.raises(UserError, match=r'out/package\.json: was there before'):
        write(tmp_path / 'out/a.txt', folders=[tmp_path / 'out'])
    write(tmp_path / 'out/a.txt', folders=[tmp_path / 'out'], overwrite=True)
    assert (tmp_path / 'out/package.json').read_text() == '{}'


def test_one_name_twice_and_a_folder_in_its_place(tmp_path: Path):
    with (
        pytest.raises(UserError, match=r'a\.csv: two results would have this name'),
        writing_results([tmp_path / 'a.csv', tmp_path / 'a.csv']),
    ):
        pass
    with pytest.raises(UserError, match='is a folder; a file name expected'):
        write(tmp_path)
    (tmp_path / 'out').touch()
    with pytest.raises(UserError, match='out: is a file; a folder is expected'):
        write(tmp_path / 'out/a.txt', folders=[tmp_path / 'out'])


def test_what_an_error_left_is_ours(tmp_path: Path):
    with pytest.raises(RuntimeError), writing_results([tmp_path / 'a', tmp_path / 'b']):
        write_file(tmp_path / 'a', 'first')
        raise RuntimeError
    assert is_ours(tmp_path / 'a')
    write(tmp_path / 'a')


def test_what_a_kill_left_is_ours(tmp_path: Path):
    script = """
import os, signal, sys
from pathlib import Path
from facesr.files import write_file, writing_results
folder = Path(sys.argv[1])
with writing_results([folder / name for name in 'abc']):
    for name in 'ab':
        write_file(folder / name, name)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    write(tmp_path / 'former')
    killing = tmp_path.with_suffix('.py')
    killing.write_text(script)
    warm.start([killing, tmp_path], ROOT).join(timeout=60)
    (tmp_path / 'c').write_text("the user's")
    found = {path.name: is_ours(path) for path in tmp_path.glob('[!.]*')}
    assert found == {'a': True, 'b': True, 'c': False, 'former': True}
    with (tmp_path / '.facesr.json').open('a') as record:
        record.write('\n{"c": [1')  # cut off
    write(tmp_path / 'a')
    assert is_ours(tmp_path / 'b') and is_ours(tmp_path / 'former')
    assert not is_ours(tmp_path / 'c')


@pytest.mark.parametrize(
    ('number', 'said'),
    [
        (errno.ENOSPC, 'No space left on device; free some, or choose another place'),
        (errno.EDQUOT, 'Disk quota exceeded; free some, or choose another place'),
        (errno.EACCES, 'Permission denied; give yourself the permission, or choose another place'),
        (errno.EROFS, 'Read-only file system; choose another place'),
        (errno.ENAMETOOLONG, 'File name too long; choose a shorter name'),
        (errno.ENOTDIR, 'Not a directory; a folder is expected'),
    ],
)
def test_a_refusal_names_the_file_and_the_remedy(tmp_path: Path, number: int, said: str):
    path = tmp_path / 'a.bin'
    with pytest.raises(OSError) as caught, write_whole(path):
        raise OSError(number, os.strerror(number))
    assert describe_refusal(caught.value) == f'{path}: {said}'
