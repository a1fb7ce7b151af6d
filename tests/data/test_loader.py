import os
import random
from itertools import islice

import numpy as np
import pytest
import torch
import warm
from conftest import free_port

from facesr.data.loader import NumberedSampler, SampleKey, SeededDataset

SAMPLERS = [
    None,
    dict(type='InfiniteSampler', shuffle=True),
    dict(type='DefaultSampler', shuffle=True),
]


def draw(count: int, start: int = 0, sampler: dict | None = None) -> list[SampleKey]:
    numbered = NumberedSampler(range(5), seed=3, sampler=sampler)
    numbered.start = start
    return list(islice(numbered, count))


@pytest.mark.parametrize('sampler', SAMPLERS, ids=str)
def test_every_image_is_drawn_once_a_round_in_a_new_order(sampler: dict | None):
    keys = draw(15, sampler=sampler)
    images = [key.image for key in keys]
    rounds = [images[:5], images[5:10], images[10:]]
    assert all(sorted(each) == [0, 1, 2, 3, 4] for each in rounds)
    assert rounds[0] != rounds[1] != rounds[2]
    assert draw(15, sampler=sampler) == keys
    assert draw(4, start=11, sampler=sampler) == keys[11:]
    assert [key.number for key in keys] == list(range(15))


def test_processes_share_the_draws(tmp_path):
    (tmp_path / 'both.py').write_text(
        'from itertools import islice\n'
        'from torch.distributed import barrier, get_rank, init_process_group\n'
        'from facesr.data.loader import NumberedSampler\n'
        "init_process_group('gloo')\n"
        'sampler = NumberedSampler(range(5), seed=3)\n'
        'sampler.start = 1\n'
        "keys = [f'{key.image} {key.number}' for key in islice(sampler, 6)]\n"
        "open(f'{get_rank()}.txt', 'w').write('\\n'.join(keys))\n"
        'barrier()\n'  # rank 0 holds what rank 1 still needs to join
    )
    joined = {**os.environ, 'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1'}
    joined['MASTER_PORT'] = free_port()
    processes = {
        tmp_path / f'errors_{rank}': warm.start(
            ['both.py'],
            tmp_path,
            stderr=tmp_path / f'errors_{rank}',
            environment={**joined, 'RANK': rank},
        )
        for rank in '01'
    }
    for errors, process in processes.items():
        process.join(timeout=60)
        assert process.exitcode == 0, errors.read_text()
    lines = [(tmp_path / f'{rank}.txt').read_text().split('\n') for rank in (0, 1)]
    drawn = [f'{key.image} {key.number}' for key in draw(14)[2:]]
    assert [line for pair in zip(*lines, strict=True) for line in pair] == drawn


class Draws:
    """A user's data set, which draws from the global generators."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[float, ...]:
        return index, np.random.rand(), random.random(), torch.rand(1).item()


def test_what_a_data_set_draws_depends_only_on_seed_and_number():
    dataset = SeededDataset(Draws())
    keys = [SampleKey(0, 3, 7), SampleKey(0, 3, 8), SampleKey(0, 4, 7)]
    np.random.seed(0), random.seed(0), torch.manual_seed(0)
    samples = [dataset[key] for key in keys]
    after = np.random.rand(), random.random(), torch.rand(1).item()
    assert [dataset[key] for key in keys] == samples
    for numbers in zip(*(sample[1:] for sample in samples), strict=True):
        assert len(set(numbers)) == 3
    np.random.seed(0), random.seed(0), torch.manual_seed(0)
    assert (np.random.rand(), random.random(), torch.rand(1).item()) == after
    assert len(dataset) == 5
