# The published SRResNet: 24 residual blocks, 2,108,419 parameters, L1 loss, five cosine cycles.
# Cost: 28 hours of an NVIDIA A40, as published. Score as published: 29.73 dB on the challenge's
# validation pairs, 29.44 dB on its test set.
#   python tools/train.py configs/srresnet_24b.py
_base_ = ['_base_/runtime.py', '_base_/faces.py', '_base_/schedule.py']

model = dict(
    type='FaceEditModel',
    generator=dict(
        type='SRResNet',
        in_channels=3,
        out_channels=3,
        mid_channels=64,
        num_blocks=24,
        upscale_factor=4,
    ),
    pixel_loss=dict(type='L1Loss', loss_weight=1.0, reduction='mean'),
    # 0-255 on disk, 0-1 in the net.
    data_preprocessor=dict(type='FacePreprocessor', mean=[0, 0, 0], std=[255, 255, 255]),
)
