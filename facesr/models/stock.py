"""MMagic's SRResNet, editing model and SRGAN, with one change each."""

from typing import Any

from mmagic.models import SRGAN, BaseEditModel, MSRResNet
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from torch import Tensor, nn


@MODELS.register_module()
class SRResNet(MSRResNet):
    """MMagic's ``MSRResNet``, whose output is float32 in mixed precision too.

    The stock net adds the enlarged input to its last convolution in that one's number format: in
    bfloat16, integer levels above 128 of 255. Here the sum is float32.

    Args: as ``MSRResNet``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conv_last.register_forward_hook(_to_float32)


def _to_float32(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return output.float()


@MODELS.register_module()
class FaceEditModel(BaseEditModel):
    """MMagic's ``BaseEditModel``, whose predictions stay on the device.

    The stock model copies each batch to the host, which waits for it; but the validation's metrics
    work on the device.

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
