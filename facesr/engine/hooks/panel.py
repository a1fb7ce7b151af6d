"""Panels of some of a validation's images, whatever the batches are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement


@HOOKS.register_module()
class PanelHook(Hook):
    """Draws every so many images of a validation.

    MMagic's ``BasicVisualizationHook`` counts batches, and draws all of a batch's images.

    Args:
        interval: in images of a process; the first panel is of image number ``interval``.
    """

    def __init__(self, interval: int = 100) -> None:
        self.interval = interval
        self._images = 0

    def before_val_epoch(self, runner: Runner) -> None:
        self._images = 0

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        for sample in outputs or ():
            self._images += 1
            if self._images % self.interval == 0:
                runner.visualizer.add_datasample(sample, step=runner.iter)
