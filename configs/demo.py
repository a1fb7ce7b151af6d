# Minutes on a CPU: a small SRResNet on the photographs that scikit-image brings along.
# scripts/demo.sh makes the data and runs it.
_base_ = ['srresnet_24b.py']
work_dir = 'work_dirs/{{fileBasenameNoExtension}}'

model = dict(generator=dict(mid_channels=16, num_blocks=4))

train_dataloader = dict(
    batch_size=8,
    dataset=dict(data_root='data/demo'),
)
val_dataloader = dict(dataset=dict(data_root='data/demo'))
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
