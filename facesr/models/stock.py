"""MMagic's SRResNet, editing model and SRGAN, with a few changes each."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from mmagic.models import SRGAN, BaseEditModel, MSRResNet, PSNRLoss
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from mmengine.dist import get_rank
from mmengine.logging import MessageHub
from torch import Tensor, nn

from ..errors import UserError
from ..nets import multiple_of, run_padded


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
class FlooredPSNRLoss(PSNRLoss):
    """MMagic's ``PSNRLoss``, 10 log10(MSE + floor) of each image, with a floor to choose.

    The stock floor is 1e-8, 80 dB for values of 0-1: an image that is all but perfect has a larger
    gradient than all others.
    """

    def __init__(self, floor: float, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        self.floor = floor

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Of (N, C, H, W) each; the mean over N."""
        errors = (pred - target).square().mean((1, 2, 3))
        loss: Tensor = self.loss_weight * self.scale * (errors + self.floor).log().mean()
        return loss


@MODELS.register_module()
class FaceEditModel(BaseEditModel):
    """MMagic's ``BaseEditModel`` with several losses and nets that need multiples of a size.

    The stock model copies each prediction to the host, which waits for it; here they stay on the
    device, where the validation's metrics are computed.

    Args:
        losses: in place of the stock model's one ``pixel_loss``, by NAME; each is called with
            output and ground truth, and logged as ``loss_NAME``. Their sum is trained on.
        size_multiple: what the sides of the generator's input must be multiples of; other inputs
            are padded. None: the generator's own ``size_multiple``, or 1.
    """

    def __init__(
        self,
        generator: Any,
        pixel_loss: Mapping[str, Any] | None = None,
        losses: Mapping[str, Mapping[str, Any]] | None = None,
        size_multiple: int | None = None,
        **kwargs: Any,
    ) -> None:
        if not (pixel_loss or losses):
            raise UserError('model: pixel_loss expected, or losses=dict(NAME=dict(type=...), ...)')
        parts = {f'loss_{name}': MODELS.build(loss) for name, loss in (losses or {}).items()}
        super().__init__(generator, pixel_loss=pixel_loss or dict(type='L1Loss'), **kwargs)
        self.losses = nn.ModuleDict(parts)
        self.size_multiple = multiple_of(self.generator, size_multiple)

    def forward_tensor(
        self, inputs: Tensor, data_samples: DataSample | None = None, **kwargs: Any
    ) -> Tensor:
        """Restore (N, C, h, w), padded if need be, in the net's own range of values."""
        run = partial(super().forward_tensor, data_samples=data_samples, **kwargs)
        return run_padded(run, inputs, self.size_multiple)

    def val_step(self, data: dict[str, Any]) -> Any:
        """Restore a batch; images of several sizes, which the stock model cannot, one by one."""
        if len({image.shape for image in data['inputs']}) == 1:
            return super().val_step(data)
        parts = ({key: [part[i]] for key, part in data.items()} for i in range(len(data['inputs'])))
        return [sample for part in parts for sample in super(FaceEditModel, self).val_step(part)]

    test_step = val_step

    def forward_train(self, inputs: Tensor, data_samples: Any = None, **kwargs: Any) -> Any:
        """Compute the losses by their names; of ``FaceSRGAN`` only the output."""
        if not self.losses:
            return super().forward_train(inputs, data_samples, **kwargs)
        output = self.forward_tensor(inputs, data_samples, **kwargs)
        values = {name: loss(output, data_samples.gt_img) for name, loss in self.losses.items()}
        return {name: _as_one(value) for name, value in values.items()}

    def forward_inference(
        self, inputs: Tensor, data_samples: DataSample | None = None, **kwargs: Any
    ) -> DataSample:
        """Predict: ``pred_img``, (N, 3, H, W) float, BGR, levels of 0-255, or nan."""
        output = self.forward_tensor(inputs, data_samples, **kwargs)
        output = output + output * 0  # infinite becomes nan: MMagic makes 255 of it, and a score
        return DataSample(pred_img=self.data_preprocessor.destruct(output, data_samples))


def _as_one(loss: Any) -> Any:
    """One number of a loss; MMagic's ``PerceptualLoss`` gives two, either of which may be None."""
    return sum(part for part in loss if part is not None) if isinstance(loss, tuple) else loss


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
        if kwargs.get('losses'):
            raise UserError('model.losses: FaceSRGAN has pixel_loss, perceptual_loss and gan_loss')
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
