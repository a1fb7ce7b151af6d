# The SRGAN's generator, trained first without a discriminator: 26 blocks, 2,256,131 parameters, one
# cosine cycle. Cost and score were not published, and are not measured yet.
#   python tools/train.py configs/srresnet_26b.py
_base_ = ['srresnet_24b.py']

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
