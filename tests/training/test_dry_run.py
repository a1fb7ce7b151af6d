import re
from pathlib import Path

import pytest
from conftest import TINY

from facesr.errors import UserError
from facesr.training.train import train


def test_tells_what_the_run_will_take_and_writes_nothing(
    tiny_options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    options = [*tiny_options, 'train_cfg.max_iters=1000', 'train_cfg.val_interval=300']
    train(TINY, options, dry_run=True)
    said = capsys.readouterr().out.rpartition('dry run passed')[2]
    time = r'\d+:\d\d:\d\d'
    assert re.search(f'1,000 iterations: about {time} by the second of two', said)
    assert re.search(f'4 validations of 2 images: at most {time}', said)
    folder = re.escape(str(tmp_path / 'work'))
    assert re.search(f'3 checkpoints and the best, .* in {folder}, where .* GB are free', said)
    assert not (tmp_path / 'work').exists()


def test_meets_the_real_runs_mistakes(tiny_options: list[str]):
    options = [*tiny_options, 'val_dataloader.dataset.data_prefix.gt=none']
    with pytest.raises(UserError, match='none: no such folder'):
        train(TINY, options, dry_run=True)
