import json
from pathlib import Path

from conftest import TINY


def test_one_command_trains_scores_and_resumes(tool_here, tiny_options: list[str], tmp_path: Path):
    averaging, out, figures = (tmp_path / name for name in ('average.py', 'arena', 'figures.json'))
    hooks = "default_hooks = dict(ema=dict(type='GeneratorEMAHook', decay=0.5))"
    averaging.write_text(f"_base_ = ['{TINY}']\n{hooks}\n")
    command = [TINY, averaging, '--out', out, '--json', figures, '--iterations', 2]
    options = ['--seeds', 0, 1, '--cfg-options', *tiny_options]
    first = tool_here('benchmarks.compare', *command, *options)
    assert first.returncode == 0, first.stderr
    results = json.loads(figures.read_text())['results']
    table = (out / 'recipes.md').read_text()
    assert table in first.stdout
    assert table.splitlines()[2].startswith('| bicubic | ')
    assert f'{results["bicubic"]["psnr"]:.3f} dB' in table.splitlines()[2]
    rows = results['recipes']
    names = [(name, seed) for name in (TINY.stem, 'average') for seed in (0, 1)]
    assert [(row['name'], row['seed']) for row in rows] == names
    assert list(rows[0]['scores']) == ['raw', 'raw, flip']
    assert list(rows[2]['scores']) == ['raw', 'raw, flip', 'average', 'average, flip']
    # The average changes no training, a seed does, and so does a flip.
    assert rows[0]['scores']['raw'] == rows[2]['scores']['raw'] != rows[1]['scores']['raw']
    assert rows[0]['scores']['raw'] != rows[0]['scores']['raw, flip']
    assert all(row['training_seconds'] > 0 and row['image_ms'] > 0 for row in rows)

    checkpoint = out / 'average_seed1/iter_2.pth'
    written = checkpoint.stat().st_mtime_ns
    (out / 'average_seed1/scores.json').unlink()
    again = tool_here('benchmarks.compare', *command, *options)
    assert again.returncode == 0, again.stderr
    assert checkpoint.stat().st_mtime_ns == written
    again = json.loads(figures.read_text())['results']['recipes']
    assert [row['scores'] for row in again] == [row['scores'] for row in rows]

    for more, message in (
        (['--iterations', 3], f'{out}/{TINY.stem}_seed0: was trained with another number of iter'),
        (['--json', checkpoint], 'is in the folder of a run'),
        (['--seeds', 0, 0], '--seeds 0 0: each only once'),
    ):
        result = tool_here('benchmarks.compare', *command, *options, *more)
        assert result.returncode == 1 and message in result.stderr
