import json
from pathlib import Path

import pytest
from conftest import TINY


@pytest.mark.parametrize(
    ('name', 'sides', 'agreement'),
    [
        ('loader', 3, {}),
        ('restoring', 4, {'worst': (0, 1)}),
        ('validation', 3, {'PSNR': (0, 1e-4), 'SSIM': (0, 1e-6)}),
        ('training', 2, {}),
    ],
)
def test_a_benchmark_prints_and_keeps_its_figures(
    tool_here, tiny_options: list[str], tmp_path: Path, name: str, sides: int, agreement: dict
):
    out = tmp_path / 'figures.json'
    options = [*tiny_options, f'train_dataloader.dataset.cache_dir={tmp_path}/cache']
    number = dict(loader=[], training=['--iterations', '1']).get(name, ['--images', '2'])
    arguments = [*number, '--rounds', '1', '--json', out]
    result = tool_here(f'benchmarks.{name}', TINY, *arguments, '--cfg-options', *options)
    assert result.returncode == 0, result.stderr
    figures = json.loads(out.read_text())['results']
    assert len(figures['seconds']) == sides
    found = figures.get('agreement', figures.get('difference', {}))
    for key, (least, most) in agreement.items():
        assert least <= found[key] <= most, key
    assert all(side in result.stdout for side in figures['seconds'])


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['loader', 'nowhere.py'], 1, 'error: nowhere.py: no such config'),
        (['loader', TINY, '--rounds', '0'], 2, 'argument --rounds: 0: at least 1 expected'),
        (['loader', TINY, '--images', '2'], 2, 'unrecognized arguments: --images 2'),
        (['compare', TINY], 2, 'one of the arguments --iterations --seconds is required'),
        (['photographs', '--photographs', '1'], 2, '--measure-frame --picture is required'),
    ],
)
def test_a_mistake_is_one_line(tool_here, arguments, code: int, message: str):
    name, *arguments = arguments
    result = tool_here(f'benchmarks.{name}', *arguments)
    assert result.returncode == code and message in result.stderr
    assert 'Traceback' not in result.stderr
