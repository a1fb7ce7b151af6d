"""Configs read from their files, with what the command line overrides."""

from __future__ import annotations

import ast
import re
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from ..errors import UserError
from .checking import RUNNER_KEYS, check_config, unknown


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a config file, apply ``key=value`` overrides, and check every name in it.

    Args:
        path: a Python config file.
        overrides: as after ``--cfg-options``: ``optim_wrapper.optimizer.lr=2e-4``.

    Returns:
        The config; ``work_dir`` is ``work_dirs/<the file's name>`` unless the file itself sets it.

    Raises:
        UserError: the file cannot be read, or a key is taken by nothing; names the nearest.
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
    except Exception as error:  # a config is a program: it can fail in any way
        raise UserError(f'{path}: {type(error).__name__}: {error}') from error
    if not re.search(r'^work_dir\s*=', path.read_text(encoding='utf-8'), re.MULTILINE):
        config.work_dir = f'work_dirs/{path.stem}'  # not where the base's runs are
    for key, value in parse_overrides(overrides).items():
        top = key.partition('.')[0]
        if top not in RUNNER_KEYS:
            raise UserError(f'--cfg-options {key}: {unknown(top, RUNNER_KEYS)}')
        try:
            config.merge_from_dict({key: value})
        except (KeyError, TypeError, IndexError, AssertionError) as error:
            raise UserError(f'--cfg-options {key}: there is no such place in {path}') from error
    check_config(config)
    return config


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
