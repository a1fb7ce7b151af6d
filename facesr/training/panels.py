"""Pictures of a validation: ground truth, input and output side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmagic.registry import HOOKS
from mmagic.structures import DataSample
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from ..drawing import draw_panel
from ..errors import UserError
from ..images import Image8


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
                runner.visualizer.add_image(Path(images['img_path']).stem, panel, runner.iter)


def _to_image8(image: Tensor) -> Image8:
    """(3, H, W) BGR, 0-255 float, on any device -> (H, W, 3) uint8 RGB."""
    levels = image.detach().flip(0).clamp(0, 255).round().to('cpu', torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).numpy())
