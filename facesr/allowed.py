"""What each value of a config may be; :mod:`.config` checks it before anything is built."""

import math
from collections.abc import Callable, Mapping
from typing import Any


def _is_whole(value: Any, least: int = 1, most: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: Any, least: float = 0) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= least


def _are(items: Any, test: Callable[[Any], bool]) -> bool:
    return isinstance(items, list | tuple) and bool(items) and all(map(test, items))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_settings(value: Any) -> bool:
    return isinstance(value, Mapping)


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
        lambda value: _is_whole(value, 0, 256),
    ),
    r'\w+_dataloader\.batch_size': (
        'a whole number from 1 to 8192',
        lambda value: _is_whole(value, 1, 8192),
    ),
    r'.*\.crop_border': (
        'a whole number from 0 to 255',
        lambda value: _is_whole(value, 0, 255),
    ),
    r'.*\.metrics\.(.*\.)?prefix': (
        'a text, or None',
        lambda value: value is None or isinstance(value, str),
    ),
    r'\w+_dataloader\.sampler\.seed': (
        'no entry (randomness.seed is for all)',
        lambda value: value is None,
    ),
    r'randomness\.seed': (
        'a whole number from 0 to 4294967295, or None',
        lambda value: value is None or _is_whole(value, 0, 2**32 - 1),
    ),
    r'\w+_dataloader\.prefetch_factor': (
        'a whole number from 1 to 64, or None',
        lambda value: value is None or _is_whole(value, 1, 64),
    ),
    r'default_hooks\.\w+\.parameter_limit': (
        'a whole number, at least 1, or None',
        lambda value: value is None or _is_whole(value),
    ),
    r'default_hooks(\.(checkpoint|timer|runtime_info|logger|param_scheduler|summary|stop))?': (
        'no less than the hooks that every run needs',
        _is_settings,
    ),
    r'model(\.(generator|discriminator|data_preprocessor))?|optim_wrapper|train_cfg'
    r'|env_cfg(\.\w+_cfg)?|randomness|log_processor|visualizer|(val|test)_evaluator\.metrics\.\d+'
    r'|\w+_dataloader\.(dataset|sampler|collate_fn|worker_init_fn)'
    r'|\w+_dataloader\.dataset\.(degradation|data_prefix)|param_scheduler\.\d+': (
        'settings, KEY=VALUE',
        _is_settings,
    ),
    r'\w+_dataloader\.dataset\.(size|augmentation)': (
        'settings, KEY=VALUE, or None',
        lambda value: value is None or _is_settings(value),
    ),
    r'custom_hooks': ('a list of hooks', lambda value: value is None or isinstance(value, list)),
    # A resume looks for the checkpoints in the work directory, by their names.
    r'default_hooks\.checkpoint\.(out_dir|filename_tmpl)': (
        'no entry',
        lambda value: value is None,
    ),
    r'val_evaluator\.metrics': ('at least one metric', bool),
    r'default_hooks\.checkpoint\.by_epoch': ('False', lambda value: value is False),
    r'optim_wrapper\.(.*\.)?(eps|clip_grad\.(max_norm|clip_value))': (
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
    # MMagic's Evaluator does not work with MMEngine's ValLoop.
    r'val_cfg\.type': ("'MultiValLoop'", lambda value: value == 'MultiValLoop'),
    r'default_hooks\.checkpoint\.rule': _one_of('greater', 'less', None),
    r'env_cfg\.mp_cfg\.mp_start_method': _one_of('fork', 'spawn', 'forkserver'),
    r'model\.gan_loss\.gan_type': _one_of('vanilla', 'lsgan', 'smgan', 'wgan', 'hinge', 'l1'),
    r'\w+_dataloader\.dataset\.cache_dir': (
        'a folder, or None',
        lambda value: value is None or _is_text(value),
    ),
    r'.*\.(degradation\.(blur_sigma|resize_scale|noise_sigma|jpeg_quality)'
    r'|augmentation\.(zoom|gamma|tint))': (
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
    r'optim_wrapper\.(.*\.)?(lr|adam_lr|weight_decay)|.*\.augmentation\.(angle|shift|warp)'
    r'|param_scheduler\.(.*\.)?(eta_min|gamma|(start_|end_)?factor)': (
        'a number, at least 0',
        _is_number,
    ),
    r'model\.\w+\.loss_weight': ('a number', lambda value: _is_number(value, -math.inf)),
    r'.*\.(flip_ratio|isotropic_prob|augmentation\.mix)|default_hooks\.ema\.decay': (
        'a number from 0 to 1',
        lambda value: _is_number(value) and value <= 1,
    ),
    r'optim_wrapper\.(.*\.)?betas': (
        'two numbers from 0 to below 1',
        lambda value: _are(value, lambda beta: _is_number(beta) and beta < 1) and len(value) == 2,
    ),
    r'param_scheduler\.(.*\.)?periods|model\.\w+\.(channels|(encoder|decoder)_blocks)': (
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
        lambda value: value is None or _is_text(value),
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
    r'work_dir|launcher|default_scope|\w+_dataloader\.dataset\.data_root': (
        'a text',
        _is_text,
    ),
    r'log_level': _one_of('DEBUG', 'INFO', 'WARNING', 'ERROR'),
}
