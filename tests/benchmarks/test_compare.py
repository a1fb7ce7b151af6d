"""Tiny recipes compared: trained once, scored in every way, and not repeated."""

import json
from pathlib import Path

import pytest
from conftest import TINY

from benchmarks.compare import _read_kept, list_recipes, train_and_score
from facesr.errors import UserError


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
    first = tool('benchmarks.compare', *command)
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
    again = tool('benchmarks.compare', *command)
    assert again.returncode == 0, again.stderr
    assert checkpoint.stat().st_mtime_ns == written
    assert [row['scores'] for row in json.loads(figures.read_text())['results']['recipes']] == [
        row['scores'] for row in rows
    ]

    command[command.index('--iterations') + 1] = 3
    other = tool('benchmarks.compare', *command)
    assert other.returncode == 1
    assert other.stderr.strip().endswith(
        f'error: {out}/tiny_srresnet_seed0: was trained with another number of iterations; '
        'name another folder with --out'
    )


def test_scores_are_of_the_last_iteration_of_the_scaled_schedule(
    tiny_options: list[str], tmp_path: Path
):
    recipes = list_recipes([str(TINY)], tiny_options, [0], 8, tmp_path / 'arena')
    [result], _ = train_and_score(recipes)
    assert result.iterations == 8 and result.parameters > 0
    assert (recipes[0].work_dir / 'iter_8.pth').is_file()


def test_equal_time_gives_a_slower_recipe_fewer_iterations(
    tool, tiny_options: list[str], tmp_path: Path
):
    out = tmp_path / 'arena'
    out.mkdir()
    (out / 'pace.json').write_text('{"tiny_srresnet": 0.5}')
    command = [TINY, '--seconds', 2, '--out', out, '--cfg-options', *tiny_options]
    result = tool('benchmarks.compare', *command)
    assert result.returncode == 0, result.stderr
    assert (out / 'tiny_srresnet_seed0/iter_4.pth').is_file()
    (out / 'pace.json').unlink()
    [recipe] = list_recipes([str(TINY)], tiny_options, [0], None, out, seconds=1)
    pace = json.loads((out / 'pace.json').read_text())['tiny_srresnet']
    assert pace > 0 and recipe.iterations == max(1, round(1 / pace))


def test_two_recipes_of_one_name(tmp_path: Path):
    with pytest.raises(UserError, match='tiny_srresnet: named twice'):
        list_recipes([str(TINY), str(TINY)], [], [0], 2, tmp_path)


def test_a_recipe_without_validation_pairs(tiny_options: list[str], tmp_path: Path):
    path = tmp_path / 'blind.py'
    path.write_text(f"_base_ = ['{TINY}']\nval_dataloader = val_cfg = val_evaluator = None\n")
    options = [option for option in tiny_options if not option.startswith('val_')]
    with pytest.raises(UserError, match=r'blind.py: no validation pairs in it'):
        list_recipes([str(path)], options, [0], 2, tmp_path)


@pytest.mark.parametrize('name', ['recipe.json', 'scores.json'])
@pytest.mark.parametrize('text', ['{"a', '[1]'])
def test_a_damaged_file_of_a_comparison_is_named(tmp_path: Path, name: str, text: str):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=rf'{name}: damaged; remove it, or name another folder'):
        _read_kept(path)


def test_comparing_needs_a_length(tool):
    for arguments, message in (
        ([TINY], 'one of the arguments --iterations --seconds is required'),
        ([TINY, '--iterations', '0'], 'argument --iterations: 0: at least 1 expected'),
    ):
        result = tool('benchmarks.compare', *arguments)
        assert result.returncode == 2 and message in result.stderr


def test_comparing_replaces_no_checkpoint_of_its_own(tool, tiny_options: list[str], tmp_path: Path):
    for more, message in (
        (['--json', tmp_path / 'tiny_srresnet_seed0/iter_2.pth'], 'is in the folder of a run'),
        (['--seeds', '0', '0'], '--seeds 0 0: each only once'),
    ):
        arguments = [TINY, '--iterations', '2', '--out', tmp_path, *more]
        result = tool('benchmarks.compare', *arguments, '--cfg-options', *tiny_options)
        assert result.returncode == 1 and message in result.stderr
