"""Runs of the real runner that are stopped by real signals, and resume where they were left."""

import os
import re
import signal
from pathlib import Path

import pytest
import torch
from conftest import train
from mmagic.registry import HOOKS
from mmengine.hooks import Hook

from facesr.checkpoint import read_checkpoint
from facesr.errors import StoppedError, UserError
from facesr.training.signals import SIGNALS


@HOOKS.register_module()
class CountFetchedHook(Hook):
    """Counts the training images that are fetched."""

    fetched = 0

    def before_run(self, runner) -> None:
        stock = runner.train_dataloader.dataset.prepare_data

        def count(index: int):
            CountFetchedHook.fetched += 1
            return stock(index)

        runner.train_dataloader.dataset.prepare_data = count


def test_going_on_replays_nothing(tiny_options: list[str], tmp_path: Path):
    train(tiny_options)
    CountFetchedHook.fetched = 0
    options = [*tiny_options, 'train_cfg.max_iters=6', 'resume=True']
    train([*options, f'load_from={tmp_path}/work/iter_4.pth'], dict(type='CountFetchedHook'))
    assert CountFetchedHook.fetched == 2 * 2


def test_another_sampler_is_refused_by_name(tiny_options: list[str], tmp_path: Path):
    train(tiny_options)
    options = [*tiny_options, 'train_dataloader.sampler.type=InfiniteSampler']
    with pytest.raises(UserError, match='InfiniteSampler cannot resume at iteration 2; use '):
        train([*options, 'resume=True', f'load_from={tmp_path}/work/iter_2.pth'])


@pytest.mark.parametrize('workers', [1, 2])
def test_the_number_of_loader_processes_changes_nothing(
    tiny_options: list[str], tmp_path: Path, workers: int
):
    one = train([*tiny_options, f'work_dir={tmp_path}/0'])
    other = train(
        [
            *tiny_options,
            f'work_dir={tmp_path}/{workers}',
            f'experiment_name={workers}',
            f'train_dataloader.num_workers={workers}',
        ]
    )
    for name, weight in other.model.state_dict().items():
        assert torch.equal(weight, one.model.state_dict()[name]), name


@HOOKS.register_module()
class DieInValidationHook(Hook):
    """Ends a run in the middle of its first validation, as a kill does."""

    def before_val_iter(self, runner, batch_idx, data_batch=None) -> None:
        raise ConnectionError('killed')


def test_a_validation_that_was_cut_comes_first(tiny_options: list[str], tmp_path: Path):
    with pytest.raises(ConnectionError):
        train(tiny_options, dict(type='DieInValidationHook'))
    first = tmp_path / 'work/iter_2.pth'
    assert 'best_score' not in read_checkpoint(first)['message_hub']['runtime_info']
    resumed = train([*tiny_options, 'resume=True', f'load_from={first}'])
    scores = resumed.message_hub.get_scalar('val/PSNR').data[0]
    assert len(scores) == 2
    again = train([*tiny_options, 'resume=True', f'load_from={tmp_path}/work/iter_4.pth'])
    assert len(again.message_hub.get_scalar('val/PSNR').data[0]) == 2, 'validated once more'


@HOOKS.register_module()
class NoteTF32Hook(Hook):
    """Notes whether convolutions may use TF32, in training and validation."""

    def before_run(self, runner) -> None:
        self.seen = []

    def _note(self, runner, *args, **kwargs) -> None:
        self.seen.append(torch.backends.cudnn.allow_tf32)

    after_train_iter = after_val_iter = _note


@pytest.mark.parametrize('given', [None, True, False])
def test_tf32_is_what_the_config_says(tiny_options: list[str], given: bool | None):
    """The configs say True: as PyTorch has it by default."""
    options = [*tiny_options, 'train_cfg.max_iters=2']
    if given is not None:
        options.append(f'train_cfg.tf32={given}')
    runner = train(options, dict(type='NoteTF32Hook'))
    [seen] = [hook.seen for hook in runner.hooks if isinstance(hook, NoteTF32Hook)]
    assert seen == [given is not False] * 3  # two iterations, a validation of one batch
    assert torch.backends.cudnn.allow_tf32


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
        (signal.SIGTERM, 'train', 3),
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
    message = f'^stopped by {name} after iteration {iteration} of 4, saved as {checkpoint}'
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
class LastValidationSignalHook(Hook):
    """Sends the process a signal in the validation after the last iteration."""

    def before_val_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == runner.max_iters:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_stop_in_the_last_validation_leaves_it_to_do(tiny_options: list[str], tmp_path: Path):
    hook, checkpoint = dict(type='LastValidationSignalHook'), tmp_path / 'work/iter_4.pth'
    with pytest.raises(StoppedError, match='after iteration 4 of 4, saved as'):
        train(tiny_options, hook)
    resumed = train([*tiny_options, 'resume=True', f'load_from={checkpoint}'])
    assert len(resumed.message_hub.get_scalar('val/PSNR').data[0]) == 2
    assert read_checkpoint(checkpoint)['message_hub']['runtime_info']['last_validated_iter'] == 4


@HOOKS.register_module()
class AverageValidationSignalHook(Hook):
    """Sends the process a signal in the first validation of the averaged weights."""

    priority = 'VERY_HIGH'
    acts_on_average = True

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if batch_idx == runner.val_loop.total_length:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_stop_in_a_validation_of_the_average_leaves_it_to_do(
    tiny_options: list[str], tmp_path: Path
):
    average, checkpoint = dict(type='GeneratorEMAHook'), tmp_path / 'work/iter_2.pth'
    with pytest.raises(StoppedError, match='after iteration 2 of 4, saved as'):
        train(tiny_options, average, dict(type='AverageValidationSignalHook'))
    resumed = train([*tiny_options, 'resume=True', f'load_from={checkpoint}'], average)
    for name in ('val/PSNR', 'val/ema/PSNR'):
        assert len(resumed.message_hub.get_scalar(name).data[0]) == 2, name


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
