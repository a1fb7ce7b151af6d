import zipfile
from pathlib import Path

from facesr.restoring.folder import write_submission


def test_one_subfolder_and_the_same_names(faces: Path, tmp_path: Path):
    write_submission(tmp_path / 'new/sub.zip', faces / 'test/LQ')
    with zipfile.ZipFile(tmp_path / 'new/sub.zip') as archive:
        assert archive.namelist() == ['LQ/00000.png', 'LQ/00001.png']
        assert archive.read('LQ/00001.png') == (faces / 'test/LQ/00001.png').read_bytes()
        assert archive.testzip() is None
