from pathlib import Path

import pytest
from conftest import train


@pytest.mark.parametrize('batch_size', [1, 2])
def test_counts_images_in_batches_of_any_size(
    tiny_options: list[str], tmp_path: Path, batch_size: int
):
    options = [*tiny_options, 'train_cfg.max_iters=2', 'train_cfg.val_interval=1']
    options += ['default_hooks.panels.interval=2', f'val_dataloader.batch_size={batch_size}']
    train(options)
    panels = sorted(path.name for path in (tmp_path / 'work').rglob('vis_image/*.png'))
    assert panels == ['00001_1.png', '00001_2.png']
