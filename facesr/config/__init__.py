"""Configs: read, overridden, checked."""

from .checking import check_config
from .loading import load_config

__all__ = ['check_config', 'load_config']
