import json
from argparse import Namespace
from pathlib import Path

import pytest
from conftest import TINY

from benchmarks import gpu
from facesr.errors import UserError


def test_one_failure_leaves_the_others(
    tiny_options, small_faces: Path, tmp_path: Path, monkeypatch
):
    timings = {'nowhere': (), 'degradation': gpu.TIMINGS['degradation']}
    monkeypatch.setattr(gpu, 'TIMINGS', timings)
    out, name = tmp_path / 'gpu', TINY.stem
    options = [*tiny_options, 'default_hooks.panels.interval=1']
    args = Namespace(config=[str(TINY)], cfg_options=options, faces=small_faces, out=out)
    args.jobs, args.images, args.rounds = 2, 2, 1
    with pytest.raises(UserError, match=f'^{out}: 1 of 4 steps failed: nowhere_{name}, ...'):
        gpu.main(args)
    report = json.loads((out / 'gpu.json').read_text())
    assert [bool(step['code']) for step in report['steps']] == [False, False, True, False]
    [(timing, figures)] = report['figures'].items()
    assert timing == f'figures_degradation_{name}' and len(figures['results']['seconds']) == 2
    assert 75 <= figures['results']['agreement']['psnr'] <= 200
    # A panel of each image at each validation, and a checkpoint that the resume began from.
    panels = {path.name for path in (out / name).glob('*/vis_data/vis_image/*.png')}
    assert panels == {f'0000{image}_{iteration}.png' for image in (0, 1) for iteration in (2, 4, 6)}
    assert (out / name / 'iter_6.pth').is_file()
    table = (out / 'gpu.md').read_text()
    assert f'| {name}: resume | passed |' in table and f'| nowhere_{name} | FAILED |' in table
    assert 'No module named benchmarks.nowhere' in table and "the loader's way" in table
    with pytest.raises(UserError, match=f'^{out}: not empty; name another folder with --out'):
        gpu.main(args)
