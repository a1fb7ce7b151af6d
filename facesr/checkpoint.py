"""Checkpoints of tensors and plain values: found, read weights-only, loaded strictly."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_state_dict
from torch import Tensor, nn

from .errors import UserError

#: The checkpoint with the best validation score, in every work directory.
BEST = 'best.pth'

# What a stock MMEngine checkpoint pickles besides tensors and plain values: its message hub.
# Inert classes stand in for these names, so that nothing in the file is run.
_STOCK_NAMES = re.compile(
    r'mmengine\.logging\.(history_buffer\.HistoryBuffer|message_hub\.MessageHub)'
    r'|builtins\.(getattr|range)'
    r'|numpy\.(ndarray|dtype|dtypes\.(Float64|Int64)DType)'
    r'|numpy\._?core\.multiarray\.(_reconstruct|scalar)'
)


class _Inert:
    """Stands in for a class that is not loaded: accepts anything, and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...

    def __hash__(self) -> int:
        return id(self)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint file weights-only, onto the CPU: no code in it is run.

    A bare state dict is wrapped as ``{'state_dict': ...}``. A stock MMEngine checkpoint pickles
    other objects too; only its ``state_dict`` is read.
    """
    path = Path(path)
    stock = False
    try:
        if not path.is_file():
            raise UserError(f'{path}: no such checkpoint')
        if is_zipfile(path) and (altered := ZipFile(path).testzip()):  # PyTorch does not look
            raise BadZipFile(f'{altered} is not what was written')
        foreign = set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
        unknown = sorted(name for name in foreign if not _STOCK_NAMES.fullmatch(name))
        if unknown:
            raise UserError(
                f'{path}: refused, it holds more than weights ({unknown[0]}); '
                'such a file can run code'
            )
        stock = bool(foreign)
        inert: list[Any] = [
            (type(name, (_Inert,), {'__module__': __name__}), name) for name in foreign
        ]
        with torch.serialization.safe_globals(inert):
            checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except PermissionError:
        raise UserError(f'{path}: may not be read; give yourself the permission') from None
    except UserError:
        raise
    except Exception as error:  # a damaged pickle fails in any way: KeyError, struct.error, ...
        reason = str(error).strip().split('\n')[0].split('. ')[0] or type(error).__name__
        raise UserError(f'{path}: not a readable checkpoint ({reason})') from error
    if not isinstance(checkpoint, dict):
        raise UserError(f'{path}: not a checkpoint: {type(checkpoint).__name__}, a dict expected')
    if 'state_dict' not in checkpoint:
        return {'state_dict': checkpoint}
    if not isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'] = {}
    checkpoint['meta'].pop('config', None)  # MMEngine's resume would run it as Python
    return {'state_dict': checkpoint['state_dict']} if stock else checkpoint


@CheckpointLoader.register_scheme(prefixes='', force=True)
def _load_local(filename: str, map_location: Any = None) -> dict[str, Any]:
    """MMEngine's loading of local files, by :func:`read_checkpoint`."""
    return read_checkpoint(filename)


@CheckpointLoader.register_scheme(prefixes=('http://', 'https://'), force=True)
def _refuse_remote(filename: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """MMEngine would load downloads without PyTorch's protection."""
    raise UserError(f'{filename}: download the checkpoint first, then name the file')


def model_weights(
    checkpoint: Mapping[str, Any], model: nn.Module, path: str | Path
) -> dict[str, Tensor]:
    """Get a checkpoint's weights for a complete model: its own by name and shape, and finite."""
    return _matching(_state_dict(checkpoint, path), model, path)


def generator_weights(
    checkpoint: Mapping[str, Any], generator: nn.Module, path: str | Path, ema: bool | None = None
) -> dict[str, Tensor]:
    """Get the weights for a generator, of a checkpoint of a complete model or only of a generator.

    With ``ema`` the average that ``GeneratorEMAHook`` kept, instead of the raw weights; None takes
    those that :func:`takes_average` says.
    """
    ema = takes_average(checkpoint) if ema is None else ema
    if ema and 'ema_state_dict' in checkpoint:
        average = dict(checkpoint['ema_state_dict'])
        average.pop('steps', None)
        weights = {name.removeprefix('module.'): value for name, value in average.items()}
    elif ema and not checkpoint.get('meta', {}).get('ema'):
        raise UserError(
            f'{path}: holds no average of the weights; leave --ema out, or train with '
            "default_hooks=dict(ema=dict(type='GeneratorEMAHook')) in the config"
        )
    else:
        weights = _state_dict(checkpoint, path)
        of_model = [name for name in weights if name.startswith('generator.')]
        if of_model:
            weights = {name.removeprefix('generator.'): weights[name] for name in of_model}
    return _matching(weights, generator, path)


def _state_dict(checkpoint: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    weights = checkpoint['state_dict']
    if not isinstance(weights, Mapping):
        raise UserError(f'{path}: its state_dict is not a dict')
    # Without the names of wrappers for several processes, of a model or of each of its nets.
    return {
        re.sub(r'^((generator|discriminator)\.)?module\.', r'\1', str(name)): value
        for name, value in weights.items()
    }


def _matching(weights: dict[str, Tensor], module: nn.Module, path: str | Path) -> dict[str, Tensor]:
    expected = get_state_dict(module)  # without the names of wrappers for several GPUs
    problems = [f'{name} is missing' for name in expected if name not in weights]
    problems += [f'{name} is unexpected' for name in weights if name not in expected]
    for name, value in weights.items():
        if not _is_plain(value):
            problems.append(f'{name} is no tensor of finite numbers')
        elif name in expected and value.shape != expected[name].shape:
            shape = tuple(expected[name].shape)
            problems.append(f"{name} has shape {tuple(value.shape)}, the model's {shape}")
    if problems:
        more = f' and {len(problems) - 1} more' if len(problems) > 1 else ''
        raise UserError(f"{path}: not this config's model: {problems[0]}{more}")
    return weights


def _is_plain(value: Any) -> bool:
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return False
    strange = value.is_meta or value.is_complex() or value.is_quantized or value.is_nested
    return not strange and bool(torch.isfinite(value.float()).all())


def load_generator(
    generator: nn.Module, path: str | Path, ema: bool | None = None
) -> dict[str, Any]:
    """Load a checkpoint's generator by :func:`generator_weights`, and return its ``meta``, if any.

    That is the iteration and the settings of its training, and ``ema``: whether the weights are an
    average.
    """
    checkpoint = read_checkpoint(path)
    meta: dict[str, Any] = checkpoint.get('meta', {})
    ema = takes_average(checkpoint) if ema is None else ema
    generator.load_state_dict(generator_weights(checkpoint, generator, path, ema))
    return {**meta, 'ema': ema or meta.get('ema', False)}


def to_plain(value: Any) -> Any:
    """Copy a nested structure with NumPy scalars and arrays as Python numbers and lists.

    A dictionary's entry that is neither a tensor nor plain is left out with a warning: for it, a
    weights-only load would refuse the file. Elsewhere such a value is a TypeError.
    """
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if value is None or isinstance(value, Tensor | bool | int | float | str | bytes):
        return value
    if isinstance(value, Mapping):
        plain = {}
        for key, item in value.items():
            try:
                plain[to_plain(key)] = to_plain(item)
            except TypeError as error:
                print_log(f'not saved: {key} ({error})', 'current', logging.WARNING)
        return plain
    if isinstance(value, list | tuple | set | frozenset):
        items = [to_plain(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    raise TypeError(f'{type(value).__module__}.{type(value).__qualname__} is not a plain value')


def checkpoints_of(work_dir: str | Path) -> list[Path]:
    """List a work directory's checkpoints: the latest first, the best one last."""
    numbered = {
        int(match[1]): path
        for path in Path(work_dir).glob('iter_*.pth')
        if (match := re.fullmatch(r'iter_(\d+)\.pth', path.name))
    }
    best = Path(work_dir, BEST)
    return [numbered[number] for number in sorted(numbered)[::-1]] + [best] * best.is_file()


def latest_checkpoint(work_dir: str | Path) -> Path | None:
    """Find the last intact checkpoint of a run; None where there is no checkpoint.

    MMEngine takes the one that a file names, whether it can be read or not. Here a checkpoint that
    cannot be read is skipped with a warning; that none can be is an error.
    """
    found = [path for path in checkpoints_of(work_dir) if path.name != BEST]
    for path in found:
        try:
            read_checkpoint(path)
        except UserError as error:
            print(f'warning: {error}; looking for the one before', flush=True)
        else:
            return path
    if found:
        raise UserError(f'{work_dir}: none of its {len(found)} checkpoints can be read')
    return None


def find_checkpoint(work_dir: str | Path) -> Path | None:
    """Find a run's best checkpoint by its validation, else its last; None where there is none."""
    best = Path(work_dir, BEST)
    return best if best.is_file() else latest_checkpoint(work_dir)


def takes_average(checkpoint: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is the best by the score of the averaged weights: ``ema/PSNR``."""
    name: str = checkpoint.get('meta', {}).get('best_score_name', '')
    return name.startswith('ema/')
