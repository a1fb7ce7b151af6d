"""Configs: read from their files, overridden from the command line, their keys and values checked.

MMEngine ignores a misspelt key at the top of a config, or in a dictionary without a ``type``, and
meets a wrong value when something is built from it, or in a later iteration.
"""

import ast
import inspect
import math
import re
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    'convert_to_iter_based',  # schedules
    'constructor',  # optimiser wrappers
    'paramwise_cfg',
}


def _is_whole(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any, least: float = 0) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= least


def _are(items: Any, test: Callable[[Any], bool]) -> bool:
    return isinstance(items, list | tuple) and bool(items) and all(map(test, items))


def _one_of(*values: Any) -> tuple[str, Callable[[Any], bool]]:
    *first, last = map(repr, values)
    return f'{", ".join(first)} or {last}', lambda value: value in values


#: What a value may be, in words and as a test, by a regular expression of its place in a config.
ALLOWED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    r'train_cfg\.(max_iters|val_interval|val_begin)|\w+_dataloader\.dataset\.gt_patch_size'
    r'|default_hooks\.(?!checkpoint\.)\w+\.(interval|history)'
    r'|log_processor\.window_size'
    r'|optim_wrapper\.(.*\.)?(accumulative_counts|steps)'
    r'|param_scheduler\.(.*\.)?(end|T_max|step_size|total_iters)'
    r'|model\.(generator|discriminator)\.(\w+_channels|num_\w+|upscale_factor)'
    r'|model\.train_cfg\.(disc_steps|disc_repeat)'
    r'|.*\.degradation\.(gt_size|lq_size|kernel_size)|\w+_dataloader\.dataset\.size\.\w+': (
        'a whole number, at least 1',
        _is_whole,
    ),
    r'param_scheduler\.(.*\.)?begin|model\.train_cfg\.disc_init_steps': (
        'a whole number, at least 0',
        lambda value: _is_whole(value, 0),
    ),
    # More fill the memory before the first iteration.
    r'\w+_dataloader\.num_workers': (
        'a whole number from 0 to 256',
        lambda value: _is_whole(value, 0) and value <= 256,
    ),
    r'\w+_dataloader\.batch_size': (
        'a whole number from 1 to 8192',
        lambda value: _is_whole(value) and value <= 8192,
    ),
    r'.*\.crop_border': (
        'a whole number from 0 to 255',
        lambda value: _is_whole(value, 0) and value <= 255,
    ),
    r'.*\.metrics\.(.*\.)?prefix': (
        'a text, or None',
        lambda value: value is None or isinstance(value, str),
    ),
    r'(randomness|\w+_dataloader\.sampler)\.seed': (
        'a whole number from 0 to 4294967295, or None',
        lambda value: value is None or (_is_whole(value, 0) and value < 2**32),
    ),
    r'\w+_dataloader\.prefetch_factor': (
        'a whole number from 1 to 64, or None',
        lambda value: value is None or (_is_whole(value) and value <= 64),
    ),
    r'default_hooks\.\w+\.parameter_limit': (
        'a whole number, at least 1, or None',
        lambda value: value is None or _is_whole(value),
    ),
    r'default_hooks(\.(checkpoint|timer|runtime_info|logger|param_scheduler|summary|stop))?': (
        'no less than the hooks that every run needs',
        lambda value: isinstance(value, Mapping),
    ),
    r'model(\.(generator|discriminator|data_preprocessor))?|optim_wrapper|train_cfg'
    r'|env_cfg(\.\w+_cfg)?|randomness|log_processor|visualizer|(val|test)_evaluator\.metrics\.\d+'
    r'|\w+_dataloader\.(dataset|sampler|collate_fn|worker_init_fn)'
    r'|\w+_dataloader\.dataset\.(degradation|data_prefix)|param_scheduler\.\d+': (
        'settings, KEY=VALUE',
        lambda value: isinstance(value, Mapping),
    ),
    r'\w+_dataloader\.dataset\.(size|augmentation)': (
        'settings, KEY=VALUE, or None',
        lambda value: value is None or isinstance(value, Mapping),
    ),
    r'custom_hooks': ('a list of hooks', lambda value: value is None or isinstance(value, list)),
    # A resume looks for the checkpoints in the work directory, by their names.
    r'default_hooks\.checkpoint\.(out_dir|filename_tmpl)': (
        'no entry',
        lambda value: value is None,
    ),
    r'val_evaluator\.metrics': ('at least one metric', bool),
    r'default_hooks\.checkpoint\.by_epoch': ('False', lambda value: value is False),
    r'optim_wrapper\.(.*\.)?clip_grad\.(max_norm|clip_value)': (
        'a number above 0',
        lambda value: _is_number(value) and value > 0,
    ),
    r'\w+_dataloader\.timeout': ('a number, at least 0', _is_number),
    r'default_hooks\.checkpoint\.interval': (
        'a whole number, at least 1, or -1 for only the last',
        lambda value: value == -1 or _is_whole(value),
    ),
    r'default_hooks\.checkpoint\.max_keep_ckpts': (
        'a whole number, at least 1, or -1 for all',
        lambda value: value == -1 or _is_whole(value),
    ),
    r'default_hooks\.checkpoint\.rule': _one_of('greater', 'less', None),
    r'env_cfg\.mp_cfg\.mp_start_method': _one_of('fork', 'spawn', 'forkserver'),
    r'model\.gan_loss\.gan_type': _one_of('vanilla', 'lsgan', 'smgan', 'wgan', 'hinge', 'l1'),
    r'\w+_dataloader\.dataset\.cache_dir': (
        'a folder, or None',
        lambda value: value is None or (isinstance(value, str) and bool(value)),
    ),
    r'.*\.(degradation\.(blur_sigma|resize_scale|noise_sigma|jpeg_quality)'
    r'|augmentation\.(zoom|gamma))': (
        'two numbers, the least first',
        lambda value: _are(value, _is_number) and len(value) == 2 and value[0] <= value[1],
    ),
    r'default_hooks\.checkpoint\.save_best': (
        "a score's name, or None",
        lambda value: value is None or isinstance(value, str),
    ),
    r'\w+_dataloader\.dataset\.indices': (
        'how many images, at least 1, or a list of their numbers from 0',
        lambda value: value is None or _is_whole(value) or _are(value, lambda i: _is_whole(i, 0)),
    ),
    r'optim_wrapper\.(.*\.)?eps': (
        'a number above 0',
        lambda value: _is_number(value) and value > 0,
    ),
    r'optim_wrapper\.(.*\.)?(lr|adam_lr|weight_decay)|param_scheduler\.(.*\.)?eta_min'
    r'|.*\.augmentation\.(angle|shift)': (
        'a number, at least 0',
        _is_number,
    ),
    r'model\.\w+\.loss_weight': ('a number', lambda value: _is_number(value, -math.inf)),
    r'.*\.(flip_ratio|isotropic_prob)|default_hooks\.ema\.decay': (
        'a number from 0 to 1',
        lambda value: _is_number(value) and value <= 1,
    ),
    r'optim_wrapper\.(.*\.)?betas': (
        'two numbers from 0 to below 1',
        lambda value: _are(value, lambda beta: _is_number(beta) and beta < 1) and len(value) == 2,
    ),
    r'param_scheduler\.(.*\.)?periods': (
        'a list of whole numbers, at least 1',
        lambda value: _are(value, _is_whole),
    ),
    r'param_scheduler\.(.*\.)?(milestones|restart_weights)': (
        'a list of numbers, at least 0',
        lambda value: _are(value, _is_number),
    ),
    r'(.*\.)?(by_epoch|tf32|persistent_workers|pin_memory|drop_last|shuffle|channels_last'
    r'|cudnn_benchmark|save_optimizer|save_last|deterministic|resume)': (
        'True or False',
        lambda value: isinstance(value, bool),
    ),
    r'load_from': (
        'a file, or None',
        lambda value: value is None or (isinstance(value, str) and bool(value)),
    ),
    r'.*\.degradation\.resize_methods': (
        'a list of texts',
        lambda value: _are(value, lambda method: isinstance(method, str)),
    ),
    r'model\.data_preprocessor\.mean': ('a list of numbers', lambda value: _are(value, _is_number)),
    r'model\.data_preprocessor\.std': (
        'a list of numbers above 0',
        lambda value: _are(value, lambda one: _is_number(one) and one > 0),
    ),
    r'model\.\w+\.(channels|(encoder|decoder)_blocks)': (
        'a list of whole numbers, at least 1',
        lambda value: _are(value, _is_whole),
    ),
    r'work_dir|launcher|default_scope|\w+_dataloader\.dataset\.data_root': (
        'a text',
        lambda value: isinstance(value, str) and bool(value),
    ),
    r'log_level': _one_of('DEBUG', 'INFO', 'WARNING', 'ERROR'),
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
            of another type than the file's, or outside of :data:`ALLOWED`.
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
    """Check that something takes every key of a config, and its values by :data:`ALLOWED`.

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
    for name in ('train', 'val'):
        parts = {f'{name}_{part}' for part in ('dataloader', 'cfg', 'evaluator')}
        unset = {part for part in parts if config.get(part) is None} - {'train_evaluator'}
        if unset and unset != parts & config.keys():
            left = ' and '.join(sorted(parts & config.keys() - unset))
            raise UserError(f'config: {min(unset)}=None, but {left} are set; all of them, or none')
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
        component = node['type'] if callable(node['type']) else None
        if isinstance(node['type'], str):
            component = node['type']
            found = (registry.get(component) for registry in _registries())
            component = next((one for one in found if one is not None), None)
        if component is None and not isinstance(node['type'], str):
            yield f"{place}.type={node['type']!r}: a component's name expected"
            return
        if component is None:
            known = {name for registry in _registries() for name in registry.module_dict}
            remedy = 'another component of MMagic is imported in facesr/components.py'
            yield f'{place}: {unknown(node["type"], known, "type")} ({remedy})'
            return
        allowed = _accepted(component)
    elif place == 'default_hooks':
        for name, hook in node.items():
            if hook is not None and 'type' not in hook:
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
