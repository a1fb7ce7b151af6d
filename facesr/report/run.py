"""A run read back from its work directory: curves, config, and the facts that it reported."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ..config import as_list, entry, losses_of, parse_config
from ..errors import UserError

#: Logged values by iteration, ascending.
Curve = dict[int, float]

_NO_CURVES = frozenset({'step', 'iter', 'epoch'})


@dataclass(frozen=True)
class Run:
    """What a work directory holds of its run."""

    folder: Path  # the work directory, absolute
    name: str  # what the run is called in the pictures
    config_name: str  # stem of the dumped config, srresnet_24b; empty if there is none
    config: dict[str, Any]  # plain dictionaries; empty if there is none
    config_text: str  # the dumped file
    training: dict[str, Curve]  # by logged name: loss, lr, time (seconds an iteration)
    validation: dict[str, Curve]  # by logged name: PSNR (dB), ema/PSNR
    facts: dict[str, Any]  # run.json, which RunSummaryHook writes; any key may be missing
    starts: int  # how often the run was started or resumed and then logged something

    @property
    def last_step(self) -> int:
        """The last iteration with anything logged."""
        return max(max(curve) for curve in (*self.training.values(), *self.validation.values()))

    @property
    def has_random_vgg(self) -> bool:
        """Whether the VGG of the perceptual loss was never trained on images."""
        return bool(self.entry('model.perceptual_loss.pretrained') == 'random')

    def entry(self, path: str) -> Any:
        """An entry of the config, such as ``model.generator``; None if there is none."""
        return entry(self.config, path)


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read work directories with :func:`read_run`, each once, under names that differ."""
    paths = list(dict.fromkeys(folder.resolve() for folder in folders))
    return [read_run(path, _short_name(path, paths)) for path in paths]


def read_run(folder: Path, name: str) -> Run:
    """Read a work directory, the logs of all its starts joined; a UserError if there are none."""
    if not folder.is_dir():
        raise UserError(f'{folder}: no such folder; a work directory of tools/train.py is expected')
    starts = []
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        if path.is_file() and (lines := _read_lines(path)):  # a named pipe would be waited for
            starts.append((path.parent, lines, _read_facts(path.parents[1] / 'run.json')))
    if not starts:
        raise UserError(f'{folder}: nothing logged in it (no */vis_data/scalars.json with a line)')
    # Not by their folders' names, which are times: a clock can be set back.
    starts.sort(key=lambda start: (start[2].get('start', 0), start[1][0]['step']))
    facts = {key: value for _, _, facts in starts for key, value in facts.items()}
    config = _read_config(folder, starts[-1][0] / 'config.py')
    return Run(folder, name, *config, *_join(lines for _, lines, _ in starts), facts, len(starts))


def describe_settings(run: Run) -> dict[str, str]:
    """List a run's settings by heading; a setting that was not found is left out."""
    model, facts = run.entry('model') or {}, run.facts
    limit = _text(run.entry('default_hooks.summary.parameter_limit'), ' (fewer than {:,} allowed)')
    settings = {
        'config': run.config_name,
        'generator': as_call(model.get('generator')),
        'trainable parameters': _text(facts.get('parameters'), '{:,}' + limit),
        'discriminator': as_call(model.get('discriminator')),
    }
    for name, part in losses_of(model).items():
        settings[f'{name.removesuffix("_loss")} loss'] = as_call(part)
    if model.get('perceptual_loss'):
        settings['VGG weights'] = str(run.entry('model.perceptual_loss.pretrained'))
    optim = run.entry('optim_wrapper') or {}
    for name, wrapper in {'': optim, **optim}.items():
        if isinstance(wrapper, Mapping) and 'optimizer' in wrapper:
            heading = f'optimiser of the {name}' if name else 'optimiser'
            kind = '' if wrapper.get('type') in (None, 'OptimWrapper') else wrapper['type']
            settings[heading] = ', '.join(filter(None, [as_call(wrapper['optimizer']), kind]))
    schedule = run.entry('param_scheduler') or []
    schedule = [schedule] if isinstance(schedule, Mapping) else schedule
    batch_size = facts.get('batch_size', run.entry('train_dataloader.batch_size'))
    processes = facts.get('processes', 1)
    share = f' on each of {processes} processes' if processes > 1 else ''
    interval = _text(run.entry('train_cfg.val_interval'), ' every {:,} iterations')
    planned = _text(run.entry('train_cfg.max_iters'), ' of {:,} (as far as logged)')
    memory = run.training.get('memory')
    settings |= {
        'schedule': '\n'.join(as_call(part) for part in schedule if isinstance(part, Mapping)),
        'batch size': _text(batch_size, '{}' + share),
        'iterations': f'{run.last_step:,}{planned}',
        'seed': _text(run.entry('randomness.seed')),
        'training data': _data(run, 'train', facts.get('training_images')),
        'validation data': _data(run, 'val', facts.get('validation_images'), interval),
        'device': facts.get('device', ''),
        'time': _time(run),
        'peak memory': f'{max(memory.values()):,.0f} MiB' if memory else '',
        'starts': f'{run.starts} (resumed; the parts are joined)' if run.starts > 1 else '',
        'work directory': str(run.folder),
    }
    return {heading: text for heading, text in settings.items() if text}


def as_call(node: Any) -> str:
    """Write a config's dictionary as a call: ``Adam(lr=0.0001, betas=(0.9, 0.999))``."""
    if isinstance(node, Mapping) and 'type' in node:
        arguments = [f'{key}={as_call(value)}' for key, value in node.items() if key != 'type']
        name = getattr(node['type'], '__name__', node['type'])
        return f'{name}({", ".join(arguments)})'
    return '' if node is None else repr(node)


def border_note(run: Run, metric: str) -> str:
    """Which border a validation score leaves out, to put after its name; empty if none."""
    evaluators = as_list(run.entry('val_evaluator'))
    metrics = [part for each in evaluators for part in as_list(entry(each, 'metrics'))]
    for part in metrics:
        if part.get('type') in (metric, f'Batch{metric}') and part.get('crop_border'):
            return f', without a border of {part["crop_border"]} pixels'
    return ''


def _data(run: Run, split: str, images: int | None, interval: str = '') -> str:
    parts = []
    for loader in as_list(run.entry(f'{split}_dataloader')):
        root, folders = entry(loader, 'dataset.data_root'), entry(loader, 'dataset.data_prefix')
        if root:
            named = filter(None, (folders or {}).values())
            parts.append(f'{root}: {", ".join(map(str, named))}')
    return ' | '.join(filter(None, [*parts, _text(images, '{:,} images' + interval)]))


def _time(run: Run) -> str:
    seconds, waiting = (list(run.training.get(key, {}).values()) for key in ('time', 'data_time'))
    if not seconds:
        return ''
    share = f', {sum(waiting) / sum(seconds):.1%} of it waiting for data' if waiting else ''
    return f'{median(seconds):.3g} s an iteration{share}'


def _text(value: Any, template: str = '{}') -> str:
    return '' if value is None else template.format(value)


def _short_name(path: Path, paths: Sequence[Path]) -> str:
    """The folder's name, with as many of its parents as tell it apart from other paths."""
    depth = 1
    while [other.parts[-depth:] for other in paths].count(path.parts[-depth:]) > 1:
        depth += 1
    return '/'.join(path.parts[-depth:])


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a ``scalars.json``: the last one of a killed run may be cut off."""
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


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text('utf-8') if path.is_file() else '{}')
    except (OSError, ValueError):  # missing or cut off
        return {}
    return facts if isinstance(facts, dict) else {}


def _join(starts: Iterable[list[dict[str, Any]]]) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """Join a run's starts, each of which replaces the former ones from its own first step."""
    joined: list[dict[str, Any]] = []
    for lines in starts:
        first = min(line['step'] for line in lines)
        # Of the first step itself, only what is logged again is replaced, below.
        joined = [line for line in joined if line['step'] <= first] + lines
    training: dict[str, Curve] = {}
    validation: dict[str, Curve] = {}
    for line in sorted(joined, key=lambda line: line['step']):
        curves = training if any('loss' in key for key in line) else validation
        for key, value in line.items():
            if key in _NO_CURVES or not isinstance(value, int | float):
                continue
            if curves is training or not math.isnan(value):  # LPIPS without its weights
                curves.setdefault(key, {})[line['step']] = float(value)
    return training, validation


def _read_config(folder: Path, fallback: Path) -> tuple[str, dict[str, Any], str]:
    """Name, content and text of the config that the last start dumped; nothing in it is run."""
    found = [path for path in folder.glob('*.py') if path.is_file()]
    dumped = sorted(found, key=lambda path: path.stat().st_mtime)
    path = dumped[-1] if dumped else fallback
    try:
        text = path.read_text('utf-8') if path.is_file() else ''
    except (OSError, ValueError):
        return '', {}, ''
    config = parse_config(text)
    return (path.stem if dumped else '', config, text) if config else ('', {}, '')
