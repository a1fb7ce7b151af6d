"""The benchmarks' command lines, as a user types them."""

import json
from pathlib import Path

import pytest
from conftest import TINY


@pytest.mark.parametrize(('name', 'sides'), [('loader', 3), ('degradation', 3), ('restoring', 4)])
def test_a_benchmark_prints_and_keeps_its_figures(
    tool, tiny_options: list[str], tmp_path: Path, name: str, sides: int
):
    out = tmp_path / 'figures.json'
    options = [*tiny_options, f'train_dataloader.dataset.cache_dir={tmp_path}/cache']
    images = [] if name == 'loader' else ['--images', '2']
    arguments = [*images, '--rounds', '1', '--json', out]
    result = tool(f'benchmarks.{name}', TINY, *arguments, '--cfg-options', *options)
    assert result.returncode == 0, result.stderr
    figures = json.loads(out.read_text())['results']
    assert len(figures['seconds']) == sides
    assert name == 'loader' or figures['agreement']['psnr'] > 75
    assert all(side in result.stdout for side in figures['seconds'])


def test_memory_has_a_table_for_restoring_and_one_for_training(tool):
    result = tool('benchmarks.memory', TINY, '--rounds', '1', '--iterations', '1')
    assert result.returncode == 0, result.stderr
    assert result.stdout.count('freed memory kept') == 2 and '\ntraining\n' in result.stdout


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['nowhere.py'], 1, 'error: nowhere.py: no such config'),
        ([TINY, '--rounds', '0'], 2, 'argument --rounds: 0: at least 1 expected'),
        ([TINY, '--images', '2'], 2, 'unrecognized arguments: --images 2'),
    ],
)
def test_a_mistake_is_one_line(tool, arguments, code: int, message: str):
    result = tool('benchmarks.loader', *arguments)
    assert result.returncode == code and message in result.stderr
    assert 'Traceback' not in result.stderr
