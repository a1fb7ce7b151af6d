import json
from pathlib import Path

import pytest

pytest.importorskip('facenet_pytorch', reason='needs: bash scripts/setup.sh photos')


def test_a_run(tool_here, faces: Path, tmp_path: Path):
    out = tmp_path / 'figures.json'
    arguments = ['--faces', faces / 'val/GT', '--photographs', '1', '--json', out]
    result = tool_here('benchmarks.photographs', *arguments)
    assert result.returncode == 0, result.stderr
    figures = json.loads(out.read_text())['results']
    assert figures['faces'] >= figures['found']
    assert 'MTCNN: ' in result.stdout
