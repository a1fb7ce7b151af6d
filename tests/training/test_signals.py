import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from conftest import TINY
from mmagic.registry import HOOKS
from mmengine.hooks import Hook

from facesr.errors import StoppedError
from facesr.training import signals
from facesr.training.signals import SIGNALS, taking_signals
from facesr.training.train import train


@pytest.mark.parametrize('number', SIGNALS)
def test_a_start_is_stopped_at_once_and_a_run_at_its_next_iteration(number: signal.Signals):
    handlers = [signal.getsignal(one) for one in SIGNALS]
    with (
        pytest.raises(StoppedError, match=f'by {number.name} before the first iteration, nothing'),
        taking_signals(),
    ):
        os.kill(os.getpid(), number)
        pytest.fail('goes on')
    with taking_signals():
        signals.begin()
        os.kill(os.getpid(), number)
        assert signals.asked() == number.name
    assert [signal.getsignal(one) for one in SIGNALS] == handlers


def _be_asked_before_and_after() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(StoppedError), taking_signals():
        pytest.fail('goes on')
    with taking_signals():
        signals.begin()
    os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_a_signal_that_came_before_the_start_counts_and_one_after_the_end_does_not():
    """As in tools/train.py, which blocks and ignores them before it has another thread."""
    process = multiprocessing.get_context('fork').Process(target=_be_asked_before_and_after)
    process.start()
    process.join()
    assert process.exitcode == 0


@HOOKS.register_module()
class StopAtStartHook(Hook):
    """Asks the process to stop before its first iteration, and takes that for something else."""

    def __init__(self, other: str | None) -> None:
        self.other = other

    def before_train(self, runner) -> None:
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
        except BaseException:
            if self.other:
                raise SyntaxError(self.other) from None
            raise


@pytest.mark.parametrize('other', [None, 'Failed to format the config file'])
def test_a_stop_before_the_first_iteration_is_recorded_for_slurm(
    other: str | None, tiny_options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv('FACESR_STOP_FILE', str(tmp_path / 'stopped'))
    config = tmp_path / 'config.py'
    hook = dict(type='StopAtStartHook', other=other)
    config.write_text(f"_base_ = ['{TINY}']\ncustom_hooks = [{hook}]\n")
    with pytest.raises(StoppedError) as stop:
        train(config, tiny_options)
    assert (tmp_path / 'stopped').read_text() == f'{stop.value}\n'
    assert not list((tmp_path / 'work').glob('*.pth'))


@HOOKS.register_module()
class StopInTrainingHook(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)


def test_a_stop_says_how_to_resume_and_a_rehearsal_is_no_reason_to(
    tiny_options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    stopped = tmp_path / 'stopped'
    monkeypatch.setenv('FACESR_STOP_FILE', str(stopped))
    config = tmp_path / 'config.py'
    config.write_text(f"_base_ = ['{TINY}']\ncustom_hooks = [dict(type='StopInTrainingHook')]\n")
    with pytest.raises(StoppedError, match=r'1 of 4, saved as .*; to resume: .* with --resume$'):
        train(config, tiny_options)
    assert stopped.read_text().startswith('stopped by SIGUSR1 after iteration 1 of 4, saved as')
    stopped.unlink()
    with pytest.raises(StoppedError, match=r'^stopped by SIGUSR1; a dry run keeps nothing$'):
        train(config, tiny_options, resume='auto', dry_run=True)
    assert not stopped.exists()
