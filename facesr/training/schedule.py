"""Schedules: made shorter or longer in the same shape, and when a validation is due."""

from collections.abc import Collection
from itertools import accumulate, pairwise
from typing import Any

from mmengine.config import Config

from ..config import entry
from ..errors import UserError


def scale_schedule(config: Config, iterations: int, chosen: Collection[str] = ()) -> None:
    """Make a config train ``iterations`` iterations, with its schedule scaled to them, in place.

    Scaled are ``train_cfg``'s ``max_iters``, ``val_interval`` and ``val_begin``, the intervals of
    log lines and checkpoints, and where every scheduler begins, ends and changes; of one that
    changes in every iteration by a factor, the factor. Momentum and the decay of averaged weights
    stay, and so do those that were ``chosen``: entries of the config, such as
    ``train_cfg.val_interval``. A UserError where a scheduler counts no iterations.
    """
    former: int = config.train_cfg.max_iters
    if iterations < 1:
        raise UserError(f'--iterations {iterations}: at least 1 expected')

    def scale(count: int, least: int = 1) -> int:
        return max(least, round(count * iterations / former))

    config.train_cfg.max_iters = iterations
    for place, key in (
        ('train_cfg', 'val_interval'),
        ('train_cfg', 'val_begin'),
        ('default_hooks.checkpoint', 'interval'),
        ('default_hooks.logger', 'interval'),
    ):
        part = entry(config, place)
        if part and part.get(key, 0) > 0 and f'{place}.{key}' not in chosen:
            part[key] = scale(part[key])
    for scheduler in _list_schedulers(config.get('param_scheduler')):
        begin, end, kind = scheduler.get('begin', 0), scheduler.get('end'), str(scheduler.type)
        if kind.startswith('ReduceOnPlateau'):
            raise UserError(
                f'--iterations {iterations}: {kind} changes with a score, not at an iteration; set '
                'train_cfg.max_iters instead'
            )
        for key in ('begin', 'end', 'T_max', 'step_size', 'total_iters', 'total_steps'):
            if isinstance(scheduler.get(key), int):
                scheduler[key] = scale(scheduler[key], least=0 if key == 'begin' else 1)
        if kind.startswith('Exponential'):
            scheduler.gamma **= former / iterations
        if 'milestones' in scheduler:
            scheduler.milestones = [scale(milestone, least=0) for milestone in scheduler.milestones]
        if 'periods' in scheduler:
            # Scale where cycles meet: their rounded lengths could add up to a gap before the end.
            joints = [scale(at, least=0) for at in accumulate(scheduler.periods, initial=begin)]
            scheduler.periods = [max(1, after - before) for before, after in pairwise(joints)]
        if isinstance(end, int) and scheduler.end <= scheduler.get('begin', 0):
            raise UserError(
                f'--iterations {iterations}: too few for {scheduler.type} from {begin} to {end} '
                f'of {former}'
            )


def _list_schedulers(part: Any) -> list[Any]:
    """The schedulers of one optimiser, or of several by name."""
    if isinstance(part, dict) and 'type' in part:
        return [part]
    parts = part.values() if isinstance(part, dict) else part or []
    return [scheduler for one in parts for scheduler in _list_schedulers(one)]


def is_validation_due(iteration: int, last: int, interval: int, begin: int = 1) -> bool:
    """Whether there is a validation after an iteration, counted from 1.

    There is one every ``interval`` iterations and one after the last, none before ``begin``.
    """
    return iteration >= max(begin, 1) and (iteration == last or iteration % interval == 0)


def count_validations(iteration: int, last: int, interval: int, begin: int = 1) -> int:
    """Count the validations of :func:`is_validation_due` from an iteration to the last."""
    regular = last // interval - max(iteration - 1, begin - 1) // interval
    return max(regular, 0) + (last % interval != 0 and last >= begin)
