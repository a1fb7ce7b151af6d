import pytest
from conftest import ROOT, learning_rates
from mmengine.config import Config

from facesr.config import load_config
from facesr.errors import UserError
from facesr.training.schedule import count_validations, is_validation_due, scale_schedule

CONFIGS = ROOT / 'configs'


def test_published_schedule_in_150_iterations():
    config = load_config(CONFIGS / 'srresnet_24b.py', ['train_cfg.val_begin=100000'])
    scale_schedule(config, 150)
    assert config.train_cfg.val_begin == 100
    assert config.train_cfg.max_iters == 150
    assert config.train_cfg.val_interval == 5
    rates = learning_rates(config)
    # Five cycles: halfway the mean of top and bottom, then a restart.
    for begin in (0, 30, 60, 90):
        assert rates[begin] == pytest.approx(1e-4)
        assert rates[begin + 15] == pytest.approx((1e-4 + 1e-7) / 2)
    assert rates[120] == pytest.approx(1e-5)
    assert rates[135] == pytest.approx((1e-5 + 1e-9) / 2)
    assert rates[149] < 1e-7


def test_cycles_meet_where_they_did_however_the_number_divides():
    config = load_config(CONFIGS / 'srresnet_24b.py')
    scale_schedule(config, 157)
    first, last = config.param_scheduler
    assert sum(first.periods) == first.end == last.begin == 126
    assert sum(last.periods) == last.end - last.begin == 31
    assert learning_rates(config)[126] == pytest.approx(1e-5)


def test_intervals_of_the_command_line_stay():
    config = load_config(CONFIGS / 'srresnet_24b.py')
    scale_schedule(config, 3000, {'train_cfg.val_interval', 'default_hooks.logger.interval'})
    assert config.train_cfg.val_interval == 5000
    assert config.default_hooks.logger.interval == 100
    assert config.default_hooks.checkpoint.interval == 100, 'scaled'


def test_warm_up_stable_and_decay():
    config = load_config(CONFIGS / 'srresnet_24b_plus.py')
    scale_schedule(config, 3000)
    rates = learning_rates(config)
    full = config.optim_wrapper.optimizer.lr
    assert rates[0] == pytest.approx(0.02 * full)
    assert rates[10] == rates[1000] == rates[2250] == pytest.approx(full)
    assert rates[2625] == pytest.approx(full / 2, rel=0.01)
    assert rates[2999] < 0.005 * full


def test_each_optimiser_of_a_gan():
    config = load_config(CONFIGS / 'srgan_26b.py')
    config.param_scheduler = dict(
        generator=config.param_scheduler,
        discriminator=dict(type='StepLR', by_epoch=False, step_size=20_000),
    )
    scale_schedule(config, 4000)
    assert config.param_scheduler.generator[0].milestones == [500, 1000, 2000, 3000]
    assert config.param_scheduler.discriminator.step_size == 2000


def test_other_schedulers_keep_their_shape():
    parts = [
        dict(type='OneCycleLR', by_epoch=False, eta_max=1e-3, total_steps=1000, end=1000),
        dict(type='ExponentialLR', by_epoch=False, gamma=0.99),
    ]
    config = Config(dict(train_cfg=dict(max_iters=1000), default_hooks={}, param_scheduler=parts))
    scale_schedule(config, 100)
    assert (config.param_scheduler[0].total_steps, config.param_scheduler[0].end) == (100, 100)
    assert config.param_scheduler[1].gamma == pytest.approx(0.99**10)
    config.param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='PSNR')]
    with pytest.raises(UserError, match=r'--iterations 5: ReduceOnPlateauLR changes with a score'):
        scale_schedule(config, 5)


def test_refused():
    late = dict(type='CosineAnnealingLR', by_epoch=False, begin=900, end=1000, T_max=100)
    train_cfg = dict(max_iters=1000)
    config = Config(dict(train_cfg=train_cfg, default_hooks=dict(), param_scheduler=[late]))
    with pytest.raises(UserError, match='--iterations 0: at least 1 expected'):
        scale_schedule(config, 0)
    with pytest.raises(UserError, match='too few for CosineAnnealingLR from 900 to 1000 of 1000'):
        scale_schedule(config, 4)


@pytest.mark.parametrize('last', [9, 10])
@pytest.mark.parametrize('begin', [1, 5, 9, 10, 11])
def test_validations_are_counted_as_they_are_due(last: int, begin: int):
    for first in range(1, last + 1):
        due = [is_validation_due(now, last, 2, begin) for now in range(first, last + 1)]
        assert count_validations(first, last, 2, begin) == sum(due)
