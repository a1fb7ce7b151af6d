import json
import os
from pathlib import Path

import pytest
from logged_runs import train_line, val_line, write_run

from facesr.errors import UserError
from facesr.report.comparison import find_result_sets
from facesr.report.run import describe_settings, read_run, read_runs

FACTS = {
    'device': 'CPU, 2 threads',
    'generator': 'SRResNet',
    'parameters': 2_108_419,
    'training_images': 18_000,
    'batch_size': 6,
    'processes': 2,
    'validation_images': 400,
}


def test_a_later_start_replaces_what_it_did_again(tmp_path: Path):
    first = [train_line(100, loss=1.0), train_line(200, loss=1.0), val_line(200, PSNR=20.0)]
    again = [train_line(200, loss=2.0), train_line(300, loss=2.0)]
    folder = write_run(
        tmp_path / 'run', None, [*first, train_line(300, loss=1.0), val_line(300)], again
    )
    run = read_run(folder, 'run')
    assert run.training['loss'] == {100: 1.0, 200: 2.0, 300: 2.0}
    # The score at 200 was not measured again; that at 300 was of weights that are no more.
    assert run.validation['PSNR'] == {200: 20.0}
    assert run.starts == 2 and run.last_step == 300


def test_times_of_a_validation_are_not_those_of_training(tmp_path: Path):
    run = read_run(write_run(tmp_path / 'run', 'demo', [train_line(10), val_line(10)]), 'run')
    assert run.training['time'] == {10: 0.4} and run.validation['time'] == {10: 0.2}
    assert run.config_name == 'demo' and run.config['train_cfg']['max_iters'] == 500


def test_a_line_cut_off_is_skipped(tmp_path: Path):
    folder = write_run(tmp_path / 'run', None, [train_line(10), train_line(20)])
    path = next(folder.glob('*/vis_data/scalars.json'))
    path.write_text(path.read_text()[:-20])
    assert list(read_run(folder, 'run').training['loss']) == [10]


def test_a_config_that_is_cut_off_costs_only_the_settings(tmp_path: Path):
    folder = write_run(tmp_path / 'run', 'demo', [train_line(10)])
    path = folder / 'demo.py'
    path.write_text(path.read_text()[:100])
    run = read_run(folder, 'run')
    assert run.config == {} and run.config_name == ''


@pytest.mark.parametrize('lines', [[], [{'loss': 1.0}]])
def test_no_logs_is_an_error_of_one_line(tmp_path: Path, lines: list[dict]):
    folder = write_run(tmp_path / 'run', None, lines)
    with pytest.raises(UserError, match=r'run: nothing logged in it \(no [^\n]*\)$'):
        read_run(folder, 'run')


def test_runs_of_one_name_are_told_apart(tmp_path: Path):
    folders = [
        write_run(tmp_path / name, None, [train_line(1)]) for name in ('a/run', 'b/run', 'c')
    ]
    assert [run.name for run in read_runs([*folders, folders[0]])] == ['a/run', 'b/run', 'c']


def test_settings_tell_what_the_run_reported(tmp_path: Path):
    folder = write_run(tmp_path / 'run', 'srresnet_24b', [train_line(10)], facts=FACTS)
    settings = describe_settings(read_run(folder, 'run'))
    assert settings['trainable parameters'] == '2,108,419 (fewer than 2,276,356 allowed)'
    assert settings['batch size'] == '6 on each of 2 processes'
    assert settings['training data'] == 'data/FFHQ: train/GT | 18,000 images'
    validation = 'data/FFHQ: val/GT, val/LQ | 400 images every 5,000 iterations'
    assert settings['validation data'] == validation
    assert settings['device'] == 'CPU, 2 threads'


@pytest.mark.parametrize('text', [None, '{"device": "CP'])
def test_settings_without_a_report_are_the_configs(tmp_path: Path, text: str | None):
    folder = write_run(tmp_path / 'run', 'srresnet_24b', [train_line(10)])
    if text:
        (next(folder.glob('*/vis_data')).parent / 'run.json').write_text(text)
    settings = describe_settings(read_run(folder, 'run'))
    assert settings['training data'] == 'data/FFHQ: train/GT' and settings['batch size'] == '12'
    assert 'device' not in settings and 'trainable parameters' not in settings


def test_parts_are_in_the_order_of_their_starts_whatever_the_clock_said(tmp_path: Path):
    parts = [[train_line(300, loss=3.0)], [train_line(100, loss=1.0), train_line(300, loss=1.0)]]
    folder = write_run(tmp_path / 'run', None, *parts)
    for index, start in enumerate((2, 1)):
        (folder / f'20260101_00000{index}/run.json').write_text(json.dumps({'start': start}))
    assert read_run(folder, 'run').training['loss'] == {100: 1.0, 300: 3.0}
    for path in folder.glob('*/run.json'):  # of an older version: by what they logged
        path.unlink()
    assert read_run(folder, 'run').training['loss'] == {100: 1.0, 300: 3.0}


def test_nothing_in_a_folder_is_run(tmp_path: Path):
    folder = write_run(tmp_path / 'run', None, [train_line(10)])
    (folder / 'evil.py').write_text(f"open({str(tmp_path / 'made')!r}, 'w')\nmodel = dict(a=1)\n")
    assert read_run(folder, 'run').config == {}
    (folder / 'evil.py').write_text(f"model = dict(a=open({str(tmp_path / 'made')!r}, 'w'))\n")
    assert read_run(folder, 'run').config == {}
    assert not (tmp_path / 'made').exists()


def test_a_named_pipe_is_not_waited_for(tmp_path: Path):
    folder = write_run(tmp_path / 'run', None, [train_line(10)])
    start = next(folder.glob('*/vis_data')).parent
    (folder / 'later/vis_data').mkdir(parents=True)
    for name in ('later/vis_data/scalars.json', 'a.py', f'{start.name}/run.json'):
        os.mkfifo(folder / name)
    os.mkfifo(start / 'vis_data/config.py')
    (folder / 'results').mkdir()
    os.mkfifo(folder / 'results.json')
    run = read_run(folder, 'run')
    assert run.starts == 1 and run.facts == {} and run.config == {}
    assert not list(find_result_sets(run))
