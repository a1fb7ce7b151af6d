"""Blind face super-resolution (128x128 -> 512x512) on MMagic and MMEngine.

Importing the package registers what configs may name (``facesr/components.py``). A config imports
it by itself, with ``custom_imports``.
"""

from . import compat

compat.install()

from . import components  # noqa: E402, F401

__version__ = '0.1.0'
