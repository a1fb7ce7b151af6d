from pathlib import Path

import pytest

from facesr.files import write_whole


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
