"""A work directory's logs and config, read back: every start's part joined into one curve."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from mmengine.config import Config

from ..errors import UserError

#: Logged values by iteration, ascending.
Curve = dict[int, float]

_NO_CURVES = frozenset({'step', 'iter', 'epoch'})
_SUMMARY = re.compile(r'^ *(device|generator|training|validation)  (.+)$', re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What a work directory tells of its run.

    Attributes:
        folder: the work directory, absolute.
        name: what the run is called in the pictures.
        config_name: stem of the dumped config, ``srresnet_24b``; empty if there is none.
        config: the config as plain dictionaries; empty if there is none.
        config_text: the dumped file.
        training: by logged name, such as ``loss``, ``lr``, ``time`` (seconds an iteration).
        validation: by logged name, such as ``PSNR`` (dB) and ``ema/PSNR``.
        facts: the summary in the console's log, by its headings; empty where it was not written.
        starts: how often the run was started or resumed and lived to log something.
    """

    folder: Path
    name: str
    config_name: str
    config: dict[str, Any]
    config_text: str
    training: dict[str, Curve]
    validation: dict[str, Curve]
    facts: dict[str, str]
    starts: int

    @property
    def last_step(self) -> int:
        """The last iteration that anything was logged of."""
        curves = (*self.training.values(), *self.validation.values())
        return max(max(curve) for curve in curves)


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read work directories, each once, under names that tell them apart.

    Raises:
        UserError: see :func:`read_run`.
    """
    paths = list(dict.fromkeys(folder.resolve() for folder in folders))
    return [read_run(path, _short_name(path, paths)) for path in paths]


def read_run(folder: Path, name: str) -> Run:
    """Read a work directory's logs and config.

    Raises:
        UserError: the folder is missing, or nothing was logged in it.
    """
    if not folder.is_dir():
        raise UserError(f'{folder}: no such folder; a work directory of tools/train.py is expected')
    parts = []
    for path in sorted(folder.glob('*/vis_data/scalars.json')):  # their names are times
        lines = _read_lines(path)
        if lines:
            parts.append((path.parents[1], lines))
    if not parts:
        raise UserError(f'{folder}: nothing logged in it (no */vis_data/scalars.json with a line)')
    training, validation = _join(lines for _, lines in parts)
    facts: dict[str, str] = {}
    for start, _ in parts:
        for log in start.glob('*.log'):
            facts |= dict(_SUMMARY.findall(log.read_text('utf-8', errors='replace')))
    config_name, config, text = _read_config(folder, parts[-1][0] / 'vis_data/config.py')
    return Run(
        folder, name, config_name, config, text, training, validation, facts, starts=len(parts)
    )


def _short_name(path: Path, paths: Sequence[Path]) -> str:
    """The folder's name, with as many of those above it as no other path shares."""
    depth = 1
    while [other.parts[-depth:] for other in paths].count(path.parts[-depth:]) > 1:
        depth += 1
    return '/'.join(path.parts[-depth:])


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a ``scalars.json`` that are whole: a killed run's last one may not be."""
    lines = []
    for text in path.read_text('utf-8', errors='replace').splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        # A score before any training (step 0) belongs to no curve.
        if isinstance(line, dict) and isinstance(line.get('step'), int) and line['step'] > 0:
            lines.append(line)
    return lines


def _join(
    parts: Iterable[list[dict[str, Any]]],
) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """Join the starts of one run: a later one replaces the earlier from its own first step on."""
    joined: list[dict[str, Any]] = []
    for part in parts:
        first = min(line['step'] for line in part)
        # At the first step itself only what is logged again is replaced, below.
        joined = [line for line in joined if line['step'] <= first] + part
    training: dict[str, Curve] = {}
    validation: dict[str, Curve] = {}
    for line in sorted(joined, key=lambda line: line['step']):
        trained = any('loss' in key for key in line)
        for key, value in line.items():
            if key not in _NO_CURVES and isinstance(value, int | float):
                curves = training if trained else validation
                curves.setdefault(key, {})[line['step']] = float(value)
    return training, validation


def _read_config(folder: Path, fallback: Path) -> tuple[str, dict[str, Any], str]:
    """Name, content and text of the config that the last start dumped."""
    dumped = sorted(folder.glob('*.py'), key=lambda path: path.stat().st_mtime)
    path = dumped[-1] if dumped else fallback
    try:
        config = Config.fromfile(str(path), import_custom_modules=False).to_dict()
        text = path.read_text('utf-8')
    except Exception:  # not there, or cut off; it is a program: it can fail in any way
        return '', {}, ''
    return (path.stem if dumped else ''), config, text


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
