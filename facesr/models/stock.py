"""MMagic's SRResNet, editing model and SRGAN, with one or two changes each."""

from typing import Any

import numpy as np
import torch
from mmagic.models import SRGAN, BaseEditModel, MSRResNet
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from mmengine.dist import get_rank
from mmengine.logging import MessageHub
from torch import Tensor

from ..errors import UserError


@MODELS.register_module()
class SRResNet(MSRResNet):
    """MMagic's ``MSRResNet``, whose output is float32 in mixed precision too.

    The stock net adds the enlarged input to its last convolution in that one's number format: in
    bfloat16, integer levels above 128 of 255. Here the sum is float32.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conv_last.register_forward_hook(lambda layer, inputs, output: output.float())


@MODELS.register_module()
class FaceEditModel(BaseEditModel):
    """MMagic's ``BaseEditModel``, whose predictions stay on the device.

    The stock model copies each batch to the host, which waits for it; but the validation's metrics
    work on the device.
    """

    def forward_inference(
        self, inputs: Tensor, data_samples: DataSample | None = None, **kwargs: Any
    ) -> DataSample:
        """Predict: ``pred_img``, (N, 3, H, W) float, BGR, levels of 0-255, or nan."""
        output = self.forward_tensor(inputs, data_samples, **kwargs)
        output = output + output * 0  # infinite becomes nan: MMagic makes 255 of it, and a score
        return DataSample(pred_img=self.data_preprocessor.destruct(output, data_samples))


@MODELS.register_module()
class FaceSRGAN(FaceEditModel, SRGAN):
    """MMagic's ``SRGAN`` with the same change, and with losses of crops.

    A generator that needs complete faces cannot be trained on crops of them, and a discriminator
    takes one size, ``ModifiedVGG`` 128x128. Here all losses can be those of a random crop of each
    output and the same crop of its ground truth.

    ``crop_size`` is their side in pixels of the output; None takes the complete images. Where they
    are depends only on the run's seed, the iteration and the process, so that a resumed run
    continues with the crops it would have had.
    """

    def __init__(self, *args: Any, crop_size: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.crop_size = crop_size

    def extract_gt_data(self, data_samples: DataSample) -> Tensor:
        """Take what the losses compare with: (N, 3, crop_size, crop_size)."""
        return self._crop(super().extract_gt_data(data_samples))

    def forward_train(self, *args: Any, **kwargs: Any) -> Tensor:
        """Restore a batch, and crop as :meth:`extract_gt_data` does in the same iteration."""
        return self._crop(super().forward_train(*args, **kwargs))

    def _crop(self, images: Tensor) -> Tensor:
        length = self.crop_size
        if length is None:
            return images
        number, _, height, width = images.shape
        if min(height, width) < length:
            raise UserError(
                f'model.crop_size={length}: the ground truth has only {width}x{height} pixels; '
                'make train_dataloader.dataset.gt_patch_size larger'
            )
        hub = MessageHub.get_current_instance()
        numbers = hub.get_info('seed', 0), hub.get_info('iter', 0), get_rank()
        last = (height - length, width - length)
        places = np.random.default_rng(numbers).integers(0, last, (number, 2), endpoint=True)
        return torch.stack(
            [
                image[:, top : top + length, left : left + length]
                for image, (top, left) in zip(images, places.tolist(), strict=True)
            ]
        )
