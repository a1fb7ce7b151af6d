"""Training runs on a GPU that is not there, and what each of their iterations costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fake_cuda import Counts, FakeGPU, fake_cuda
from mmagic.registry import LOOPS
from mmengine.config import Config
from mmengine.runner import Runner

from facesr.config import load_config
from facesr.training.loop import ResumableTrainLoop
from facesr.training.train import pin_batches


@LOOPS.register_module()
class CountedLoop(ResumableTrainLoop):
    """Counts each iteration, its hooks included."""

    gpu: FakeGPU
    counts: list[Counts]

    def run_iter(self, data_batch: object) -> None:
        with self.gpu.count() as counts:
            super().run_iter(data_batch)
        self.counts.append(counts)


def load_for_fake_gpu(path: Path, faces: Path, work_dir: Path, options: Sequence[str]) -> Config:
    """Read a config, to train three iterations of it: nothing but data, sizes and lengths differs.

    A log line, a validation with a panel of its first image and no checkpoint are due after the
    third; nothing is compiled, and nothing was trained before.
    """
    splits = ('train', 'val', 'test')
    config = load_config(
        path,
        [
            *(f'{split}_dataloader.dataset.data_root={faces}' for split in splits),
            *(f'{split}_dataloader.num_workers=0' for split in splits),
            *(f'{split}_dataloader.persistent_workers=False' for split in splits),
            'train_dataloader.dataset.cache_dir=None',
            'val_dataloader.dataset.indices=1',
            'val_dataloader.dataset.size.img=64',
            'val_dataloader.dataset.size.gt=256',
            'train_dataloader.dataset.degradation.gt_size=256',
            'train_dataloader.dataset.degradation.lq_size=64',
            f'work_dir={work_dir}',
            'train_cfg.type=CountedLoop',
            'train_cfg.max_iters=3',
            'train_cfg.val_interval=3',
            'default_hooks.logger.interval=3',
            'default_hooks.panels.interval=1',
            'default_hooks.checkpoint.interval=-1',
            'default_hooks.checkpoint.save_last=False',
            'default_hooks.checkpoint.save_best=None',
            *options,
        ],
    )
    for name, setting in (('fast_step', 'compile'), ('pretrained', 'source')):
        if name in config.default_hooks:
            config.default_hooks[name][setting] = None
    if 'perceptual_loss' in config.model:  # any weights do, there are none
        config.model.perceptual_loss.pretrained = 'random'
    config.log_level = 'ERROR'
    return config


def train_on_fake_gpu(config: Config) -> tuple[Runner, list[Counts]]:
    """Train; returns the runner, and the counts of each iteration."""
    counts: list[Counts] = []
    with fake_cuda() as gpu:
        CountedLoop.gpu, CountedLoop.counts = gpu, counts
        pin_batches(config)
        runner = Runner.from_cfg(config)
        runner.train()
        runner.visualizer.close()
    return runner, counts
