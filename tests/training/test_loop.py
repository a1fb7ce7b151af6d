import os
import re
import signal
from pathlib import Path

import pytest
import torch
from conftest import TINY, TINY_GAN, options_for, train
from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from facesr.checkpoint import read_checkpoint
from facesr.config import load_config
from facesr.errors import StoppedError
from facesr.training.signals import SIGNALS, taking_signals


@HOOKS.register_module()
class CountFetchedHook(Hook):
    fetched = 0

    def before_run(self, runner) -> None:
        dataset = runner.train_dataloader.dataset.dataset
        stock = dataset.prepare_data

        def count(index: int):
            CountFetchedHook.fetched += 1
            return stock(index)

        dataset.prepare_data = count


def test_going_on_replays_nothing(tiny_options: list[str], trained: Runner):
    options = [*tiny_options, 'train_cfg.max_iters=6', 'resume=True']
    train([*options, f'load_from={trained.work_dir}/iter_4.pth'], dict(type='CountFetchedHook'))
    assert CountFetchedHook.fetched == 2 * 2


DATA = {
    'concatenated': dict(dataset=lambda faces: dict(type='ConcatDataset', datasets=[faces] * 2)),
    'repeated': dict(dataset=lambda faces: dict(type='RepeatDataset', times=2, dataset=faces)),
    'in epochs': dict(sampler=dict(type='DefaultSampler', shuffle=True)),
    'infinite': dict(sampler=dict(type='InfiniteSampler', shuffle=True)),
}


@pytest.mark.parametrize('kind', DATA)
def test_any_data_set_and_sampler_resumes_exactly(kind: str, tiny_options, tmp_path: Path):
    def run(*options: str) -> Runner:
        config = load_config(TINY, [*tiny_options, *options])
        loader = config.train_dataloader
        for part, value in DATA[kind].items():
            loader[part] = value(loader.dataset) if callable(value) else value
        with taking_signals():
            runner = Runner.from_cfg(config)
            runner.train()
        return runner

    uncut = run(f'work_dir={tmp_path}/uncut')
    resume = ['resume=True', f'load_from={tmp_path}/uncut/iter_2.pth']
    resumed = run(f'work_dir={tmp_path}/resumed', f'experiment_name={tmp_path.name}_2', *resume)
    for name, weight in resumed.model.state_dict().items():
        assert torch.equal(weight, uncut.model.state_dict()[name]), name


def test_the_number_of_loader_processes_changes_nothing(tiny_options: list[str], trained: Runner):
    other = train([*tiny_options, 'train_dataloader.num_workers=2'])
    for name, weight in other.model.state_dict().items():
        assert torch.equal(weight, trained.model.state_dict()[name]), name


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


@HOOKS.register_module()
class NoteTF32Hook(Hook):
    def before_run(self, runner) -> None:
        self.seen = []

    def _note(self, runner, *args, **kwargs) -> None:
        self.seen.append(torch.backends.cudnn.allow_tf32)

    after_train_iter = after_val_iter = _note


@pytest.mark.parametrize('given', [True, False])
def test_tf32_is_what_the_config_says(tiny_options: list[str], given: bool):
    options = [*tiny_options, 'train_cfg.max_iters=2', f'train_cfg.tf32={given}']
    runner = train(options, dict(type='NoteTF32Hook'))
    [seen] = [hook.seen for hook in runner.hooks if isinstance(hook, NoteTF32Hook)]
    assert seen == [given] * 3  # two iterations, a validation of one batch
    assert torch.backends.cudnn.allow_tf32


@HOOKS.register_module()
class SignalHook(Hook):
    """Sends the process a signal in the third iteration, or in one of the validations."""

    priority = 'VERY_HIGH'
    acts_on_average = True

    def __init__(self, number: int, when: str) -> None:
        self.number, self.when = number, when

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if self.when == 'training' and batch_idx == 2:
            os.kill(os.getpid(), self.number)

    def before_val_iter(self, runner, batch_idx, data_batch=None) -> None:
        if (self.when, runner.iter) in (('validation', 2), ('last validation', 4)):
            os.kill(os.getpid(), self.number)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if self.when == 'average' and batch_idx == runner.val_loop.total_length:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ('number', 'when', 'iteration'),
    [
        (signal.SIGUSR1, 'training', 3),
        (signal.SIGINT, 'training', 3),
        (signal.SIGTERM, 'validation', 2),
        (signal.SIGTERM, 'average', 2),
        (signal.SIGTERM, 'last validation', 4),
    ],
)
def test_stops_saved_and_goes_on_as_if_uncut(
    number: int, when: str, iteration: int, tiny_options: list[str], trained: Runner, tmp_path: Path
):
    handlers = [signal.getsignal(one) for one in SIGNALS]
    checkpoint = tmp_path / f'work/iter_{iteration}.pth'
    name = signal.Signals(number).name
    message = f'stopped by {name} after iteration {iteration} of 4, saved as {checkpoint}'
    average = [dict(type='GeneratorEMAHook')] if when == 'average' else []
    with pytest.raises(StoppedError, match=re.escape(message)):
        train(tiny_options, dict(type='SignalHook', number=int(number), when=when), *average)
    assert [signal.getsignal(one) for one in SIGNALS] == handlers
    resumed = train([*tiny_options, 'resume=True', f'load_from={checkpoint}'], *average)
    for key, weight in trained.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[key]), key
    for key in ('val/PSNR', 'train/loss'):
        runs = [run.message_hub.get_scalar(key).data[0].tolist() for run in (trained, resumed)]
        assert runs[0] == runs[1], key
    if average:
        assert len(resumed.message_hub.get_scalar('val/ema/PSNR').data[0]) == 2


@pytest.mark.parametrize('config', [TINY, TINY_GAN])
def test_gradients_that_wait_for_their_step_are_saved(
    config: Path, small_faces: Path, tmp_path: Path
):
    """Iterations 4 and 5 lie within the three of one step."""

    def run(name: str, *options: str) -> dict[str, torch.Tensor]:
        counts = 'optim_wrapper.accumulative_counts=3'
        if config is TINY_GAN:
            counts = 'optim_wrapper.generator.accumulative_counts=3'
            options += ('optim_wrapper.discriminator.accumulative_counts=2',)
        more = ['train_cfg.max_iters=6', 'default_hooks.checkpoint.interval=1', counts]
        more += ['train_dataloader.dataset.gt_patch_size=128', 'train_cfg.val_interval=6']
        return train(
            [*options_for(small_faces, tmp_path / name), *more, *options], config=config
        ).model.state_dict()

    uncut = run('uncut')
    for iteration in (4, 5):
        path = tmp_path / f'uncut/work/iter_{iteration}.pth'
        assert read_checkpoint(path)['waiting'][0]['gradients']
        resumed = run(f'from_{iteration}', 'resume=True', f'load_from={path}')
        for name, weight in resumed.items():
            assert torch.equal(weight, uncut[name]), name
