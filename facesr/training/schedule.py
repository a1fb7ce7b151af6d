"""A config's schedule made shorter or longer: the same shape in another number of iterations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from mmengine.config import Config

from ..errors import UserError

#: Schedulers' options that count iterations, whatever the scheduler.
_COUNTS = ('T_max', 'step_size', 'total_iters')


def scale_schedule(config: Config, iterations: int) -> None:
    """Have a config train ``iterations`` iterations, with its schedule scaled alike, in place.

    Scaled are ``train_cfg``'s ``max_iters`` and ``val_interval``, the intervals at which logs and
    checkpoints are written, and every scheduler's places and lengths. A rate's own course (a
    momentum, a decay of averaged weights, ``gamma``) is left as it is.

    Args:
        config: of a run by iterations.
        iterations: how many to train, at least 1.

    Raises:
        UserError: the number is not positive, or a scheduler counts epochs.
    """
    former: int = config.train_cfg.max_iters
    if iterations < 1:
        raise UserError(f'--iterations {iterations}: at least 1 expected')

    def scale(count: int) -> int:
        return round(count * iterations / former)

    def shorten(interval: int) -> int:
        return max(1, scale(interval))

    config.train_cfg.max_iters = iterations
    if 'val_interval' in config.train_cfg:
        config.train_cfg.val_interval = shorten(config.train_cfg.val_interval)
    for name in ('checkpoint', 'logger'):
        hook = config.default_hooks.get(name)
        if hook and hook.get('interval', 0) > 0:
            hook.interval = shorten(hook.interval)
    for scheduler in _schedulers(config.get('param_scheduler')):
        if scheduler.get('by_epoch', True):
            raise UserError(
                f'--iterations {iterations}: {scheduler.type} counts epochs; set by_epoch=False'
            )
        begin, end = scheduler.get('begin', 0), scheduler.get('end')
        for key in ('begin', 'end', *_COUNTS):
            if isinstance(scheduler.get(key), int):
                least = 0 if key == 'begin' else 1
                scheduler[key] = max(least, scale(scheduler[key]))
        if 'milestones' in scheduler:
            scheduler.milestones = [scale(milestone) for milestone in scheduler.milestones]
        if 'periods' in scheduler:
            scheduler.periods = _scale_periods(scheduler.periods, begin, scale)
        if isinstance(end, int) and scheduler.end <= scheduler.get('begin', 0):
            raise UserError(
                f'--iterations {iterations}: too few for {scheduler.type} from {begin} to {end} '
                f'of {former}'
            )


def _schedulers(schedulers: Any) -> list[Any]:
    """The schedulers of one optimiser, or of several by name."""
    if not schedulers:
        return []
    if isinstance(schedulers, list):
        return schedulers
    if 'type' in schedulers:
        return [schedulers]
    return [scheduler for part in schedulers.values() for scheduler in _schedulers(part)]


def _scale_periods(periods: list[int], begin: int, scale: Callable[[int], int]) -> list[int]:
    """Scale where the cycles meet, so that rounding never adds up to a gap before the end."""
    places = [begin]
    for period in periods:
        places.append(places[-1] + period)
    scaled = [after - before for before, after in pairwise(map(scale, places))]
    return [max(1, period) for period in scaled]
