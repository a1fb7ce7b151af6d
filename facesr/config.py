"""Configs: read from their files, overridden from the command line, their keys and values checked.

MMEngine ignores a misspelt key at the top of a config, or in a dictionary without a ``type``, and
meets a wrong value when something is built from it, or in a later iteration.
"""

import ast
import inspect
import re
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import mmagic.registry
from mmengine.config import Config, DictAction
from mmengine.hooks import CheckpointHook
from mmengine.registry import FUNCTIONS, Registry
from mmengine.runner import Runner, set_random_seed
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader

from .allowed import ALLOWED
from .degradation.augment import Augmentation
from .degradation.settings import DegradationSettings
from .errors import UserError

RUNNER_KEYS = frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'} | {
    # read from the config beside its arguments
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'sync_bn',
}

# Dictionaries that MMEngine reads without a `type`, by their place in the config.
_DATALOADER_KEYS = frozenset(inspect.signature(DataLoader.__init__).parameters) - {'self'} | {
    'num_batch_per_epoch',
    'diff_rank_seed',
    'disable_subprocess_warning',
}
_UNTYPED_KEYS: dict[str, frozenset[str]] = {
    'train_dataloader': _DATALOADER_KEYS,
    'val_dataloader': _DATALOADER_KEYS,
    'test_dataloader': _DATALOADER_KEYS,
    'custom_imports': frozenset({'imports', 'allow_failed_imports'}),
    'env_cfg': frozenset({'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'}),
    'env_cfg.mp_cfg': frozenset({'mp_start_method', 'opencv_num_threads'}),
    'randomness': frozenset(inspect.signature(set_random_seed).parameters),
    'auto_scale_lr': frozenset({'base_batch_size', 'enable'}),
    'train_dataloader.dataset.degradation': frozenset(
        inspect.signature(DegradationSettings).parameters
    ),
    'train_dataloader.dataset.augmentation': frozenset(inspect.signature(Augmentation).parameters),
    'model.train_cfg': frozenset({'disc_steps', 'disc_repeat', 'disc_init_steps'}),  # SRGAN's
}
_CLIP_KEYS = frozenset(
    {'type'}.union(
        *(inspect.signature(clip).parameters for clip in (clip_grad_norm_, clip_grad_value_))
    )
    - {'parameters'}
)
# The wrappers that MMagic's MultiOptimWrapperConstructor makes.
_NETS = frozenset({'constructor', 'generator', 'discriminator'})
# Dictionaries whose `type` is no registry's, or whose keys go elsewhere.
_UNCHECKED = frozenset({'init_cfg', 'norm_cfg', 'paramwise_cfg', 'compile'})
# Keys that MMEngine's builders remove before the class sees them.
_BUILDER_KEYS = {
    'type',
    '_scope_',
    'priority',  # hooks
    'constructor',  # optimiser wrappers
    'paramwise_cfg',
}


#: What a value of the command line must be, by the type of the one that it replaces.
_KINDS: tuple[tuple[Any, str], ...] = (
    (bool, 'True or False'),
    (str, 'a text'),
    (int | float, 'a number'),
    (list | tuple, 'a list'),
    (Mapping, 'KEY.SUBKEY=VALUE'),
)


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a config file, apply ``key=value`` overrides, and check every key and value in it.

    Args:
        path: a Python config file.
        overrides: as after ``--cfg-options``: ``optim_wrapper.optimizer.lr=2e-4``.

    Returns:
        The config; ``work_dir`` is ``work_dirs/<the file's name>`` unless the file itself sets it.
        Loaders without processes keep none.

    Raises:
        UserError: the file cannot be read, a key is unknown (it names the nearest), or a value is
            of another type than the file's, or outside of :data:`.allowed.ALLOWED`.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise UserError(f'{path}: no such config')
        config = Config.fromfile(str(path))
    except SyntaxError as error:  # here, or in a file that this one builds on
        place = path if _is_broken(path) else f'a base of {path}'
        raise UserError(f'{place}, line {error.lineno}: {error.msg}') from error
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # a config is a program: it can fail in any way
        raise UserError(f'{path}: {type(error).__name__}: {error}') from error
    if not re.search(r'^work_dir\s*=', path.read_text(encoding='utf-8'), re.MULTILINE):
        config.work_dir = f'work_dirs/{path.stem}'  # not where the base's runs are
    for key, value in parse_overrides(overrides).items():
        top = key.partition('.')[0]
        if top not in RUNNER_KEYS:
            raise UserError(f'--cfg-options {key}: {unknown(top, RUNNER_KEYS)}')
        former, expected = entry(config, key), _kind(entry(config, key))
        if None not in (former, value) and expected and _kind(value) != expected:
            raise UserError(
                f'--cfg-options {key}={value!r}: {expected} expected, as in {path} ({former!r})'
            )
        try:
            config.merge_from_dict({key: value})
        except (AttributeError, KeyError, TypeError, IndexError, AssertionError) as error:
            raise UserError(f'--cfg-options {key}: there is no such place in {path}') from error
    check_config(config)
    hooks = config.get('default_hooks', {})
    for name in [name for name in hooks if hooks[name] is None and name != 'sampler_seed']:
        del hooks[name]  # MMEngine leaves out only its own
    for loader in (config.get(f'{name}_dataloader') for name in ('train', 'val', 'test')):
        if isinstance(loader, dict) and loader.get('num_workers') == 0:
            loader['persistent_workers'] = False  # PyTorch refuses both
            loader.pop('prefetch_factor', None)
    return config


def entry(config: Any, place: str) -> Any:
    """An entry of a config, such as ``model.generator``; None if there is none."""
    for key in place.split('.'):
        if isinstance(config, list | tuple) and key.isdecimal() and int(key) < len(config):
            config = config[int(key)]
        else:
            config = config.get(key) if isinstance(config, Mapping | Config) else None
    return config


def leaves(node: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """The values of a config by their places; helper variables at its top are left out."""
    items: Any = ()
    if isinstance(node, Mapping | Config):
        items = node.items()
    elif isinstance(node, list | tuple) and any(isinstance(item, Mapping) for item in node):
        items = enumerate(node)
    if not items:
        yield place, node
    for key, item in items:
        if place or key in RUNNER_KEYS:
            yield from leaves(item, f'{place}.{key}' if place else str(key))


def _kind(value: Any) -> str | None:
    return next((words for kind, words in _KINDS if isinstance(value, kind)), None)


def parse_config(text: str) -> dict[str, Any] | None:
    """Read a config that MMEngine has dumped as data: nothing in it is run.

    Returns:
        What it assigns, by name; None where there is anything but
        ``name = value``, with constants, lists, tuples and dictionaries.
    """
    try:
        return {node.targets[0].id: _value(node.value) for node in ast.parse(text).body}  # type: ignore[attr-defined]
    except (AttributeError, RecursionError, SyntaxError, TypeError, ValueError):
        return None


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id='dict'), args=args, keywords=keywords):
            items = {word.arg: _value(word.value) for word in keywords}
            return {**(_value(args[0]) if args else {}), **items}
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return {ast.literal_eval(key or ''): _value(item) for key, item in pairs}
        case ast.List(elts=elts):
            return [_value(item) for item in elts]
        case ast.Tuple(elts=elts):
            return tuple(_value(item) for item in elts)
        case ast.Name(id='inf' | 'nan'):
            return float(node.id)
        case _:
            return ast.literal_eval(node)


def parse_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """Parse ``key=value`` strings with MMEngine's own rules (numbers, lists, tuples, booleans)."""
    overrides = list(overrides)
    for override in overrides:
        if not override.partition('=')[0] or '=' not in override:
            raise UserError(f'--cfg-options {override}: KEY=VALUE expected')
    if not overrides:
        return {}
    parser = ArgumentParser()
    parser.add_argument('--options', nargs='+', action=DictAction)
    try:
        options: dict[str, Any] = parser.parse_args(['--options', *overrides]).options
    except (AssertionError, ValueError) as error:
        raise UserError(f'--cfg-options: {error}') from error
    return options


def _is_broken(path: Path) -> bool:
    try:
        ast.parse(path.read_text(encoding='utf-8'))
    except SyntaxError:
        return True
    return False


def check_config(config: Mapping[str, Any]) -> None:
    """Check that something takes every key of a config, and its values by :data:`.allowed.ALLOWED`.

    At the top a config may hold variables of its own, but none that looks like a misspelt key of
    MMEngine's ``Runner``.

    Raises:
        UserError: the first unknown key, and the nearest valid one; or the first value that cannot
            be, and what is allowed.
    """
    for key, value in config.items():
        if callable(value):
            raise UserError(f'config: {key} is no value; a config holds numbers, texts and dicts')
        if key in RUNNER_KEYS or re.sub(r'_?\d+$', '', key) in RUNNER_KEYS:
            continue
        if get_close_matches(key, RUNNER_KEYS, 1, cutoff=0.85):
            raise UserError(f'config: {unknown(key, RUNNER_KEYS)}')
    for problem in _problems({key: config[key] for key in config if key in RUNNER_KEYS}, ''):
        raise UserError(f'config: {problem}')
    for parts in (
        ('train_dataloader', 'train_cfg'),
        ('val_dataloader', 'val_cfg', 'val_evaluator'),
    ):
        unset = [part for part in parts if config.get(part) is None]
        if 0 < len(unset) < len(parts):
            left = ' and '.join(sorted({*parts} - {*unset}))
            raise UserError(f'config: {unset[0]}=None, but {left} set; all of them, or none')
    if isinstance(config.get('val_dataloader'), list | tuple):
        raise UserError('config: val_dataloader: one data loader expected, not a list')
    metrics = entry(config, 'val_evaluator.metrics') or ()
    names = [(one.get('type'), one.get('prefix')) for one in metrics if isinstance(one, Mapping)]
    for kind, prefix in names:
        if names.count((kind, prefix)) > 1:
            raise UserError(f'config: val_evaluator.metrics: two {kind}; give one a prefix')
    for place, value in leaves(config):
        for pattern, (words, is_allowed) in ALLOWED.items():
            if re.fullmatch(pattern, place) and not is_allowed(value):
                comma = ',' * (',' in words)
                raise UserError(f'config: {place}={value!r}: {words}{comma} expected')


def _problems(node: Any, place: str) -> Iterator[str]:
    if isinstance(node, list | tuple):
        for index, item in enumerate(node):
            yield from _problems(item, f'{place}.{index}')
        return
    if not isinstance(node, Mapping):
        return
    if place.endswith('.clip_grad'):  # its type is no component's
        yield from (f'{place}: {unknown(key, _CLIP_KEYS)}' for key in node if key not in _CLIP_KEYS)
        return
    allowed = _UNTYPED_KEYS.get(re.sub(r'\.\d+$', '', place))
    if place == 'optim_wrapper' and node.get('constructor') == 'MultiOptimWrapperConstructor':
        allowed = _NETS
    if 'type' in node:
        component = node['type']
        if isinstance(component, str):
            found = (registry.get(component) for registry in _registries())
            component = next((one for one in found if one is not None), None)
        elif not callable(component):
            yield f"{place}.type={component!r}: a component's name expected"
            return
        if component is None:
            known = {name for registry in _registries() for name in registry.module_dict}
            remedy = 'another component of MMagic is imported in facesr/components.py'
            yield f'{place}: {unknown(node["type"], known, "type")} ({remedy})'
            return
        allowed = _accepted(component)
        if place.startswith('param_scheduler') and node.get('by_epoch', True):
            yield f'{place}: {node["type"]} counts epochs; set by_epoch=False'
    elif place == 'default_hooks':
        for name, hook in node.items():
            if hook is not None and not (isinstance(hook, Mapping) and 'type' in hook):
                names = unknown(name, node.keys() - {name}, 'hook')
                yield f'{place}: {names} (a new hook needs a type)'
    if allowed is not None:
        for key in node:
            if key not in allowed and not (key in _BUILDER_KEYS and 'type' in node):
                yield f'{place}: {unknown(key, allowed, taker=node.get("type"))}'
    for key, value in node.items():
        if key in _UNCHECKED:
            continue
        yield from _problems(value, f'{place}.{key}' if place else key)


def _registries() -> list[Registry]:
    # MMagic's, which fall back to MMEngine's. DIFFUSION_SCHEDULERS would import diffusers.
    registries = [
        registry
        for name, registry in vars(mmagic.registry).items()
        if isinstance(registry, Registry)
        and not name.startswith('MMENGINE_')
        and name != 'DIFFUSION_SCHEDULERS'
    ]
    return [*registries, FUNCTIONS]


def _accepted(component: Any) -> frozenset[str] | None:
    """The keyword arguments that a class or function takes; None where it takes any."""
    if not inspect.isclass(component):
        parameters = inspect.signature(component).parameters.values()
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return None
        return frozenset(parameter.name for parameter in parameters)
    names: set[str] = set()
    chain = [vars(base)['__init__'] for base in component.__mro__[:-1] if '__init__' in vars(base)]
    if issubclass(component, CheckpointHook):
        chain.append(Runner.save_checkpoint)  # gets its other arguments
    for function in chain:
        parameters = inspect.signature(function).parameters.values()
        names |= {parameter.name for parameter in parameters} - {'self'}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return frozenset(names)
    return None if names else frozenset()


def unknown(key: str, known: Iterable[str], kind: str = 'key', taker: str | None = None) -> str:
    """Say that a name is unknown, and which known one is nearest."""
    nearest = get_close_matches(key, sorted(known), 1, cutoff=0.5)
    hint = f'; did you mean {nearest[0]!r}?' if nearest else ''
    by = f'{taker} takes no such {kind}' if isinstance(taker, str) else f'unknown {kind}'
    return f'{by}: {key!r}{hint}'
