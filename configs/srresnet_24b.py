# The published SRResNet: 24 residual blocks, 2,108,419 parameters, L1 loss.
_base_ = ['_base_/runtime.py', '_base_/faces.py', '_base_/schedule.py']
work_dir = 'work_dirs/{{fileBasenameNoExtension}}'

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
