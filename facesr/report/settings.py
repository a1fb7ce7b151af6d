"""A run's settings in words: from its config, and from what its log tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from .logs import Run


def describe_settings(run: Run) -> dict[str, str]:
    """What a run was, by heading; what neither config nor log tells is left out."""
    settings = {
        'config': run.config_name,
        'generator': call(_entry(run, 'model.generator')),
        'trainable parameters': run.facts.get('generator', '').partition(', ')[2],
        'discriminator': call(_entry(run, 'model.discriminator')),
    }
    model = _entry(run, 'model') or {}
    for name, part in model.items():
        if name.endswith('_loss') and part:
            settings[name.replace('_', ' ')] = call(part)
    if _entry(run, 'model.perceptual_loss'):
        settings['VGG weights'] = str(_entry(run, 'model.perceptual_loss.pretrained'))
    optim = _entry(run, 'optim_wrapper') or {}
    for name, wrapper in {'': optim, **optim}.items():
        if isinstance(wrapper, Mapping) and 'optimizer' in wrapper:
            heading = f'optimiser of the {name}' if name else 'optimiser'
            precision = '' if wrapper.get('type') in (None, 'OptimWrapper') else wrapper['type']
            settings[heading] = ', '.join(filter(None, [call(wrapper['optimizer']), precision]))
    schedule = _entry(run, 'param_scheduler') or []
    schedule = [schedule] if isinstance(schedule, Mapping) else schedule
    settings |= {
        'schedule': '\n'.join(call(part) for part in schedule if isinstance(part, Mapping)),
        'batch size': _text(_entry(run, 'train_dataloader.batch_size')),
        'iterations': _iterations(run),
        'seed': _text(_entry(run, 'randomness.seed')),
        'training data': _data(run, 'train'),
        'validation data': _data(run, 'val'),
        'device': run.facts.get('device', ''),
        'time': _time(run),
        'GPU memory': f'{max(run.training["memory"].values()):,.0f} MiB at the most'
        if run.training.get('memory')
        else '',
        'starts': f'{run.starts} (resumed; the parts are joined)' if run.starts > 1 else '',
        'work directory': str(run.folder),
    }
    return {heading: text for heading, text in settings.items() if text}


def call(node: Any) -> str:
    """A config's dictionary as a call: ``Adam(lr=0.0001, betas=(0.9, 0.999))``."""
    if isinstance(node, Mapping) and 'type' in node:
        arguments = [f'{key}={call(value)}' for key, value in node.items() if key != 'type']
        name = node['type']
        name = name if isinstance(name, str) else getattr(name, '__name__', str(name))
        return f'{name}({", ".join(arguments)})'
    return '' if node is None else repr(node)


def border(run: Run, metric: str) -> str:
    """Which pixels a validation score leaves out, in words to put after its name."""
    for part in _dictionaries(_entry(run, 'val_evaluator')):
        if part.get('type') in (metric, f'Batch{metric}') and part.get('crop_border'):
            return f', without a border of {part["crop_border"]} pixels'
    return ''


def _dictionaries(node: Any) -> Iterator[dict[str, Any]]:
    """All dictionaries in an entry: MMagic takes evaluators and metrics bare and in lists."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    for item in node if isinstance(node, list | tuple) else ():
        yield from _dictionaries(item)


def has_random_vgg(run: Run) -> bool:
    """Whether the perceptual loss was measured with a net that never saw an image."""
    return bool(_entry(run, 'model.perceptual_loss.pretrained') == 'random')


def _entry(run: Run, place: str) -> Any:
    node: Any = run.config
    for key in place.split('.'):
        if not isinstance(node, Mapping):
            return None
        node = node.get(key)
    return node


def _text(value: Any) -> str:
    return '' if value is None else str(value)


def _iterations(run: Run) -> str:
    planned = _entry(run, 'train_cfg.max_iters')
    return f'{run.last_step:,}' + (f' of {planned:,} (as far as logged)' if planned else '')


def _data(run: Run, split: str) -> str:
    root = _entry(run, f'{split}_dataloader.dataset.data_root')
    prefixes = _entry(run, f'{split}_dataloader.dataset.data_prefix') or {}
    places = f'{root}: {", ".join(map(str, prefixes.values()))}' if root else ''
    amount = run.facts.get('training' if split == 'train' else 'validation', '')
    return ' | '.join(filter(None, [places, amount.partition(', iter')[0]]))


def _time(run: Run) -> str:
    seconds, waiting = (list(run.training.get(key, {}).values()) for key in ('time', 'data_time'))
    if not seconds:
        return ''
    share = f', {sum(waiting) / sum(seconds):.1%} of it waiting for data' if waiting else ''
    return f'{median(seconds):.3g} s an iteration{share}'
