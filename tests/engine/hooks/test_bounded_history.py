from pathlib import Path

from conftest import TINY
from mmengine.runner import Runner

from facesr.config import load_config
from facesr.engine import read_checkpoint


def test_log_and_checkpoint_hold_the_last_values(tiny_options: list[str], tmp_path: Path):
    config = load_config(TINY, [*tiny_options, 'train_cfg.max_iters=6'])
    config.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    config.custom_hooks.append(dict(type='BoundedHistoryHook', length=3))
    runner = Runner.from_cfg(config)
    runner.train()
    for name in ('train/loss', 'train/lr', 'train/time'):
        assert len(runner.message_hub.get_scalar(name).data[0]) == 3
    saved = read_checkpoint(tmp_path / 'work/iter_6.pth')['message_hub']['log_scalars']
    assert len(saved['train/loss'][0]) == 3
