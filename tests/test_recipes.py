"""Tiny recipes compared: trained once, scored in every way, and not repeated."""

import json
from pathlib import Path

import pytest
from conftest import TINY

from facesr.errors import UserError
from facesr.recipes import _read_kept, list_entries, train_and_score


@pytest.fixture
def averaging(tmp_path: Path) -> Path:
    """The tiny recipe, which keeps an average."""
    path = tmp_path / 'averaging.py'
    path.write_text(
        f"_base_ = ['{TINY}']\ndefault_hooks = dict(ema=dict(type='GeneratorEMAHook', decay=0.5))\n"
    )
    return path


def test_one_command_trains_scores_and_resumes(
    tool, tiny_options: list[str], averaging: Path, tmp_path: Path
):
    out, figures = tmp_path / 'arena', tmp_path / 'figures.json'
    command = [TINY, averaging, '--iterations', 2, '--out', out]
    command += ['--seeds', 0, 1, '--json', figures, '--cfg-options', *tiny_options]
    first = tool('compare', *command)
    assert first.returncode == 0, first.stderr
    results = json.loads(figures.read_text())['results']
    table = (out / 'recipes.md').read_text()
    assert table in first.stdout
    assert table.splitlines()[2].startswith('| bicubic | ')
    assert f'{results["bicubic"]["psnr"]:.3f} dB' in table.splitlines()[2]
    rows = results['recipes']
    assert [(row['name'], row['seed']) for row in rows] == [
        ('tiny_srresnet', 0),
        ('tiny_srresnet', 1),
        ('averaging', 0),
        ('averaging', 1),
    ]
    assert list(rows[0]['scores']) == ['raw', 'raw, flip']
    assert list(rows[2]['scores']) == ['raw', 'raw, flip', 'average', 'average, flip']
    # The average changes no training, a seed does, and so does a flip.
    assert rows[0]['scores']['raw'] == rows[2]['scores']['raw'] != rows[1]['scores']['raw']
    assert rows[0]['scores']['raw'] != rows[0]['scores']['raw, flip']
    assert all(row['training_seconds'] > 0 and row['image_ms'] > 0 for row in rows)

    checkpoint = out / 'averaging_seed1/iter_2.pth'
    written = checkpoint.stat().st_mtime_ns
    (out / 'averaging_seed1/scores.json').unlink()
    again = tool('compare', *command)
    assert again.returncode == 0, again.stderr
    assert checkpoint.stat().st_mtime_ns == written
    assert [row['scores'] for row in json.loads(figures.read_text())['results']['recipes']] == [
        row['scores'] for row in rows
    ]

    command[command.index('--iterations') + 1] = 3
    other = tool('compare', *command)
    assert other.returncode == 1
    assert other.stderr.strip().endswith(
        f'error: {out}/tiny_srresnet_seed0: was trained with another number of iterations; '
        'name another folder with --out'
    )


def test_scores_are_of_the_last_iteration_of_the_scaled_schedule(
    tiny_options: list[str], tmp_path: Path
):
    entries = list_entries([str(TINY)], tiny_options, [0], 8, tmp_path / 'arena')
    [result], _ = train_and_score(entries)
    assert result.iterations == 8 and result.parameters > 0
    assert (entries[0].work_dir / 'iter_8.pth').is_file()


def test_two_recipes_of_one_name(tmp_path: Path):
    with pytest.raises(UserError, match='tiny_srresnet: named twice'):
        list_entries([str(TINY), str(TINY)], [], [0], 2, tmp_path)


def test_a_recipe_without_validation_pairs(tiny_options: list[str], tmp_path: Path):
    path = tmp_path / 'blind.py'
    path.write_text(f"_base_ = ['{TINY}']\nval_dataloader = val_cfg = val_evaluator = None\n")
    options = [option for option in tiny_options if not option.startswith('val_')]
    with pytest.raises(UserError, match=r'blind.py: no validation pairs in it'):
        list_entries([str(path)], options, [0], 2, tmp_path)


@pytest.mark.parametrize('name', ['recipe.json', 'scores.json'])
@pytest.mark.parametrize('text', ['{"a', '[1]'])
def test_a_damaged_file_of_a_comparison_is_named(tmp_path: Path, name: str, text: str):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=rf'{name}: damaged; remove it, or name another folder'):
        _read_kept(path)
