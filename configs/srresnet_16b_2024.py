# The challenge's own baseline since 2024: 16 residual blocks, 1,517,571 parameters, L1 loss, an
# average of the weights, second-order degradation.
# Cost: 300,000 iterations of 8 faces. Score, of others: 26.41 dB on the test set of 2024 after
# 115,000 iterations. Put that edition's faces into data/FFHQ (data/README.md).
#   python tools/train.py configs/srresnet_16b_2024.py
_base_ = ['srresnet_24b.py', '_base_/degradation_second_order.py']

model = dict(generator=dict(num_blocks=16))
train_dataloader = dict(batch_size=8, dataset=dict(degradation=_base_.degradation_second_order))

train_cfg = dict(max_iters=300_000)
optim_wrapper = dict(optimizer=dict(lr=2e-4, betas=(0.9, 0.99)))
param_scheduler = [
    dict(
        type='CosineRestartLR',
        by_epoch=False,
        periods=[150_000] * 2,
        restart_weights=[1, 1],
        eta_min=1e-7,
    ),
]
default_hooks = dict(ema=dict(type='GeneratorEMAHook', decay=0.999))
