"""Each workaround, and that the stack still needs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from facesr import compat


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)


def test_stock_mmagic_still_does_not_import():
    result = python('import mmagic.models')
    assert result.returncode != 0, 'mmagic imports by itself now: delete the lazy packages'


def test_numpy_still_lacks_bool8():
    import mmagic

    source = Path(mmagic.__file__).parent / 'utils/trans_utils.py'
    assert 'np.bool8' in source.read_text(), 'mmagic no longer uses np.bool8: delete _NumPy2Loader'
    assert int(np.__version__.split('.')[0]) < 2 or not hasattr(np, 'bool8')


def test_stock_mmengine_still_formats_a_config_again_and_again(monkeypatch: pytest.MonkeyPatch):
    calls = []

    def format_code(text: str, **options: object) -> tuple[str, bool]:
        calls.append(text)
        return text, False

    from mmengine.config import Config, config

    monkeypatch.setattr(config, 'FormatCode', format_code)
    stock = Config(dict(a=1))
    assert stock.pretty_text == stock.pretty_text
    assert len(calls) == 2, 'MMEngine remembers it now: delete _format_configs_once'
    compat._format_configs_once()
    texts = [Config(dict(a=value)).pretty_text for value in (2, 2, 3)]
    assert texts[0] == texts[1] != texts[2]
    assert len(calls) == 4


def test_import_brings_none_of_the_heavy_packages():
    result = python(
        'import facesr, sys\n'
        'heavy = {"diffusers", "transformers", "mediapipe", "mmagic.models.editors.esrgan"}\n'
        'print(sorted(heavy & set(sys.modules)))'
    )
    assert result.stdout.strip() == '[]', result.stderr


def test_missing_mmagic_names_the_one_command(monkeypatch: pytest.MonkeyPatch):
    find_spec = compat.find_spec
    monkeypatch.setattr(
        compat, 'find_spec', lambda name: None if name == 'mmagic' else find_spec(name)
    )
    with pytest.raises(ImportError, match=r'pip install --no-deps mmagic==1\.2\.0'):
        compat.install()
