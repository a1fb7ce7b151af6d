"""A run's lines, numbers and pictures: for the console, its log file and TensorBoard."""

import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial, wraps
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, ClassVar, TextIO

import numpy as np
import torch
from mmagic.registry import HOOKS
from mmagic.structures import DataSample
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MMLogger, print_log
from mmengine.registry import VISBACKENDS
from mmengine.runner import Runner
from mmengine.visualization import LocalVisBackend, TensorboardVisBackend
from torch import Tensor

from ..drawing import draw_panel
from ..errors import UserError, describe_refusal
from ..images import Image8

#: What the stack warns of in every run, and no one who trains can act on.
_IDLE_WARNINGS = (
    'The prefix is not set in metric class',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    'The dataset metainfo from the resumed checkpoint',
    'Resumed iteration number is not divisible',  # of gradients that our checkpoints hold
)


class QuietRunner(Runner):
    """MMEngine's ``Runner``, of whose log only warnings and what :func:`tell` says are printed.

    The stock runner prints the environment, the config twice and a table of all hooks.
    """

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the stock logger; its first handler is the console's."""
        logger = super().build_logger(*args, **kwargs)
        console = logger.handlers[0]
        console.addFilter(_is_for_the_console)
        console.setFormatter(_ConsoleFormatter())
        console.handleError = partial(_print_no_more, console.stream)  # type: ignore[method-assign]
        logging.raiseExceptions = False  # no traceback for a line that the log file does not take
        return logger

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        """Load as the stock runner does, without the line that it prints past the logger."""
        with redirect_stdout(io.StringIO()):
            return super().load_checkpoint(*args, **kwargs)


def tell(logger: MMLogger, text: str) -> None:
    """Log a text, and print it."""
    logger.info(text, extra={'told': True})


def show(text: str) -> None:
    """Show a text on a terminal until the next one, or the next line, takes its place."""
    if is_main_process() and sys.stdout.isatty():
        text = text[: get_terminal_size().columns - 1]  # a second line would stay
        print(f'\r\x1b[K{text}', end='', flush=True)


def in_words(seconds: float) -> str:
    """A time in the unit that fits: ``45 s``, ``12 min``, ``3.4 h``, ``2.1 days``."""
    for unit, length, decimals in (('s', 1, 0), ('min', 60, 0), ('h', 3600, 1)):
        if seconds < 100 * length and not (unit == 'h' and seconds >= 48 * length):
            return f'{seconds / length:.{decimals}f} {unit}'
    return f'{seconds / 86400:.1f} days'


def _is_for_the_console(record: logging.LogRecord) -> bool:
    if record.levelno >= logging.WARNING:
        return not record.getMessage().startswith(_IDLE_WARNINGS)
    return hasattr(record, 'told')


def _print_no_more(stream: TextIO, record: logging.LogRecord) -> None:
    """Train on in silence where no line is taken: a closed pipe (``| head``) or a full disk."""
    if isinstance(sys.exception(), OSError):
        with Path(os.devnull).open('w') as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())


class _ConsoleFormatter(logging.Formatter):
    """The message, in the place of what :func:`show` has put there."""

    def format(self, record: logging.LogRecord) -> str:
        erase = '\r\x1b[K' if sys.stdout.isatty() else ''
        level = f'{record.levelname.lower()}: ' if record.levelno >= logging.WARNING else ''
        return f'{erase}{level}{super().format(record)}'


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


@HOOKS.register_module()
class PanelHook(Hook):
    """Draws ground truth | input | output of every n-th image of a validation, for all backends.

    MMagic's ``BasicVisualizationHook`` counts batches and draws all images of one, and its
    ``ConcatImageVisualizer`` puts the small input into a grey corner, without captions. Here
    ``interval`` counts the images of a process; the first panel is of image number ``interval``.
    """

    #: By the name of the image in a sample.
    CAPTIONS: ClassVar = {'gt_img': 'ground truth', 'input': 'input', 'pred_img': 'output'}

    def __init__(self, interval: int = 100) -> None:
        if interval < 1:
            raise UserError(f'PanelHook: interval={interval}: at least 1 expected')
        self.interval = interval

    def before_val_epoch(self, runner: Runner) -> None:
        self._images = 0

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[DataSample] | None = None,
    ) -> None:
        for sample in outputs or ():
            self._images += 1
            if self._images % self.interval == 0:
                images = {**sample.to_dict(), **sample.output.to_dict()}
                panel = draw_panel(
                    {
                        caption: _to_image8(images[name])
                        for name, caption in self.CAPTIONS.items()
                        if images.get(name) is not None
                    }
                )
                path = images.get('img_path') or images['gt_path']  # inputs may be made of gt
                name, loop = Path(path).stem, runner.val_loop
                if len(loop.dataloaders) > 1:
                    number = loop.evaluators.index(loop.evaluator)
                    name = f'{loop.evaluator.metrics[0].prefix or number}_{name}'
                runner.visualizer.add_image(name, panel, runner.iter)


def _to_image8(image: Tensor) -> Image8:
    """(3, H, W) BGR or (1, H, W), 0-255 float, on any device -> (H, W, 3) uint8 RGB."""
    levels = image.detach().flip(0).expand(3, -1, -1).clamp(0, 255).round().to('cpu', torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).numpy())
