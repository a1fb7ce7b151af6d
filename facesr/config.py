"""Configs: read from their files, overridden from the command line, and checked.

MMEngine ignores a misspelt key at the top of a config, or in a dictionary without a ``type``, and
takes some values that fail hours later. All others are refused by the component that takes them,
when it is built from the config.
"""

import ast
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import mmagic.registry
from mmengine.config import Config, DictAction
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper
from mmengine.registry import FUNCTIONS, Registry
from mmengine.runner import Runner, set_random_seed
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader

from .degradation.augment import Augmentation
from .degradation.second_order import PassSettings
from .errors import UserError


def _arguments(function: Callable[..., Any]) -> Set[str]:
    return inspect.signature(function).parameters.keys() - {'self'}


RUNNER_KEYS = _arguments(Runner.__init__) - {'cfg'} | {
    # read from the config beside its arguments
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'sync_bn',
}

_DATALOADER_KEYS = _arguments(DataLoader.__init__) | {
    'num_batch_per_epoch',
    'diff_rank_seed',
    'disable_subprocess_warning',
}
#: The keys of dictionaries without a ``type``, by their place in the config.
_UNTYPED_KEYS: dict[str, Set[str]] = {
    'train_dataloader': _DATALOADER_KEYS,
    'val_dataloader': _DATALOADER_KEYS,
    'test_dataloader': _DATALOADER_KEYS,
    'custom_imports': {'imports', 'allow_failed_imports'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'env_cfg.mp_cfg': {'mp_start_method', 'opencv_num_threads'},
    'randomness': _arguments(set_random_seed),
    'auto_scale_lr': {'base_batch_size', 'enable'},
    'train_dataloader.dataset.augmentation': _arguments(Augmentation),
    'train_dataloader.dataset.degradation.first_pass': _arguments(PassSettings),
    'train_dataloader.dataset.degradation.second_pass': _arguments(PassSettings),
    'model.train_cfg': {'disc_steps', 'disc_repeat', 'disc_init_steps'},  # SRGAN's
    # Also of the nets that MMagic's MultiOptimWrapperConstructor makes a wrapper for.
    'optim_wrapper': _arguments(OptimWrapper.__init__)
    | {'constructor', 'paramwise_cfg', 'generator', 'discriminator'},
}
_CLIP_KEYS = {'type'} | _arguments(clip_grad_norm_) | _arguments(clip_grad_value_)
# Dictionaries whose `type` is no registry's, or whose keys go elsewhere.
_UNCHECKED = {'init_cfg', 'norm_cfg', 'paramwise_cfg', 'compile'}
# Keys that MMEngine's builders of hooks and optimiser wrappers take out before the class sees them.
_BUILDER_KEYS = {'type', '_scope_', 'priority', 'constructor', 'paramwise_cfg'}


def _whole(least: int, most: float = math.inf) -> tuple[str, Callable[[Any], bool]]:
    span = f', at least {least},' if most == math.inf else f' from {least} to {most}'
    return f'a whole number{span} expected', lambda value: _is_whole(value, least, most)


def _is_whole(value: Any, least: int, most: float = math.inf) -> bool:
    return isinstance(value, int) and least <= value <= most


def _one_of(words: str, *values: Any) -> tuple[str, Callable[[Any], bool]]:
    return words, values.__contains__


#: Values that MMEngine takes in silence, meets hours later, or refuses without a name: what they
#: must be, in words and as a test, by a regular expression of their place in a config.
ALLOWED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    r'train_cfg\.(max_iters|val_interval|val_begin)': _whole(1),
    r'\w+_dataloader\.(\d+\.)?num_workers': _whole(0, 256),  # more fill the memory
    r'\w+_dataloader\.(\d+\.)?batch_size': _whole(1, 8192),
    r'\w+_dataloader\.sampler\.seed': _one_of('leave it out; randomness.seed is for all', None),
    r'val_cfg\.type': _one_of(
        "'MultiValLoop' expected, the only one that works with MMagic's Evaluator", 'MultiValLoop'
    ),
    r'default_hooks(\.(checkpoint|timer|runtime_info|logger|param_scheduler|summary|stop))?': (
        'every run needs it',
        lambda value: value is not None,
    ),
    r'default_hooks\.checkpoint\.(interval|max_keep_ckpts)': (
        'a whole number, at least 1, or -1 expected',
        lambda value: value == -1 or _is_whole(value, 1),
    ),
    r'default_hooks\.checkpoint\.by_epoch': _one_of(
        'False expected; a run counts iterations', False
    ),
    r'default_hooks\.checkpoint\.(out_dir|filename_tmpl)': _one_of(
        'leave it out; a resume looks for checkpoints in the work directory, by their names', None
    ),
    r'optim_wrapper\.(\w+\.)?clip_grad\.(max_norm|clip_value)': (
        'a number above 0 expected',
        lambda value: isinstance(value, int | float) and value > 0,
    ),
    r'param_scheduler\.(.*\.)?(gamma|eta_min)': (
        'a number, at least 0, expected',
        lambda value: isinstance(value, int | float) and value >= 0,
    ),
    r'log_level': _one_of(
        "'DEBUG', 'INFO', 'WARNING' or 'ERROR' expected", 'DEBUG', 'INFO', 'WARNING', 'ERROR'
    ),
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
    """Read a Python config file, put in the values after ``--cfg-options``, and check it.

    Modules beside the file can be imported: ``custom_imports = dict(imports=['my_net'])``.
    ``work_dir`` is ``work_dirs/<the file's name>`` unless the file itself, not a base, sets it.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'{path}: no such config')
    if (folder := str(path.absolute().parent)) not in sys.path:
        sys.path.append(folder)
    try:
        config = Config.fromfile(str(path))
    except ImportError as error:  # MMEngine's is many lines; the two below it are what is wrong
        reasons: list[BaseException] = [error]
        while reason := reasons[-1].__cause__ or reasons[-1].__context__:
            reasons.append(reason)
        raise UserError(f'{path}: {": ".join(map(str, reasons[-2:]))}') from error
    except SyntaxError as error:
        raise UserError(f'{path}, or a base of it, line {error.lineno}: {error.msg}') from error
    except (Exception, SystemExit) as error:  # a config is a program: it can fail in any way
        raise UserError(f'{path}: {type(error).__name__}: {error}') from error
    if not re.search(r'^work_dir\s*=', path.read_text(encoding='utf-8'), re.MULTILINE):
        config.work_dir = f'work_dirs/{path.stem}'
    for key, value in parse_overrides(overrides).items():
        top, former = key.partition('.')[0], entry(config, key)
        if top not in RUNNER_KEYS:
            raise UserError(f'--cfg-options {key}: {unknown(top, RUNNER_KEYS)}')
        if None not in (former, value) and _kind(value) != _kind(former):
            raise UserError(
                f'--cfg-options {key}={value!r}: {_kind(former)} expected, as in {path} '
                f'({former!r})'
            )
        try:
            config.merge_from_dict({key: value})
        except (AttributeError, KeyError, TypeError, IndexError, AssertionError) as error:
            raise UserError(f'--cfg-options {key}: there is no such place in {path}') from error
    if isinstance(config.get('train_cfg'), Mapping):
        _take_loop(config.train_cfg)
    check_config(config)
    hooks = config.get('default_hooks', {})
    for name in [name for name in hooks if hooks[name] is None and name != 'sampler_seed']:
        del hooks[name]  # MMEngine leaves out only its own
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for loader in as_list(config.get(name)):
            if isinstance(loader, dict) and loader.get('num_workers') == 0:
                loader['persistent_workers'] = False  # PyTorch refuses both without processes
                loader.pop('prefetch_factor', None)
    return config


def _take_loop(settings: dict[str, Any]) -> None:
    """Take our loop where MMEngine's that counts iterations is asked for; it loses no run."""
    by_epoch = settings.pop('by_epoch', 'max_epochs' in settings)
    kind = settings.setdefault('type', 'IterBasedTrainLoop')
    if by_epoch or kind == 'EpochBasedTrainLoop':
        raise UserError(
            'config: train_cfg counts epochs, a run counts iterations: train_cfg=dict('
            "_delete_=True, type='ResumableTrainLoop', max_iters=..., val_interval=...)"
        )
    if kind == 'IterBasedTrainLoop':
        settings['type'] = 'ResumableTrainLoop'
    bases = getattr(_find_component(settings['type'], 'train_cfg'), '__mro__', ())
    if 'ResumableTrainLoop' not in {base.__name__ for base in bases}:
        raise UserError(
            f'config: train_cfg.type={kind}: a run in it could not be stopped and resumed; derive '
            'it from facesr.training.loop.ResumableTrainLoop'
        )


def entry(config: Any, place: str) -> Any:
    """An entry of a config, such as ``model.generator``; None if there is none."""
    for key in place.split('.'):
        if isinstance(config, list | tuple) and key.isdecimal() and int(key) < len(config):
            config = config[int(key)]
        else:
            config = config.get(key) if isinstance(config, Mapping | Config) else None
    return config


def as_list(value: Any) -> list[Any]:
    """A config's value that may be one, several of them or None, as a list."""
    return [*value] if isinstance(value, list | tuple) else [] if value is None else [value]


def losses_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """The losses of a config's ``model`` by their names there."""
    parts = {name: part for name, part in model.items() if name.endswith('_loss') and part}
    return dict(model.get('losses') or parts)


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
    """Read a config that MMEngine has dumped: nothing in it is run.

    It is None where there is anything but ``name = value``, of constants, lists, tuples and
    dictionaries.
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
    options = {}
    for override in overrides:
        key, sign, value = override.partition('=')
        if not (key and sign):
            raise UserError(f'--cfg-options {override}: KEY=VALUE expected')
        try:
            options[key] = DictAction._parse_iterable(value)
        except AssertionError as error:
            raise UserError(f'--cfg-options {override}: {error}') from error
    return options


def check_config(config: Mapping[str, Any]) -> None:
    """Check that something takes every key of a config, and its values by :data:`ALLOWED`.

    At the top a config may hold variables of its own, but none that looks like a misspelt key of
    MMEngine's ``Runner``.
    """
    for key, value in config.items():
        if callable(value):
            raise UserError(f'config: {key} is no value; a config holds numbers, texts and dicts')
        if key in RUNNER_KEYS:
            _check_keys(value, key)
        elif re.sub(r'_?\d+$', '', key) not in RUNNER_KEYS and get_close_matches(
            key, RUNNER_KEYS, 1, cutoff=0.85
        ):
            raise UserError(f'config: {unknown(key, RUNNER_KEYS)}')
    hooks = config.get('default_hooks') or {}
    for name, hook in hooks.items():
        if hook is not None and entry(hook, 'type') is None:
            problem = unknown(name, hooks.keys() - {name}, 'hook')
            raise UserError(f'config: default_hooks: {problem} (a new hook needs a type)')
    for parts in ['train_dataloader', 'train_cfg'], ['val_dataloader', 'val_cfg', 'val_evaluator']:
        unset = [part for part in parts if config.get(part) is None]
        if 0 < len(unset) < len(parts):
            left = ' and '.join(part for part in parts if part not in unset)
            raise UserError(f'config: {unset[0]}=None, but {left} set; all of them, or none')
    for place, value in leaves(config):
        for pattern, (words, is_allowed) in ALLOWED.items():
            if re.fullmatch(pattern, place) and not is_allowed(value):
                raise UserError(f'config: {place}={value!r}: {words}')
    sets, evaluators = as_list(config.get('val_dataloader')), as_list(config.get('val_evaluator'))
    if any('metrics' not in part for part in evaluators if isinstance(part, Mapping)):
        evaluators = [evaluators]  # MMagic takes a list of metrics for an evaluator
    evaluators = [dict(metrics=part) if isinstance(part, list) else part for part in evaluators]
    if len(sets) != len(evaluators):
        raise UserError(
            f'config: {len(sets)} of val_dataloader, {len(evaluators)} of val_evaluator; each '
            "set needs its own, with its name as its metrics' prefix, and save_best='NAME/PSNR'"
        )
    metrics = [metric for evaluator in evaluators for metric in as_list(evaluator.get('metrics'))]
    names = [(metric.get('type'), metric.get('prefix')) for metric in metrics]
    for name in names:
        if names.count(name) > 1:  # MMEngine would say so after the validation
            raise UserError(f'config: val_evaluator: two {name[0]}; give one a prefix')


def _check_keys(node: Any, place: str) -> None:
    """Refuse a key that nothing takes, and an unknown component, here and in all parts."""
    if isinstance(node, list | tuple):
        node = dict(enumerate(node))
    elif isinstance(node, Mapping):
        allowed, kind = _allowed_keys(node, place), node.get('type')
        for key in node:
            if allowed is not None and key not in allowed:
                raise UserError(f'config: {place}: {unknown(key, allowed, taker=kind)}')
        by_epoch = node.get('by_epoch', True) and not str(kind).startswith('ReduceOnPlateau')
        if kind and place.startswith('param_scheduler') and by_epoch:
            raise UserError(f'config: {place}: {kind} counts epochs; set by_epoch=False')
    else:
        return
    for key, part in node.items():
        if key not in _UNCHECKED:
            _check_keys(part, f'{place}.{key}')


def _allowed_keys(node: Mapping[str, Any], place: str) -> Set[str] | None:
    """The keys that a dictionary may have; None where it may have any."""
    if place.endswith('.clip_grad'):  # its type is no component's
        return _CLIP_KEYS
    if 'type' not in node:
        return _UNTYPED_KEYS.get(re.sub(r'\.\d+$', '', place))
    return _accepted(_find_component(node['type'], place))


def _find_component(kind: Any, place: str) -> Any:
    """What a ``type`` names; a class or function is itself."""
    if callable(kind):
        return kind
    name = str(kind)
    # MMagic's registries fall back to MMEngine's. DIFFUSION_SCHEDULERS would import diffusers.
    registries = [FUNCTIONS] + [
        registry
        for name, registry in vars(mmagic.registry).items()
        if isinstance(registry, Registry) and not name.startswith(('MMENGINE_', 'DIFFUSION_'))
    ]
    for registry in registries:  # get() would also try to import the name from many places
        for near in filter(None, (registry, registry.parent)):
            if name in near.module_dict:
                return near.module_dict[name]
    for registry in registries:
        if (component := registry.get(name)) is not None:
            return component
    known = {name for registry in registries for name in registry.module_dict}
    remedy = 'another component of MMagic is imported in facesr/__init__.py'
    raise UserError(f'config: {place}: {unknown(name, known, "type")} ({remedy})')


def _accepted(component: Any) -> Set[str] | None:
    """The keys that a class or function takes in a config; None where it takes any."""
    functions = [component]
    if inspect.isclass(component):
        functions = [vars(base).get('__init__') for base in component.__mro__[:-1]]
        if issubclass(component, CheckpointHook):
            functions.append(Runner.save_checkpoint)  # gets its other arguments
    names = _BUILDER_KEYS.copy()
    for function in filter(None, functions):
        names |= _arguments(function)
        parameters = inspect.signature(function).parameters.values()
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return names
    return names if names == _BUILDER_KEYS else None  # without any __init__ it takes nothing


def unknown(key: str, known: Iterable[str], kind: str = 'key', taker: str | None = None) -> str:
    """Say that a name is unknown, and which known one is nearest."""
    nearest = get_close_matches(key, sorted(known), 1, cutoff=0.5)
    hint = f'; did you mean {nearest[0]!r}?' if nearest else ''
    by = f'{taker} takes no such {kind}' if isinstance(taker, str) else f'unknown {kind}'
    return f'{by}: {key!r}{hint}'
