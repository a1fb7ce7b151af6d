# The SRGAN's generator, trained alone first: 26 blocks, 2,256,131 parameters, one cosine cycle.
_base_ = ['srresnet_24b.py']
work_dir = 'work_dirs/{{fileBasenameNoExtension}}'

model = dict(generator=dict(num_blocks=26))
train_dataloader = dict(batch_size=8)

train_cfg = dict(max_iters=30_000)
param_scheduler = [
    dict(
        type='CosineRestartLR',
        by_epoch=False,
        periods=[30_000],
        restart_weights=[1],
        eta_min=1e-7,
    ),
]
