"""Real signals to real runs."""

import os
import re
import signal
from pathlib import Path

import pytest
import torch
from conftest import train
from mmagic.registry import HOOKS
from mmengine.hooks import Hook

from facesr.errors import StoppedError
from facesr.training.loop import SIGNALS


@HOOKS.register_module()
class SignalHook(Hook):
    """Sends the process a signal in the third iteration, or in the first validation."""

    def __init__(self, number: int, when: str) -> None:
        self.number, self.when = number, when

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if self.when == 'train' and batch_idx == 2:
            os.kill(os.getpid(), self.number)

    def before_val_iter(self, runner, batch_idx, data_batch=None) -> None:
        if self.when == 'val':
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ('number', 'when', 'iteration'),
    [
        (signal.SIGUSR1, 'train', 3),
        (signal.SIGTERM, 'val', 2),
        (signal.SIGINT, 'train', 3),
    ],
)
def test_stops_saved_and_goes_on_as_if_uncut(
    number: int, when: str, iteration: int, tiny_options: list[str], tmp_path: Path
):
    handlers = [signal.getsignal(one) for one in SIGNALS]
    whole = train([*tiny_options, f'work_dir={tmp_path}/whole', 'experiment_name=whole'])
    checkpoint = tmp_path / f'work/iter_{iteration}.pth'
    name = signal.Signals(number).name
    message = f'^stopped by {name} after iteration {iteration} of 4, saved as {checkpoint}; to go '
    with pytest.raises(StoppedError, match=re.escape(message[1:])):
        train(tiny_options, dict(type='SignalHook', number=int(number), when=when))
    left = [signal.getsignal(one) for one in SIGNALS]
    assert left == handlers
    resumed = train([*tiny_options, 'resume=True', f'load_from={checkpoint}'])
    for key, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[key]), key
    for key in ('val/PSNR', 'train/loss'):
        runs = [run.message_hub.get_scalar(key).data[0].tolist() for run in (whole, resumed)]
        assert runs[0] == runs[1], key


@HOOKS.register_module()
class FailHook(Hook):
    """An error in the second iteration."""

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if batch_idx == 1:
            raise ConnectionError('lost')


def test_a_run_that_fails_leaves_the_signals_as_they_were(tiny_options: list[str]):
    handlers = [signal.getsignal(one) for one in SIGNALS]
    with pytest.raises(ConnectionError):
        train(tiny_options, dict(type='FailHook'))
    assert [signal.getsignal(one) for one in SIGNALS] == handlers
