import pytest
from conftest import TINY, TINY_GAN

from benchmarks.training import PARTS, STOCK_HOOKS, as_stock, format_parts, time_training
from facesr.config import load_config

FAST = ['optim_wrapper.type=Bf16OptimWrapper', 'optim_wrapper.optimizer.fused=True']
CROP = 'train_dataloader.dataset.gt_patch_size=128'


@pytest.mark.parametrize(('path', 'options'), [(TINY, FAST), (TINY_GAN, [CROP])])
def test_both_ways_train_and_their_parts_make_the_whole(path, options, tiny_options: list[str]):
    config = load_config(path, [*tiny_options, *options, 'train_cfg.max_iters=1000'])
    results = time_training(config, rounds=2, iterations=1)
    for parts in results['seconds'].values():
        assert tuple(parts) == PARTS
        for turn in zip(*parts.values(), strict=True):
            assert all(seconds > 0 for seconds in turn)
            assert sum(turn[:-1]) == pytest.approx(turn[-1])
    # Three times the forward pass, of the tiny net: 2 * 9 * (3*8 + 5*8*8) a pixel, and more.
    assert results['flops'] > 3 * 2 * 9 * (3 * 8 + 5 * 8 * 8) * 2 * 32**2
    table = format_parts(results)
    assert [line.split()[0] for line in table.splitlines()[1:8]] == list(PARTS)
    assert 'stock: 1,000 iterations in ' in table and 'ours: 1,000 iterations in ' in table


def test_stock_is_float32_in_the_loader():
    stock = as_stock(load_config(TINY, FAST))
    assert stock.optim_wrapper.type == 'OptimWrapper'
    assert 'fused' not in stock.optim_wrapper.optimizer
    assert stock.train_dataloader.dataset.degrade_on == 'loader'
    assert stock.train_dataloader.dataset.cache_dir is None
    assert {name: hook.type for name, hook in stock.default_hooks.items()} == STOCK_HOOKS
