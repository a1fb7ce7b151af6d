"""Panels: the same face side by side, with a caption over each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from mmagic.registry import VISUALIZERS
from mmagic.structures import DataSample
from mmagic.visualization import ConcatImageVisualizer

from ..data.images import Image8

CAPTION_HEIGHT = 36  # pixels


def draw_panel(images: Mapping[str, Image8]) -> Image8:
    """Put images side by side at one height, each under its caption.

    Args:
        images: (H, W, 3) uint8 RGB by caption. Smaller ones are enlarged to the tallest, pixels
            kept visible (nearest neighbour).

    Returns:
        (H + 36, sum of widths, 3) uint8 RGB.
    """
    height = max(image.shape[0] for image in images.values())
    columns = []
    for caption, image in images.items():
        if image.shape[0] != height:
            width = round(image.shape[1] * height / image.shape[0])
            enlarged = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
            image = np.asarray(enlarged, np.uint8)
        head = np.full((CAPTION_HEIGHT, image.shape[1], 3), 255, np.uint8)
        cv2.putText(
            head, caption, (8, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 2, cv2.LINE_AA
        )
        columns.append(np.concatenate([head, image]))
    return np.concatenate(columns, axis=1)


def stack_panels(panels: Sequence[Image8]) -> Image8:
    """Put panels one under the other, the narrower ones widened with white."""
    width = max(panel.shape[1] for panel in panels)
    return np.concatenate(
        [
            np.pad(panel, ((0, 0), (0, width - panel.shape[1]), (0, 0)), constant_values=255)
            for panel in panels
        ]
    )


@VISUALIZERS.register_module()
class PanelVisualizer(ConcatImageVisualizer):
    """Draws ground truth | input | output of a validation image for the backends.

    MMagic's ``ConcatImageVisualizer`` puts the small input in a grey corner and names nothing.

    Args:
        vis_backends, save_dir, name: as in ``mmengine.visualization.Visualizer``.
    """

    CAPTIONS: ClassVar = {'gt_img': 'ground truth', 'input': 'input', 'pred_img': 'output'}

    def __init__(self, name: str = 'visualizer', **kwargs: object) -> None:
        super().__init__(fn_key='img_path', img_keys=list(self.CAPTIONS), name=name, **kwargs)

    def add_datasample(self, data_sample: DataSample, step: int = 0) -> None:
        """Draw one data sample, its images in BGR, 0-255, as MMagic's models give them."""
        sample = {**data_sample.to_dict(), **data_sample.output.to_dict()}
        images = {
            caption: _to_image8(sample[key])
            for key, caption in self.CAPTIONS.items()
            if sample.get(key) is not None
        }
        panel = draw_panel(images)
        for backend in self._vis_backends.values():
            backend.add_image(Path(sample[self.fn_key]).stem, panel, step)


def _to_image8(image: np.ndarray) -> Image8:
    """(3, H, W) BGR, 0-255 float tensor -> (H, W, 3) uint8 RGB."""
    array = np.asarray(image, dtype=np.float32).transpose(1, 2, 0)[..., ::-1]
    return np.ascontiguousarray(array.clip(0, 255).round().astype(np.uint8))
