"""The order of the training images, the batches they make, and the loader's processes."""

import os
import signal
from collections.abc import Iterator, Sequence
from itertools import count
from threading import Thread
from typing import Any, NamedTuple

import torch
from mmagic.registry import DATA_SAMPLERS
from mmengine.dataset import InfiniteSampler, pseudo_collate
from mmengine.registry import FUNCTIONS
from mmengine.runner import BaseLoop
from torch.utils.data import default_collate

from ..degradation.preprocessor import FaceBatch


class SampleKey(NamedTuple):
    """What a training sample depends on, and nothing else."""

    image: int  # its index in the data set
    seed: int  # the run's
    number: int  # of the sample, counted over all processes from the run's beginning


@DATA_SAMPLERS.register_module()
class NumberedSampler(InfiniteSampler):
    """MMEngine's ``InfiniteSampler``, which can start anywhere, and numbers its samples.

    When MMEngine resumes, it fetches and throws away every batch that was trained on: hours, late
    in a run. Its random numbers come from the loader's processes: they change with their count, and
    a resumed run repeats those of its beginning. Here the loop sets ``start``, and a sample's
    random numbers depend only on seed and number.
    """

    #: Samples of this process that are skipped.
    start: int = 0

    def __iter__(self) -> Iterator[SampleKey]:
        generator = torch.Generator()
        generator.manual_seed(self.seed)
        order: list[int] = []
        rounds = 0
        for number in count(self.rank + self.world_size * self.start, self.world_size):
            while rounds * self.size <= number:
                if self.shuffle:
                    order = torch.randperm(self.size, generator=generator).tolist()
                else:
                    order = list(range(self.size))
                rounds += 1
            yield SampleKey(order[number % self.size], self.seed, number)


def end_workers(loop: BaseLoop) -> None:
    """End the processes of a loop's loaders.

    Left to the interpreter's end, PyTorch 2.11 waits five seconds for each where they pin memory
    for a GPU.
    """
    # MMagic's loops have several loaders, MMEngine's one.
    for loader in getattr(loop, 'dataloaders', None) or [loop.dataloader]:
        if loader._iterator is not None:  # of persistent workers
            loader._iterator._shutdown_workers()


@FUNCTIONS.register_module()
def collate_faces(batch: Sequence[Any]) -> Any:
    """MMEngine's ``pseudo_collate`` for packed pairs; one :class:`FaceBatch` of its samples."""
    if not isinstance(batch[0], FaceBatch):
        return pseudo_collate(batch)
    # PyTorch's own stacks in the memory that a loader's process shares: no second copy.
    gt, inputs, crops, noise_seeds = default_collate([tuple(sample[:4]) for sample in batch])
    return FaceBatch(gt, inputs, crops, noise_seeds, batch[0].degradation, batch[0].gt_patch_size)


@FUNCTIONS.register_module()
def outlive_signals(worker_id: int) -> None:
    """Keep a loader's process alive while the training process saves; a ``worker_init_fn``.

    Ctrl-C and a cluster's kill reach all processes of a run, and PyTorch aborts training when a
    worker dies. So workers ignore Ctrl-C and SIGUSR1, and exit only when their parent sends SIGTERM
    or is gone. MMEngine's own function seeds the worker; here each sample has its own seed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    Thread(target=_obey, args=(os.getppid(),), daemon=True).start()


def _obey(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
