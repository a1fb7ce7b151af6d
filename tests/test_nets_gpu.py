"""A machine with an NVIDIA GPU that PyTorch cannot use: the device files are the test's own."""

from pathlib import Path

import pytest
import torch
from conftest import TINY

from facesr import nets
from facesr.errors import UserError
from facesr.training.train import train

pytestmark = pytest.mark.skipif(torch.version.cuda is None, reason='PyTorch is built without CUDA')


@pytest.fixture
def device_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / 'dev'
    folder.mkdir()
    (folder / 'nvidia0').touch()
    monkeypatch.setattr(nets, 'DEVICES', folder)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '99')  # none that PyTorch could use anywhere
    return folder


def test_a_gpu_that_cannot_be_used_stops_the_run(device_files, tiny_options, tmp_path: Path):
    with pytest.raises(
        UserError,
        match=r'^PyTorch \S+ cannot use the NVIDIA GPU of this machine \(.+\); install a driver '
        r'for CUDA [0-9.]+, .+\(TORCH_INDEX_URL, .+ on purpose: CUDA_VISIBLE_DEVICES= .+$',
    ):
        train(TINY, tiny_options)
    assert not (tmp_path / 'work').exists()


def test_a_gpu_that_is_hidden_on_purpose_or_not_there_does_not(device_files: Path, monkeypatch):
    for hidden in ('', '-1', 'NoDevFiles'):
        with monkeypatch.context() as patch:
            patch.setenv('CUDA_VISIBLE_DEVICES', hidden)
            nets.check_gpu()
    (device_files / 'nvidia0').rename(device_files / 'nvidiactl')
    nets.check_gpu()
