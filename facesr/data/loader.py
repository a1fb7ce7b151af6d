"""The order of the training images, the batches they make, and the loader's processes."""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence, Sized
from itertools import count, islice
from threading import Thread
from typing import Any, NamedTuple

from mmagic.registry import DATA_SAMPLERS, DATASETS
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.registry import FUNCTIONS
from mmengine.runner import BaseLoop
from numpy.random import SeedSequence
from torch.utils.data import default_collate

from ..degradation.base import seeded
from ..degradation.preprocessor import FaceBatch


class SampleKey(NamedTuple):
    """What a training sample depends on, and nothing else."""

    image: int  # its index in the data set
    seed: int  # the run's
    number: int  # of the sample, counted over all processes from the run's beginning


#: The key of the sample that is being made, if a loader makes it.
_key: SampleKey | None = None


def sample_key(index: int) -> SampleKey:
    """The key of the sample that a data set is making; without a loader, number and index."""
    return _key or SampleKey(index, 0, index)


@DATA_SAMPLERS.register_module()
class NumberedSampler:
    """Another sampler's indices, without end, each with its number; it can start anywhere.

    When MMEngine resumes, it fetches and throws away every batch that was trained on: hours, late
    in a run. Its random numbers come from the loader's processes: they change with their count, and
    a resumed run repeats those of its beginning. Here the loop sets ``start``, and a sample's
    random numbers depend only on seed and number. ``sampler`` is the other one's config; without
    it, MMEngine's ``InfiniteSampler``. The loop puts this one around any sampler of a config.
    """

    #: Samples of this process that are skipped.
    start: int = 0

    def __init__(
        self,
        dataset: Sized,
        seed: int | None = None,
        shuffle: bool = True,
        sampler: Mapping[str, Any] | None = None,
    ) -> None:
        self.dataset, self.seed = dataset, sync_random_seed() if seed is None else seed
        self.settings = sampler or dict(type='InfiniteSampler', shuffle=shuffle)
        self.rank, self.processes = get_dist_info()

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[SampleKey]:
        indices = islice(self._indices(), self.start, None)
        for position, index in enumerate(indices, self.start):
            yield SampleKey(index, self.seed, self.rank + self.processes * position)

    def _indices(self) -> Iterator[int]:
        # MMEngine's InfiniteSampler continues where it was left, so each pass has one of its own.
        defaults = dict(dataset=self.dataset, seed=self.seed)
        sampler = DATA_SAMPLERS.build(self.settings, default_args=defaults)
        for epoch in count():  # InfiniteSampler's first has no end
            if hasattr(sampler, 'set_epoch'):
                sampler.set_epoch(epoch)
            yield from sampler


@DATA_SAMPLERS.register_module()
class FirstSampler(DefaultSampler):
    """MMEngine's ``DefaultSampler``, but only the first ``number`` images of each process."""

    num_samples: int

    def __init__(self, *args: Any, number: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.num_samples = min(self.num_samples, number)

    def __iter__(self) -> Iterator[int]:
        return islice(super().__iter__(), self.num_samples)


@DATASETS.register_module()
class SeededDataset:
    """Any data set, for which each sample's random numbers depend only on its :class:`SampleKey`.

    NumPy's, Python's and PyTorch's global generators are seeded before a sample is made, and put
    back after it. The data set gets a plain index. MMEngine's seeds are those of a loader's
    process: with ``diff_rank_seed=False`` or another ``worker_init_fn``, all processes draw the
    same, and a resumed run draws again what its beginning drew.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__['dataset'], name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: SampleKey) -> Any:
        global _key
        seed = int(SeedSequence((key.seed, key.number)).generate_state(1)[0])
        _key = key
        try:
            with seeded(seed):
                return self.dataset[key.image]
        finally:
            _key = None


def number_samples(loader: Any) -> Any:
    """A training loader's config whose samples are numbered, whatever data set and sampler it has.

    A loader that is built already stays.
    """
    if not isinstance(loader, Mapping):
        return loader
    sampler = loader['sampler']
    if sampler['type'] not in ('NumberedSampler', NumberedSampler):
        sampler = dict(type='NumberedSampler', sampler=sampler)
    return {
        **loader,
        'dataset': dict(type='SeededDataset', dataset=loader['dataset']),
        'sampler': sampler,
    }


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
    if hasattr(signal, 'sigwaitinfo'):  # macOS, which has none, does not say who sent a signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Thread(target=_obey, args=(os.getppid(),), daemon=True).start()


def _obey(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
