import json
from argparse import Namespace
from pathlib import Path

import pytest
from conftest import TINY

from benchmarks import gpu
from facesr.errors import UserError


def test_one_failure_leaves_the_others(
    tiny_options: list[str], faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gpu, 'TIMINGS', {'degradation': gpu.TIMINGS['degradation']})
    broken, out, name = tmp_path / 'broken.py', tmp_path / 'gpu', TINY.stem
    broken.write_text(f"_base_ = ['{TINY}']\nmodel = dict(generator=dict(upscale_factor=5))\n")
    options = [*tiny_options, 'default_hooks.panels.interval=1']
    args = Namespace(config=[str(TINY), str(broken)], cfg_options=options, faces=faces, out=out)
    args.jobs, args.images, args.rounds = 2, 2, 1
    with pytest.raises(UserError, match=f'^{out}: 2 of 5 steps failed: broken: train, ...'):
        gpu.main(args)
    report = json.loads((out / 'gpu.json').read_text())
    failed = [step['name'] for step in report['steps'] if step['code']]
    assert failed == ['broken: train', 'broken: resume']
    assert set(report['figures']) == {f'figures_degradation_{name}'}
    # A panel of each image at each validation, and a checkpoint that the resume began from.
    panels = {path.name for path in (out / name).glob('*/vis_data/vis_image/*.png')}
    assert panels == {f'0000{image}_{iteration}.png' for image in (0, 1) for iteration in (2, 4, 6)}
    assert (out / name / 'iter_6.pth').is_file()
    table = (out / 'gpu.md').read_text()
    assert f'| {name}: resume | passed |' in table and '| broken: train | FAILED |' in table
    assert 'Unsupported scale factor 5' in table and 'MMagic' in table
    with pytest.raises(UserError, match=f'^{out}: not empty; name another folder with --out'):
        gpu.main(args)
