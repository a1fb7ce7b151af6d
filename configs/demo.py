# Minutes on a CPU: a small SRResNet on the photographs that scikit-image brings along.
# scripts/demo.sh makes the data and runs it.
_base_ = ['srresnet_24b.py']
work_dir = 'work_dirs/{{fileBasenameNoExtension}}'

model = dict(
    generator=dict(mid_channels=16, num_blocks=8),
    # What PSNR measures: after 250 iterations it had gained 0.57 dB over bicubic, L1 0.35 dB.
    pixel_loss=dict(type='MSELoss'),
)

train_pipeline = _base_.train_dataloader.dataset.pipeline
train_pipeline[1].update(gt_patch_size=128)  # more images in the same time

train_dataloader = dict(
    batch_size=8,
    dataset=dict(data_root='data/demo', pipeline=train_pipeline),
)
# A panel of two of the portrait's 16 degradations at each validation.
custom_hooks = _base_.custom_hooks
custom_hooks[2].update(interval=8)

val_dataloader = dict(batch_size=1, dataset=dict(data_root='data/demo'))
test_dataloader = dict(dataset=dict(data_root='data/demo'))

train_cfg = dict(max_iters=500, val_interval=250)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(
        type='CosineRestartLR',
        by_epoch=False,
        periods=[500],
        restart_weights=[1],
        eta_min=1e-6,
    ),
]
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=250))
log_processor = dict(window_size=25)
