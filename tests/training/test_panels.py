from pathlib import Path

import numpy as np
from conftest import train

from facesr.drawing import CAPTION_HEIGHT
from facesr.images import read_image


def test_counts_images_in_batches(tiny_options: list[str], faces: Path, tmp_path: Path):
    options = [*tiny_options, 'train_cfg.max_iters=2', 'train_cfg.val_interval=1']
    options += ['default_hooks.panels.interval=2', 'val_dataloader.batch_size=2']
    train(options)
    panels = sorted((tmp_path / 'work').rglob('vis_image/*.png'))
    assert [path.name for path in panels] == ['00001_1.png', '00001_2.png']
    truth = read_image(panels[0])[CAPTION_HEIGHT:, :512]
    np.testing.assert_array_equal(truth, read_image(faces / 'val/GT/00001.png'))
