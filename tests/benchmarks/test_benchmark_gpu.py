"""Everything for a GPU in one go, here on the CPU: a tiny config, and one that is broken."""

import json
from pathlib import Path

from conftest import TINY


def test_one_failure_leaves_the_others(tool, tiny_options: list[str], faces: Path, tmp_path: Path):
    broken = tmp_path / 'broken.py'
    broken.write_text(f"_base_ = ['{TINY}']\nmodel = dict(generator=dict(upscale_factor=5))\n")
    out = tmp_path / 'gpu'
    cache = f'train_dataloader.dataset.cache_dir={tmp_path}/cache'
    sizes = ['--rounds', '1', '--images', '2', '--iterations', '1']
    options = ['--cfg-options', *tiny_options, 'default_hooks.panels.interval=1', cache]
    result = tool('benchmarks.gpu', TINY, broken, '--faces', faces, '--out', out, *sizes, *options)
    assert result.returncode == 1
    assert f'error: {out}: 3 of 9 steps failed: broken: train, ...' in result.stderr

    report = json.loads((out / 'gpu.json').read_text())
    codes = {step['name']: step['code'] for step in report['steps']}
    name = TINY.stem
    assert [step for step, code in codes.items() if code] == [
        'broken: train',
        'broken: resume',
        'training_broken',
    ]
    assert codes[f'{name}: train'] == codes[f'{name}: resume'] == 0
    assert set(report['figures']) == {
        f'figures_{what}_{name}' for what in ('degradation', 'validation', 'restoring', 'training')
    }
    # A panel of each image at each validation, and a checkpoint that the resume began from.
    panels = {path.name for path in (out / name).glob('*/vis_data/vis_image/*.png')}
    assert panels == {f'0000{image}_{iteration}.png' for image in (0, 1) for iteration in (2, 4, 6)}
    assert (out / name / 'iter_6.pth').is_file()
    table = (out / 'gpu.md').read_text()
    assert f'| {name}: resume | passed |' in table and '| broken: train | FAILED |' in table
    assert 'cannot be trained' in table and 'stock' in table

    result = tool('benchmarks.gpu', TINY, '--out', out)
    assert result.returncode == 1
    assert f'error: {out}: not empty; name another folder with --out' in result.stderr
