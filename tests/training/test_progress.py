"""The ETA, and what a log line tells."""

import re
from pathlib import Path

import pytest
from conftest import train
from mmagic.registry import HOOKS
from mmengine.hooks import Hook

from facesr.training.progress import peak_memory, validations_left


def log_text(work_dir: Path) -> str:
    return '\n'.join(path.read_text() for path in sorted(work_dir.glob('*/*.log')))


@HOOKS.register_module()
class SlowValidationHook(Hook):
    """As if each validation took an hour, and each iteration next to nothing."""

    priority = 'LOWEST'

    def after_train_iter(self, runner, *args: object, **kwargs: object) -> None:
        runner.message_hub.get_scalar('train/time')._log_history[-1] = 0.001

    def after_val(self, runner) -> None:
        runner.message_hub.update_info('seconds_of_validation', 3600.0)


def test_eta_counts_validations_and_survives_a_resume(tiny_options: list[str], tmp_path: Path):
    work, hook = tmp_path / 'work', dict(type='SlowValidationHook')

    def hours() -> list[int]:
        lines = re.findall(r'Iter\(train\).*eta: (\d+):', log_text(work))
        return [int(hour) for hour in lines]

    # After 2, 4, 6 and 8, and at the end; none is counted until one has ended.
    train([*tiny_options, 'train_cfg.max_iters=3', 'default_hooks.checkpoint.interval=1'], hook)
    resume = ['train_cfg.max_iters=9', 'resume=True', f'load_from={work}/iter_3.pth']
    train([*tiny_options, *resume], hook)
    assert hours() == [0, 0, 1, 4, 3, 3, 2, 2, 1], log_text(work)


@pytest.mark.parametrize(
    ('iteration', 'begin', 'expected'),
    [(1, 1, 5), (2, 1, 5), (3, 1, 4), (8, 1, 2), (9, 1, 1), (1, 5, 3), (1, 9, 1), (1, 10, 0)],
)
def test_validations_left_of_nine_iterations_one_every_two(iteration: int, begin, expected: int):
    assert validations_left(iteration, 9, 2, begin) == expected


def test_memory_and_speed_in_each_line(tiny_options: list[str], tmp_path: Path):
    train([*tiny_options, 'train_cfg.max_iters=2'])
    lines = re.findall(r'.*Iter\(train\).*', log_text(tmp_path / 'work'))
    assert len(lines) == 2
    for line in lines:
        [memory] = re.findall(r'memory: (\d+)', line)
        assert 100 < int(memory) <= peak_memory()
        assert 'eta: ' in line and re.search(r'time: 0\.\d+', line)
