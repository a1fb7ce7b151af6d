# A U-shaped net for whole aligned faces, below the challenge's limit of parameters; a tenth of the
# 24-block SRResNet's operations. Whole faces only: its map of the face fits no crop.
_base_ = ['srresnet_24b.py']
work_dir = 'work_dirs/{{fileBasenameNoExtension}}'

model = dict(
    generator=dict(_delete_=True, type='FaceUNet'),
    # What is scored: each image's PSNR, negated.
    pixel_loss=dict(_delete_=True, type='PSNRLoss', loss_weight=0.1),
)

# One cosine cycle.
optim_wrapper = dict(optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, begin=0, end=1000, start_factor=0.05),
    dict(
        type='CosineAnnealingLR', by_epoch=False, begin=0, end=150_000, T_max=150_000, eta_min=1e-6
    ),
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='GeneratorEMAHook', decay=0.999),
]
