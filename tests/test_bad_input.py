import csv
import shutil
import zipfile
from pathlib import Path

import pytest
from conftest import TINY

from facesr.config import load_config
from facesr.errors import UserError
from facesr.restoring.folder import restore_and_score
from facesr.restoring.restorer import Restorer
from facesr.training.train import train


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('optim_wrapper.optimizer.lr=-1', 'cannot be trained: ValueError: Invalid learning rate:'),
        ('param_scheduler.0.end=0', 'end should be larger than begin, but got begin=0, end=0'),
        ('default_hooks.logger.interval=0', 'ValueError: interval must be greater than 0'),
        ('default_hooks.panels.interval=0', 'PanelHook: interval=0: at least 1 expected'),
        ('val_evaluator.metrics.0.crop_border=300', 'crop_border=300: a whole number to 255 exp'),
        ('train_dataloader.dataset.degradation.noise_sigma=[]', r'degradation.noise_sigma=\[\]:'),
        ('train_dataloader.dataset.flip_ratio=2', 'flip_ratio=2: from 0 to 1 expected'),
        ('val_dataloader.dataset.indices=0', 'indices=0: .* has 2 images; how many of them'),
        ('train_dataloader.dataset.indices=[1,7]', r'indices=\[1, 7\]: .* has 4 images; .* from 0'),
        ('train_dataloader.dataset.data_root=/nowhere', '/nowhere/train/GT: no such folder'),
    ],
)
def test_a_value_that_cannot_be(tiny_options: list[str], tmp_path: Path, override, message: str):
    with pytest.raises(UserError, match=message) as error:
        train(TINY, [*tiny_options, override])
    assert '\n' not in str(error.value)
    assert not list((tmp_path / 'work').glob('*.pth'))


def test_a_config_that_may_not_be_read(tmp_path: Path, forbid):
    config = tmp_path / 'secret.py'
    config.write_text(f"_base_ = ['{TINY}']")
    forbid(config)
    with pytest.raises((UserError, PermissionError), match=r'Permission denied.*secret'):
        load_config(config)


def test_a_checkpoint_that_may_not_be_read(tiny_options, tiny_checkpoint, tmp_path, forbid):
    copy = shutil.copy(tiny_checkpoint, tmp_path / 'secret.pth')
    forbid(Path(copy))
    with pytest.raises(UserError, match=r'secret\.pth: may not be read; give yourself'):
        Restorer(load_config(TINY), copy, device='cpu')


def test_a_work_directory_that_may_not_be_written(tiny_options: list[str], tmp_path: Path, forbid):
    (tmp_path / 'work').mkdir()
    forbid(tmp_path / 'work')
    with pytest.raises((UserError, PermissionError), match='Permission denied'):
        train(TINY, tiny_options)


def test_names_with_spaces_and_letters_of_any_kind(tiny_checkpoint, faces: Path, tmp_path: Path):
    names = ['a face', 'Gesicht ß', '顔', "it's 50%"]
    for role in ('LQ', 'GT'):
        (tmp_path / f'my set/{role}').mkdir(parents=True)
        for name in names:
            shutil.copy(faces / f'val/{role}/00000.png', tmp_path / f'my set/{role}/{name}.png')
    restorer = Restorer(load_config(TINY), tiny_checkpoint, device='cpu')
    folder, out = tmp_path / 'my set', tmp_path / 'out put'
    restore_and_score(restorer, folder / 'LQ', out, folder / 'GT', tmp_path / 'zip file.zip')
    written = sorted(f'{name}.png' for name in names)
    assert sorted(path.name for path in out.glob('[!.]*')) == written
    with (tmp_path / 'out put.csv').open(encoding='utf-8') as file:
        assert [row['name'] for row in csv.DictReader(file)] == written
    packed = zipfile.ZipFile(tmp_path / 'zip file.zip').namelist()
    assert sorted(packed) == [f'out put/{name}' for name in written]


def test_a_failed_test_run_leaves_earlier_results_whole(tiny_checkpoint, faces, tmp_path: Path):
    restorer = Restorer(load_config(TINY), tiny_checkpoint, device='cpu')
    lq = shutil.copytree(faces / 'val/LQ', tmp_path / 'lq')
    restore_and_score(restorer, lq, tmp_path / 'out', faces / 'val/GT')
    before = {path: path.read_bytes() for path in tmp_path.rglob('out*') if path.is_file()}
    before |= {path: path.read_bytes() for path in (tmp_path / 'out').glob('*.png')}
    (lq / '00001.png').write_bytes(b'')
    with pytest.raises(UserError, match=r'00001\.png: not a readable image'):
        restore_and_score(restorer, lq, tmp_path / 'out', faces / 'val/GT')
    assert len(before) >= 5
    for path, content in before.items():
        assert path.read_bytes() == content, path
