"""MMagic's models, with what they predict left on the device."""

from __future__ import annotations

from typing import Any

from mmagic.models import SRGAN, BaseEditModel
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from torch import Tensor


@MODELS.register_module()
class FaceEditModel(BaseEditModel):
    """MMagic's ``BaseEditModel``, whose predictions stay where they were made.

    The stock model copies each batch to the host, which waits for it, in a validation that scores
    on the device.

    Args: as ``BaseEditModel``.
    """

    def forward_inference(
        self, inputs: Tensor, data_samples: DataSample | None = None, **kwargs: Any
    ) -> DataSample:
        """Predict: ``pred_img``, (N, 3, H, W) float, BGR, levels of 0-255."""
        output = self.forward_tensor(inputs, data_samples, **kwargs)
        return DataSample(pred_img=self.data_preprocessor.destruct(output, data_samples))


@MODELS.register_module()
class FaceSRGAN(FaceEditModel, SRGAN):
    """MMagic's ``SRGAN`` with the same change.

    Args: as ``SRGAN``.
    """
