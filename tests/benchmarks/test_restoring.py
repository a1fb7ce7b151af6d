from pathlib import Path

import pytest
from conftest import TINY

from benchmarks.restoring import time_folder
from facesr.config import load_config
from facesr.errors import UserError


def test_every_way_restores_the_same(tiny_options: list[str], tiny_checkpoint: Path):
    config = load_config(TINY, tiny_options)
    figures = time_folder(config, 2, 1, 'cpu', str(tiny_checkpoint))
    taken = figures['seconds'].values()
    assert len(taken) == 4 and all(len(seconds) == 1 for seconds in taken)
    assert figures['agreement']['worst'] <= 1


def test_a_device_that_computes_nothing(tiny_options: list[str]):
    with pytest.raises(UserError, match='meta: computes nothing; take cuda or cpu'):
        time_folder(load_config(TINY, tiny_options), 2, 1, 'meta')
