"""Logged numbers and pictures, without which a run continues."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from mmengine.logging import print_log
from mmengine.registry import VISBACKENDS
from mmengine.visualization import LocalVisBackend, TensorboardVisBackend

from ..errors import describe_refusal


def _tolerate(method: Callable[..., None]) -> Callable[..., None]:
    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except OSError as error:
            if not getattr(self, 'warned', False):
                self.warned = True
                message = f'{type(self).__name__}: {describe_refusal(error)}; the run continues'
                print_log(message, 'current', logging.WARNING)

    return call


class _Tolerant:
    """What the disk does not take is left out, with a warning, the first time.

    MMEngine's backends end the run; TensorBoard's thread does so at the next number.
    """

    def __init_subclass__(cls) -> None:
        for name in ('add_config', 'add_graph', 'add_image', 'add_scalar', 'add_scalars', 'close'):
            setattr(cls, name, _tolerate(getattr(cls, name)))


@VISBACKENDS.register_module()
class TolerantLocalVisBackend(_Tolerant, LocalVisBackend):
    """``LocalVisBackend``: numbers as JSON and pictures as PNG."""


@VISBACKENDS.register_module()
class TolerantTensorboardVisBackend(_Tolerant, TensorboardVisBackend):
    """``TensorboardVisBackend``: TensorBoard's events."""
